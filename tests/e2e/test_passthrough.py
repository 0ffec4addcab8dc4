"""Nothing changes for ordinary traffic: what vtgate answers is what the client gets, byte for byte."""

from __future__ import annotations

import random
import re
import struct
import threading
from typing import Callable

import pymysql
import pytest

from lib import wire
from lib.bed import Bed
from lib.clients import connector, go_ddl, mariadb_through
from lib.wire import BASIC, DEPRECATE_EOF, MULTI_STATEMENTS, Wire, execute_body, text_row

MIB = 1 << 20

# 100,000 rows out of nothing. The tablets send no more than 10,000 unless the workload is OLAP.
BIG_RESULT = ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
              "SELECT (a.i - 1) * 100 + b.i AS v, concat('row ', a.i) AS t, NULL AS z "
              "FROM n a JOIN n b ON b.i <= 100 ORDER BY v")

CLIENTS = pytest.mark.parametrize("capabilities", [BASIC, BASIC | DEPRECATE_EOF,
                                                   BASIC | DEPRECATE_EOF | MULTI_STATEMENTS],
                                  ids=["eof", "deprecate-eof", "multi"])

Command = tuple[int, bytes | str]


def queries(*texts: str) -> list[Command]:
    return [(wire.COM_QUERY, text) for text in texts]


