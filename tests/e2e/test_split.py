"""However bytes are cut, the result is the same: a client and a vtgate that send one byte at a time."""

from __future__ import annotations

import struct
import time

import pytest

from fake_vtgate import Err, FakeVtgate, Ok, Rows, numbers
from lib import wire
from lib.ddl import INSTANT
from lib.split import Bytewise, Compressed, CuttingRelay
from lib.wire import BASIC, COMPRESS, DEPRECATE_EOF, MULTI_STATEMENTS, Wire
from test_passthrough import SCRIPTS, Command, play, queries

MIB = 1 << 20
FULL = BASIC | DEPRECATE_EOF | MULTI_STATEMENTS

# What the fake vtgate answers: errors, information, empty and long rows.
ANSWERS = {
    "rows": [Rows([["a", None, "x" * 300], ["", "b", "y" * 700]], names=("one", "two", "three"))],
    "none": [Rows([])],
    "many": [Rows(list(numbers(60)))],
    "info": [Ok("Rows matched: 3", affected=3)],
    "error": [Err(1146, "Table 'ks.t' doesn't exist", "42S02")],
}
COMMANDS: list[Command] = [
    *queries(*ANSWERS), (wire.COM_PING, b""), (wire.COM_INIT_DB, "ks"), *queries("/* " + "c" * 300 + " */ SELECT 1"),
    (wire.COM_STMT_CLOSE, struct.pack("<I", 5)), *queries("rows"),
]


def talk(address: tuple[str, int], capabilities: int, bytewise: bool, pipelined: bool) -> bytes:
    """A login and all of COMMANDS. The bytes that came back, but for the greeting with its salt."""
    with Wire(address) as client:
        if bytewise:
            client.socket = Bytewise(client.socket)
        client.read_greeting()
        began = len(client.transcript)
        client.login("somebody", "anything", "ks", capabilities)
        if client.capabilities & COMPRESS:
            client.socket = Compressed(client.socket)
        if pipelined:
            for command, body in COMMANDS:
                client.send(command, body)
        for command, body in COMMANDS:
            if not pipelined:
                client.send(command, body)
            client.read_response(command)
        client.send(wire.COM_QUIT)
        assert client.socket.recv(1) == b""
        return bytes(client.transcript[began:])


@pytest.mark.parametrize("capabilities", [BASIC, FULL, FULL | COMPRESS], ids=["eof", "deprecate-eof", "compressed"])
def test_bytewise_client_and_vtgate(start_shim, capabilities):
    """Each side cut, and both; commands one after the other, and without waiting for the answers."""
    streams = {}
    for gate_cut in (False, True):
        with FakeVtgate(ANSWERS, wrap=Bytewise if gate_cut else None) as gate:
            shim = start_shim({"vtgate": gate.endpoint})
            for client_cut in (False, True):
                for pipelined in (False, True):
                    streams[gate_cut, client_cut, pipelined] = talk(shim.listen, capabilities, client_cut, pipelined)
            asked = [sql for sql in gate.queries if sql != "SELECT 1"]  # by health checks
            assert asked == 4 * [body for command, body in COMMANDS if command == wire.COM_QUERY]
            assert shim.metric("vtshim_protocol_errors_total") == 0
    whole = streams[False, False, False]
    assert len(whole) > 2_500 and b"Rows matched: 3" in whole and b"#42S02" in whole
    assert {cut: stream for cut, stream in streams.items() if stream != whole} == {}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_bytewise_client_of_a_real_vtgate(shim, bed, name, compressed):
    """Every kind of command, one byte at a time: the answers are those of vtgate to whole commands."""
    def cut(client: Wire) -> None:
        client.socket = Bytewise(client.socket)

    def compress(client: Wire) -> None:
        if compressed:
            assert client.capabilities & COMPRESS
            client.socket = Compressed(client.socket)

    straight = play(bed.gates[0], bed, FULL, SCRIPTS[name])
    through = play(shim.listen, bed, FULL | (COMPRESS if compressed else 0), SCRIPTS[name], cut, compress)
    assert through == straight
    assert shim.metric("vtshim_protocol_errors_total") == 0


def test_ddl_with_everything_cut(start_shim, bed, table):
    """What the shim itself asks vtgate and reads back, and a script of statements of which one is DDL: cut as
    well. The connection is lost on neither side, and the answers are those of each statement."""
    with CuttingRelay(bed.gates[0]) as to_vtgate:
        shim = start_shim({**INSTANT, "vtgate": to_vtgate.endpoint})
        with shim.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT 1; ALTER TABLE {table} ADD COLUMN cut INT; SELECT 'after', cut FROM {table}")
            assert cursor.fetchall() == ((1,),)
            assert cursor.nextset() and b"shards=2" in cursor._result.message
            assert cursor.nextset() and cursor.fetchall() == ()
            assert not cursor.nextset()
            cursor.execute("SELECT @@ddl_strategy")
            assert cursor.fetchall() == (("direct",),), "as it was"
    assert shim.metric("vtshim_protocol_errors_total") == 0


def test_much_in_a_few_compressed_bytes(start_shim):
    """48 MiB of one value come in 48 KiB: not more than one frame's contents are unpacked at a time."""
    text = "SELECT '" + "0" * (48 * MIB) + "'"
    with FakeVtgate() as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        with Wire(shim.listen) as client:
            client.login("somebody", "anything", capabilities=FULL | COMPRESS)
            compressed = client.socket = Compressed(client.socket, corked=True)
            client.send(wire.COM_QUERY, text)
            compressed.flush()
            compressed.corked = False
            assert client.read_response().error is None
            assert client.query("SELECT 1").error is None
        sent = max(gate.queries, key=len)
        assert len(sent) == len(text) and sent[-2:] == "0'"
    assert shim.metric("vtshim_protocol_errors_total") == 0


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 3306\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack(">HH", 56324, 3306),
], ids=["v1", "v2"])
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_proxy_header(start_shim, bed, header, bytewise):
    """A PROXY header in one piece and in many."""
    shim = start_shim({"proxy_protocol": {"from": ["127.0.0.1"]}})
    with Wire(shim.listen) as client:
        if bytewise:
            client.socket = Bytewise(client.socket)
        client.socket.sendall(header)
        client.login(bed.user, bed.password, bed.keyspace)
        assert client.value("SELECT 5") == "5"
        clients = [row["client"] for row in shim.admin("SHOW SESSIONS")]
        assert clients == ["192.0.2.7:56324"]


@pytest.mark.parametrize("cut", ["whole", "bytewise", "at-once"])
def test_admin_port(shim, cut):
    """A login and commands, COM_QUIT right behind them: every answer comes."""
    commands = queries("HELP", "SHOW HOLDS", "SELECT 1", "nonsense", "SHOW WARNINGS") + [(wire.COM_PING, b"")]
    with Wire(shim.admin_address) as client:
        if cut == "bytewise":
            client.socket = Bytewise(client.socket)
        client.login("sre", "", capabilities=BASIC)
        for command, body in commands:
            client.send(command, body)
            if cut == "whole":
                client.read_response(command)
        client.send(wire.COM_QUIT)
        if cut != "whole":
            answers = [client.read_response(command) for command, _ in commands]
            assert [answer.error.code if answer.error else None for answer in answers] == [None] * 3 + [1064, None, None]
        began = time.monotonic()
        assert client.socket.recv(1) == b""
        assert time.monotonic() - began < 5
