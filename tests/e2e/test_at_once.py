"""What the shim answers without asking anybody: the same answers however the commands come, and however many there are."""

from __future__ import annotations

import socket
from typing import Callable, Iterator

import pytest

from fake_vtgate import Delay, FakeVtgate, Rows
from lib import wire
from lib.poll import stays, until
from lib.shim import Shim
from lib.split import Cutting
from lib.wire import BASIC, DEPRECATE_EOF, MULTI_STATEMENTS, Wire

FULL = BASIC | DEPRECATE_EOF | MULTI_STATEMENTS
MANY = 100
LONG = 6000  # pairs of statements in one text

# Statement -> its error's code, or 0; in this order, for some collect.
STATEMENTS = {
    "CREATE TABLE t /*vtshim nonsense*/ (a int)": 1064,
    "DROP TABLE guarded": 1105,
    "EXPLAIN CREATE TABLE t /*vtshim nonsense*/ (a int)": 1064,
    "BEGIN TRANSITION fake": 0,
    "BEGIN  TRANSITION fake": 1105,
    "ALTER VSCHEMA ON t ADD VINDEX hash(id)": 0,
    "ALTER VSCHEMA ON elsewhere.t ADD VINDEX hash(id)": 1105,
    "ROLLBACK TRANSITION": 0,
    "ALTER VSCHEMA DROP SOMETHING x": 1064,
    "BEGIN TRANSITION fake; COMMIT TRANSITION": 0,
    "BEGIN TRANSITION fake; ROLLBACK TRANSITION; DROP TABLE guarded": 1105,
    "ALTER VITESS_MIGRATION CANCEL ALL": 1227,
}


@pytest.fixture
def gate() -> Iterator[FakeVtgate]:
    with FakeVtgate({"slow": [Delay(0.2), Rows([["slow"]])], "rows": [Rows([["row"]])]}) as made:
        yield made


@pytest.fixture
def shim(start_shim: Callable[..., Shim], gate: FakeVtgate) -> Shim:
    """Nobody is at vtctld's address: what is asked here ends before anybody is called."""
    return start_shim({"vtgate": gate.endpoint, "vtctld": {"addresses": ["127.0.0.1:1"]},
                       "ddl": {"policy": ["reject table=guarded"], "control_users": ["dba"]}})


@pytest.fixture
def client(shim: Shim) -> Iterator[Wire]:
    with Wire(shim.listen, timeout=30) as made:
        made.login("somebody", "", "fake", FULL)
        made.socket = Cutting(made.socket)
        yield made


def expect(client: Wire, sql: str, code: int) -> None:
    error = client.read_response().error
    assert (error.code if error else 0) == code, (sql, error)


def test_cut_at_every_byte(shim, client):
    """A command that comes in two pieces."""
    for at in range(1, max(map(len, STATEMENTS)) + 5):
        client.socket.at = at
        for sql, code in STATEMENTS.items():
            client.send(wire.COM_QUERY, sql)
            expect(client, sql, code)
    assert client.value("rows") == "row"


def test_behind_others(shim, client):
    """Pipelined behind a command that vtgate takes its time for, each kind and many of them, others in between."""
    sent = [(sql, code) for _ in range(MANY // len(STATEMENTS) + 1) for sql, code in (*STATEMENTS.items(), ("rows", 0))]
    client.socket.corked = True
    client.send(wire.COM_QUERY, "slow")
    for sql, _ in sent:
        client.send(wire.COM_QUERY, sql)
    client.socket.flush()
    expect(client, "slow", 0)
    for sql, code in sent:
        expect(client, sql, code)
    assert client.value("rows") == "row"


@pytest.mark.parametrize("sql", list(STATEMENTS))
def test_many_behind_another(shim, client, sql):
    """A hundred of the same, and one more that has not come as a whole yet."""
    if sql.startswith("ALTER VSCHEMA ON"):
        client.query("BEGIN TRANSITION fake")  # else vtctld is asked
    client.socket.corked = True
    client.send(wire.COM_QUERY, "slow")
    for _ in range(MANY):
        client.send(wire.COM_QUERY, sql)
    client.socket.flush()
    client.socket.at = 20
    client.send(wire.COM_QUERY, sql)
    for _ in range(MANY + 2):
        client.read_response()
    assert client.value("rows") == "row"


def test_after_a_hold(shim, client):
    """One that was parked by itself, and others behind one that was."""
    shim.hold("TABLE fake.guarded")
    client.socket.corked = True
    for sql in (*STATEMENTS, "SELECT a FROM guarded", *STATEMENTS):
        client.send(wire.COM_QUERY, sql)
    client.socket.flush()
    until(lambda: shim.parked() == 1, "it is parked")
    shim.admin("RELEASE ALL")
    for sql, code in STATEMENTS.items():
        expect(client, sql, code)
    assert client.read_response().error is None
    for sql, code in STATEMENTS.items():
        expect(client, sql, code)


def test_prepared(start_shim):
    """An execution that is answered at once, too."""
    shim = start_shim({"ddl": {"policy": ["reject table=guarded"]}})
    with shim.wire() as client:
        client.socket = Cutting(client.socket)
        body = wire.execute_body(client.prepare("DROP TABLE guarded"))
        for at in range(1, len(body) + 5):
            client.socket.at = at
            assert client.command(wire.COM_STMT_EXECUTE, body).error.code == 1105
        assert client.value("SELECT 1") == "1"


def test_a_long_text(shim, client):
    """Thousands of statements in one text: each has its result, and the connection goes on."""
    response = client.query("BEGIN TRANSITION fake;ROLLBACK TRANSITION;" * LONG)
    assert len(response.results) == 2 * LONG and response.error is None
    assert not response.status & wire.SERVER_MORE_RESULTS
    assert client.value("rows") == "row"


def test_others_have_their_turn(start_shim, gate):
    """A long text whose client takes no answers: others of the same worker are served, it waits, and can be interrupted."""
    shim = start_shim({"vtgate": gate.endpoint, "vtctld": {"addresses": ["127.0.0.1:1"]}, "workers": 1})
    with Wire(shim.listen, timeout=60) as client, Wire(shim.listen, timeout=60) as other:
        for one in (client, other):
            one.login("somebody", "", "fake", FULL)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        client.send(wire.COM_QUERY, "BEGIN TRANSITION fake;ROLLBACK TRANSITION;" * 100_000)
        pausing = lambda: any(row["state"] == "pausing" for row in shim.admin("SHOW SESSIONS"))
        until(pausing, "it has begun")
        assert other.value("rows") == "row"
        stays(pausing, "it waits for its client", 2)
        assert other.query(f"KILL QUERY {client.greeting.connection_id}").error is None
        response = client.read_response()
        assert response.error.code == 1317 and len(response.results) < 200_000
        assert client.value("rows") == "row"