# Each is played on one connection. Rows have ids that no other test uses.
SCRIPTS: dict[str, list[Command]] = {
    "select": queries("SELECT 1", "select 'x', NULL, 1.5, -7, 'ünï ☃ 🦄', ''", "SELECT 1;", "/* c */ SELECT 1 -- end",
                      "SELECT id, email FROM customer WHERE id = -1", "(SELECT 1) UNION ALL (SELECT 2)",
                      "SHOW COLUMNS FROM customer", "SHOW DATABASES LIKE 'comm%'", "SELECT @@version_comment LIMIT 1",
                      "EXPLAIN SELECT 1 FROM customer WHERE id = 1", "SHOW VARIABLES LIKE 'version'"),
    "write": queries("DELETE FROM customer WHERE id IN (-600001, -600002)",
                     "INSERT INTO customer (id, email) VALUES (-600001, 'one'), (-600002, NULL)",
                     "INSERT INTO customer (id, email) VALUES (-600001, 'again')",
                     "UPDATE customer SET email = 'two' WHERE id = -600001",
                     "UPDATE customer SET email = 'two' WHERE id = -600001",
                     "SELECT email FROM customer WHERE id IN (-600001, -600002) ORDER BY id",
                     "REPLACE INTO customer (id, email) VALUES (-600001, 'three')",
                     "DELETE FROM customer WHERE id IN (-600001, -600002)"),
    "transaction": queries("BEGIN", "INSERT INTO customer (id, email) VALUES (-600003, 'x')",
                           "SELECT count(*) FROM customer WHERE id = -600003", "SAVEPOINT a",
                           "DELETE FROM customer WHERE id = -600003", "ROLLBACK TO a", "RELEASE SAVEPOINT a",
                           "ROLLBACK", "SELECT count(*) FROM customer WHERE id = -600003", "START TRANSACTION",
                           "COMMIT", "SET autocommit = 0", "SELECT count(*) FROM customer WHERE id = -600003",
                           "COMMIT", "SET autocommit = 1"),
    "errors": queries("", "selec 1", "SELECT nope FROM customer", "SELECT 1 FROM nosuchtable", "SELECT 'unfinished",
                      "-- nothing", "/* nothing */", ";", "CALL nope()", "USE nosuchkeyspace",
                      "SET @@nosuch = 1", "LOCK TABLES customer READ", "SELECT 1"),
    "several": queries("SELECT 1; SELECT 2", "SELECT 1; INSERT INTO customer (id) VALUES (-600004); "
                       "DELETE FROM customer WHERE id = -600004; SELECT 'last'", "SELECT 1; selec 2; SELECT 3",
                       "SELECT 1; SELECT 1 FROM nosuchtable; SELECT 3", "SELECT ';' ; -- c\nSELECT '--'; ", ";;", "SELECT 4"),
    "session": queries("SET NAMES utf8mb4", "SET @a = 5", "SELECT @a", "USE commerce", "SELECT database()",
                       "USE `commerce/-80`", "SELECT database()", "USE commerce@primary", "SELECT database()",
                       "SET sql_mode = 'ANSI_QUOTES'", "SELECT @@sql_mode", "SET @@session.sql_mode = ''",
                       "PREPARE p FROM 'SELECT ? + 1'", "EXECUTE p USING @a", "DEALLOCATE PREPARE p", "EXECUTE p",
                       "SELECT get_lock('e2e-stream', 1)", "SELECT release_lock('e2e-stream')"),
    "commands": [(wire.COM_PING, b""), (wire.COM_INIT_DB, "commerce"), (wire.COM_INIT_DB, "nosuchkeyspace"),
                 (wire.COM_INIT_DB, ""), (wire.COM_QUERY, "SELECT database()"), (wire.COM_INIT_DB, "commerce/80-"),
                 (wire.COM_QUERY, "SELECT database()"), (wire.COM_SET_OPTION, b"\0\0"),
                 (wire.COM_QUERY, "SELECT 1; SELECT 2"), (wire.COM_SET_OPTION, b"\1\0"),
                 (wire.COM_QUERY, "SELECT 1; SELECT 2"), (wire.COM_RESET_CONNECTION, b""),
                 (wire.COM_QUERY, "SELECT database()"), (wire.COM_PING, b"")],
    "unsupported": [(command, b"x\0") for command in
                    (wire.COM_PROCESS_INFO, wire.COM_DEBUG, wire.COM_STMT_FETCH, 0x05, 0x13, 0x1d, 0x20, 0x50, 0xEE)]
                   + queries("SELECT 'still here'"),
    "prepared": [(wire.COM_STMT_PREPARE, "SELECT ?, email FROM customer WHERE id = ?"),
                 (wire.COM_STMT_EXECUTE, execute_body(1, (b"text", -1))),
                 (wire.COM_STMT_EXECUTE, execute_body(1, (None, -1))),
                 (wire.COM_STMT_PREPARE, "SELECT length(?)"),
                 (wire.COM_STMT_SEND_LONG_DATA, struct.pack("<IH", 2, 0) + b"abc"),
                 (wire.COM_STMT_SEND_LONG_DATA, struct.pack("<IH", 2, 0) + b"defg"),
                 (wire.COM_STMT_EXECUTE, execute_body(2, (b"",), (0,))),
                 (wire.COM_STMT_SEND_LONG_DATA, struct.pack("<IH", 2, 0) + b"forgotten"),
                 (wire.COM_STMT_RESET, struct.pack("<I", 2)),
                 (wire.COM_STMT_EXECUTE, execute_body(2, (b"xy",))),
                 (wire.COM_STMT_PREPARE, "INSERT INTO customer (id, email) VALUES (?, ?)"),
                 (wire.COM_STMT_EXECUTE, execute_body(3, (-600005, "ü".encode()))),
                 (wire.COM_STMT_EXECUTE, execute_body(3, (-600005, b"duplicate"))),
                 (wire.COM_QUERY, "SELECT email FROM customer WHERE id = -600005"),
                 (wire.COM_QUERY, "DELETE FROM customer WHERE id = -600005"),
                 (wire.COM_STMT_PREPARE, "selec"), (wire.COM_STMT_PREPARE, "SELECT nope FROM customer"),
                 (wire.COM_STMT_CLOSE, struct.pack("<I", 1)),
                 (wire.COM_STMT_EXECUTE, execute_body(1, (b"text", -1))),
                 (wire.COM_STMT_CLOSE, struct.pack("<I", 77)), (wire.COM_STMT_CLOSE, b""),
                 (wire.COM_STMT_EXECUTE, execute_body(77)), (wire.COM_STMT_EXECUTE, b""),
                 (wire.COM_STMT_PREPARE, ""), (wire.COM_SET_OPTION, b""),
                 (wire.COM_STMT_PREPARE, "SELECT 1"), (wire.COM_STMT_EXECUTE, execute_body(5)),
                 (wire.COM_PING, b"")],
    "ddl-prepared-only": [(wire.COM_STMT_PREPARE, "ALTER TABLE customer ADD COLUMN never_executed int"),
                          (wire.COM_STMT_CLOSE, struct.pack("<I", 1)), (wire.COM_PING, b"")],
}


def play(address: tuple[str, int], bed: Bed, capabilities: int, script: list[Command],
         before_login: Callable[[Wire], None] | None = None,
         after_login: Callable[[Wire], None] | None = None) -> list[bytes]:
    """The bytes of the answers to each command."""
    with Wire(address) as client:
        if before_login:
            before_login(client)
        client.login(bed.user, bed.password, bed.keyspace, capabilities)
        if after_login:
            after_login(client)
        answers = []
        for command, body in script:
            answers.append(client.command(command, body).raw)
            # An answer too many would be read as the next one's; there must be none.
        client.send(wire.COM_PING)
        answers.append(client.read_response(wire.COM_PING).raw)
        client.send(wire.COM_QUIT)
        assert client.socket.recv(1) == b"", "the connection ends after COM_QUIT"
        return answers


@CLIENTS
@pytest.mark.parametrize("name", SCRIPTS)
def test_bytes_are_the_same(shim, bed, capabilities, name):
    """The stream that comes back through the shim is the one that comes back straight."""
    script = SCRIPTS[name]
    straight = play(bed.gates[0], bed, capabilities, script)
    through = play(shim.listen, bed, capabilities, script)
    for command, theirs, ours in zip(script, straight, through):
        assert ours == theirs, f"{command!r}: through the shim, then straight"
    assert through == straight
    assert shim.metric("vtshim_protocol_errors_total") == 0


@CLIENTS
@pytest.mark.parametrize("command, body", [
    (wire.COM_STMT_RESET, struct.pack("<I", 77)),
    (wire.COM_STMT_SEND_LONG_DATA, struct.pack("<IH", 77, 0) + b"x"),
], ids=["reset-unknown", "long-data-unknown"])
def test_what_vtgate_does_not_forgive(shim, bed, capabilities, command, body):
    """Mistakes after which vtgate ends the connection, or answers although no answer is due."""
    streams = []
    for address in (bed.gates[0], shim.listen):
        with Wire(address, timeout=5) as client:
            client.login(bed.user, bed.password, bed.keyspace, capabilities)
            client.query("SELECT 1")
            began = len(client.transcript)
            try:
                client.send(command, body)
                client.sequence = 1
                client.read_packet()
                client.socket.sendall(b"\x01\0\0\0" + bytes([wire.COM_PING]))
                client.sequence = 1
                client.read_packet()
            except (wire.ConnectionEnded, ConnectionError):
                client.transcript += b"<ended>"
            # vtgate's text has the connection's number.
            streams.append(re.sub(rb"\d+", b"N", bytes(client.transcript[began:])))
    assert streams[0] == streams[1]


@CLIENTS
def test_big_result(shim, bed, capabilities):
    """100,000 rows with text and NULL: every byte, in order."""
    script = queries("SET workload = 'olap'", BIG_RESULT, "SELECT 1")
    through = play(shim.listen, bed, capabilities, script)
    assert len(through[1]) > 1_800_000
    assert through == play(bed.gates[0], bed, capabilities, script)


@CLIENTS
def test_more_columns_than_16_bits(shim, bed, capabilities):
    """Vitess and MySQL answer such a SELECT."""
    script = queries("SELECT " + ",".join(["1"] * 70_000), "SELECT 1")
    through = play(shim.listen, bed, capabilities, script)
    assert len(through[0]) > 70_000
    assert through == play(bed.gates[0], bed, capabilities, script)


def test_big_result_by_pymysql(shim):
    """The same as a driver sees it."""
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET workload = 'olap'")
        cursor.execute(BIG_RESULT)
        rows = cursor.fetchall()
    assert len(rows) == 100_000 and rows[99_999] == (100_000, "row 1000", None)


def test_big_result_of_a_prepared_statement(shim):
    """8,000 rows of the binary protocol."""
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM customer WHERE id BETWEEN -640000 AND -630000")
        cursor.executemany("INSERT INTO customer (id, email) VALUES (%s, %s)",
                           [(-630000 - n, f"mail number {n}") for n in range(8000)])
        with connector(shim) as other:
            prepared = other.cursor(prepared=True)
            prepared.execute("SELECT id, email FROM customer WHERE id BETWEEN ? AND ? ORDER BY id", (-640000, -630000))
            rows = prepared.fetchall()
        cursor.execute("DELETE FROM customer WHERE id BETWEEN -640000 AND -630000")
    assert len(rows) == 8000 and rows[0] == (-637999, "mail number 7999")


@pytest.mark.parametrize("length", [wire.MAX_PACKET - 2, wire.MAX_PACKET - 1, wire.MAX_PACKET, wire.MAX_PACKET + 1,
                                    17 * MIB, 33 * MIB],
                         ids=["limit-2", "limit-1", "limit", "limit+1", "17MiB", "33MiB"])
def test_large_statement(shim, bed, length):
    """Statements around and over the 16 MiB that one packet holds (the last two in several)."""
    head, tail = "SELECT length('", "')"
    text = head + "x" * (length - 1 - len(head) - len(tail)) + tail
    for address in (bed.gates[0], shim.listen):
        with Wire(address, timeout=60) as client:
            client.login(bed.user, bed.password, bed.keyspace)
            assert client.value(text) == str(len(text) - len(head) - len(tail))
            assert client.value("SELECT 1") == "1"


@pytest.mark.parametrize("size", [17 * MIB, 40 * MIB], ids=["17MiB", "40MiB"])
def test_large_row(shim, size):
    """A row of several packets."""
    with shim.wire(BASIC | DEPRECATE_EOF, timeout=60) as client:
        response = client.query(f"SELECT repeat('a', {size})")
        assert response.error is None
        assert text_row(response.rows[0]) == [b"a" * size]
        assert client.value("SELECT 1") == "1"


def test_large_both_ways(shim):
    """A statement of 17 MiB whose answer is as large."""
    text = random.Random(7).randbytes(17 * MIB // 2).hex()
    with shim.wire(timeout=60) as client:
        assert text_row(client.query(f"SELECT '{text}'").rows[0]) == [text.encode()]


def test_large_parameters(shim):
    """17 MiB as a parameter, and as long data in pieces of which one takes two packets itself."""
    with shim.wire(timeout=60) as client:
        statement = client.prepare("SELECT length(?)")
        assert client.execute(statement, b"y" * (17 * MIB)).rows[0][2:] == struct.pack("<q", 17 * MIB)
        for piece in (6 * MIB, 17 * MIB):
            client.send(wire.COM_STMT_SEND_LONG_DATA, struct.pack("<IH", statement, 0) + b"z" * piece)
        assert client.execute(statement, b"", long_data=(0,)).rows[0][2:] == struct.pack("<q", 23 * MIB)


def test_too_large_for_the_tablet(shim, bed):
    """vtgate takes it but the tablet does not: vtgate's own error, and the connection is kept."""
    text = "INSERT INTO customer (id, email) VALUES (-600006, '" + "x" * (17 * MIB) + "')"
    codes = []
    for address in (bed.gates[0], shim.listen):
        with Wire(address, timeout=60) as client:
            client.login(bed.user, bed.password, bed.keyspace)
            codes.append(client.query(text).error.code)
            assert client.value("SELECT 1") == "1"
    assert codes[0] == codes[1]


@CLIENTS
def test_pipelined(shim, bed, capabilities):
    """Commands sent without waiting are answered in order, each as if alone."""
    commands = [(wire.COM_QUERY, f"SELECT {n}, repeat('p', {n * 100})") for n in range(40)]
    commands[10:10] = [(wire.COM_PING, b""), (wire.COM_QUERY, "selec"), (wire.COM_STMT_PREPARE, "SELECT ?"),
                       (wire.COM_STMT_EXECUTE, execute_body(1, (3,))), (wire.COM_STMT_CLOSE, struct.pack("<I", 1)),
                       (wire.COM_QUERY, "BEGIN"), (wire.COM_QUERY, "ROLLBACK"), (wire.COM_INIT_DB, "commerce")]
    answers = []
    for address in (bed.gates[0], shim.listen):
        with Wire(address) as client:
            client.login(bed.user, bed.password, bed.keyspace, capabilities)
            for command, body in commands:
                client.send(command, body)
            answers.append([client.read_response(command).raw for command, _ in commands])
    assert answers[0] == answers[1]


def test_commands_in_small_pieces(shim):
    """A statement that arrives byte by byte, its header too."""
    with shim.wire() as client:
        text = b"\x03SELECT 'in pieces'"
        for byte in len(text).to_bytes(3, "little") + b"\0" + text:
            client.socket.sendall(bytes([byte]))
        client._answers.append(1)
        assert text_row(client.read_response().rows[0]) == [b"in pieces"]


def test_drivers(shim):
    """Types, NULLs and Unicode through PyMySQL, the connector (text and prepared), Go and mariadb."""
    values = (-(1 << 62), "žluťoučký 🦄", None, "")
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s, %s, %s, %s", values)
        assert cursor.fetchone() == values
    with connector(shim) as connection:
        for prepared in (False, True):
            cursor = connection.cursor(prepared=prepared)
            cursor.execute("SELECT %s, %s, %s, %s", values)
            assert cursor.fetchall() == [values]
            cursor.close()
    rows = go_ddl(shim.dsn(), "SELECT 1, '🦄', NULL", prepared=True)[0]["rows"]
    assert rows == [["1", "🦄", ""]]
    assert mariadb_through(shim, "SELECT '🦄', NULL", "-N", "-B").out == "🦄\tNULL\n"


def test_prepared_by_the_connector(shim):
    """The same statement executed again and again, other statements between, reset and close."""
    with connector(shim) as connection:
        cursor = connection.cursor(prepared=True)
        cursor.execute("DELETE FROM customer WHERE id BETWEEN ? AND ?", (-600199, -600100))
        for n in range(20):
            cursor.execute("INSERT INTO customer (id, email) VALUES (?, ?)", (-600100 - n, f"mail{n:05}"))
        other = connection.cursor(prepared=True)
        other.execute("SELECT count(*) FROM customer WHERE id BETWEEN ? AND ?", (-600199, -600100))
        assert other.fetchall() == [(20,)]
        connection.cmd_reset_connection()
        last = connection.cursor(prepared=True)
        last.execute("DELETE FROM customer WHERE id BETWEEN ? AND ?", (-600199, -600100))
        assert last.rowcount == 20


def test_transaction_is_private(shim):
    """What one session has not committed no other sees; its end is seen at once."""
    with shim.connect() as writer, shim.connect() as reader, writer.cursor() as w, reader.cursor() as r:
        w.execute("DELETE FROM customer WHERE id = -600010")
        w.execute("BEGIN")
        w.execute("INSERT INTO customer (id, email) VALUES (-600010, 'uncommitted')")
        r.execute("SELECT count(*) FROM customer WHERE id = -600010")
        assert r.fetchone() == (0,)
        w.execute("COMMIT")
        r.execute("SELECT count(*) FROM customer WHERE id = -600010")
        assert r.fetchone() == (1,)
        w.execute("DELETE FROM customer WHERE id = -600010")


def test_transaction_ends_with_its_client(shim):
    """A client that vanishes inside a transaction leaves nothing behind: no row, no lock."""
    client = shim.wire()
    client.query("DELETE FROM customer WHERE id = -600011")
    client.query("BEGIN")
    assert client.query("INSERT INTO customer (id) VALUES (-600011)").error is None
    client.close()
    with shim.connect() as connection, connection.cursor() as cursor:
        # Waits for the row's lock if it is still held.
        cursor.execute("INSERT INTO customer (id) VALUES (-600011)")
        assert cursor.rowcount == 1
        cursor.execute("DELETE FROM customer WHERE id = -600011")


def test_session_state_is_kept(shim):
    """User variables, locks and settings live in the one vtgate session behind the client."""
    with shim.connect() as one, shim.connect() as two, one.cursor() as a, two.cursor() as b:
        a.execute("SET @who = 'first-client'")
        b.execute("SET @who = 'second-client'")
        a.execute("SELECT @who")
        assert a.fetchone() == ("first-client",)
        a.execute("SELECT get_lock('e2e-state', 0)")
        assert a.fetchone() == (1,)
        b.execute("SELECT get_lock('e2e-state', 0)")
        assert b.fetchone() == (0,)
        a.execute("SELECT release_lock('e2e-state')")


def test_error_keeps_the_connection(shim):
    with shim.connect() as connection, connection.cursor() as cursor:
        for _ in range(30):
            with pytest.raises(pymysql.Error):
                cursor.execute("SELECT nope FROM customer")
            cursor.execute("SELECT connection_id() = @@pseudo_thread_id OR 1")
    assert shim.metric("vtshim_errors_relayed_total") == 30


def test_many_at_once(shim):
    """64 clients, each with its own stream of statements, mixed on two workers: nobody gets another's."""
    failures: list[str] = []

    def client(number: int) -> None:
        try:
            with shim.wire(BASIC | DEPRECATE_EOF) as connection:
                for n in range(30):
                    expected = f"{number}:{n}:" + "x" * (number * n)
                    got = connection.value(f"SELECT '{expected}'")
                    assert got == expected, f"client {number} got {got[:40]!r}"
        except Exception as failure:
            failures.append(f"{number}: {failure!r}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:5]
