"""vtctld over gRPC: who is let in, what becomes of DDL when vtctld goes away or is slow, and peers that are no
vtctld at all."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Callable, Iterator

import pymysql
import pytest

import fake_grpc
from fake_grpc import FakeGrpc, begin, field, frame, good, good_with, headers, message, trailers
from lib import wire
from lib.bed import Bed
from lib.ddl import INSTANT, POSTPONED, assert_everywhere, through_vtctld
from lib.poll import until
from lib.ports import free_port
from lib.relay import Relay
from lib.shim import merge
from lib.vtctld import Vtctld


def quick(bed: Bed, *changes: dict) -> dict:
    """Settings for quick DDL through vtctld."""
    config = merge(through_vtctld(bed), INSTANT)
    for change in changes:
        config = merge(config, change)
    return config


def refused(connection: pymysql.Connection, sql: str) -> tuple[int, str]:
    with connection.cursor() as cursor, pytest.raises(pymysql.Error) as error:
        cursor.execute(sql)
    return error.value.args


# Who is let in.

@pytest.fixture(scope="module")
def guarded(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vtctld]:
    """A vtctld with TLS, which wants a client certificate and a password."""
    from lib.certificates import Certificates
    with Vtctld(bed, Certificates(tmp_path_factory.mktemp("vtctld")), password="sesame-open-7") as vtctld:
        yield vtctld

def reload_schema(shim, target: str) -> None:
    """A tablet fails when another test's table is dropped, or changed, while it reads them."""
    def attempt() -> bool:
        try:
            shim.admin(f"RELOAD SCHEMA {target}")
        except pymysql.Error as error:
            if "doesn't exist" not in str(error) and "in Engine.reload(), reading table" not in str(error):
                raise
            return False
        return True
    until(attempt, f"RELOAD SCHEMA {target}", 30)



def test_tls_and_password(start_shim, bed, table, guarded):
    shim = start_shim(quick(bed, guarded.settings()))
    shim.secret("sesame-open-7")
    shim.run(f"ALTER TABLE {table} ADD COLUMN guarded int")
    assert_everywhere(bed, table, "guarded")
    assert shim.wait_event("grpc_connected")["tls"].startswith("TLSv1.")
    reload_schema(shim, bed.keyspace)
    assert len(shim.events("grpc_connected")) == 1, "the connection is kept"


@pytest.mark.parametrize("change, text", [
    ({"vtctld": {"password": "sesame-shut-8"}}, "invalid credentials"),
    ({"vtctld": {"user": "", "password": ""}}, "username and password must be provided"),
    ({"vtctld_tls": {"ca": "other-ca.pem"}}, "TLS: "),
    ({"vtctld_tls": {"server_name": "elsewhere.invalid"}}, "TLS: hostname mismatch"),
    ({"vtctld_tls": {"cert": "", "key": ""}}, "cannot connect to vtctld"),
    ({"vtctld_tls": {"mode": "off", "ca": "", "cert": "", "key": ""}}, "cannot connect to vtctld"),
], ids=["wrong password", "no password", "wrong CA", "wrong name", "no certificate", "no TLS"])
def test_not_let_in(start_shim, bed, table, guarded, change, text):
    """One clear error, nothing submitted, and the session goes on."""
    if change.get("vtctld_tls", {}).get("ca"):
        change = {"vtctld_tls": {"ca": str(guarded.tls.path(change["vtctld_tls"]["ca"]))}}
    shim = start_shim(quick(bed, guarded.settings(), change))
    shim.secret("sesame-open-7", "sesame-shut-8")
    with shim.connect() as connection:
        code, told = refused(connection, f"ALTER TABLE {table} ADD COLUMN never int")
        assert code == 1105 and text in told, told
        connection.ping(reconnect=False)
    assert not bed.migrations(table)
    assert shim.metric("vtshim_ddl_failed_total") == 1


@pytest.mark.parametrize("mode", ["required", "verify-ca"])
def test_less_checked(start_shim, bed, guarded, mode):
    """The other modes of vtctld_tls: a wrong name is let pass, and with `required` any authority."""
    ca = "" if mode == "required" else str(guarded.tls.path("ca.pem"))
    shim = start_shim(quick(bed, guarded.settings(),
                            {"vtctld_tls": {"mode": mode, "ca": ca, "server_name": "elsewhere.invalid"}}))
    reload_schema(shim, bed.keyspace)


def test_tls_where_there_is_none(start_shim, bed):
    shim = start_shim(quick(bed, {"vtctld_tls": {"mode": "required"}}))
    with shim.admin_connect() as connection:
        assert "TLS" in refused(connection, f"RELOAD SCHEMA {bed.keyspace}")[1]


def test_only_listed_users(start_shim, bed, table):
    """vtctld checks nobody's rights, so that the shim does; nobody is listed by default."""
    config = quick(bed)
    config["ddl"] = {**config["ddl"], "vtctld_users": []}
    shim = start_shim(config)
    with shim.connect() as connection:
        code, text = refused(connection, f"ALTER TABLE {table} ADD COLUMN never int")
        assert code == 1044 and "ddl.vtctld_users" in text and bed.user in text
    assert not bed.migrations(table)


def test_long_statements(start_shim, bed, table):
    """Longer than HTTP/2's windows; and a refusal that is too long for headers, as it repeats the statement."""
    shim = start_shim(quick(bed))
    comment = "long enough " * 20000
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int /* {comment} */")
        assert_everywhere(bed, table, "one")
        began = time.monotonic()
        code, text = refused(connection, f"ALTER TABLE {table} ADD /* {comment} */")
        assert code == 1105 and time.monotonic() - began < 15, text
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN two int")
    assert_everywhere(bed, table, "one", "two")
    assert len(shim.events("grpc_connected")) == 1


# Which keyspace.

def test_keyspace_of_the_statement(start_shim, bed, table):
    """Named in the statement, or else the session's; without either there is an error."""
    shim = start_shim(quick(bed))
    with shim.connect(database=None) as connection, connection.cursor() as cursor:
        assert refused(connection, f"ALTER TABLE {table} ADD COLUMN never int")[0] == 1046
        cursor.execute(f"ALTER TABLE {bed.keyspace}.{table} ADD COLUMN one int")
        cursor.execute(f"CREATE INDEX by_one ON `{bed.keyspace}` . `{table}` (one)")
        assert_everywhere(bed, table, "one")
        assert all("by_one" in names for names in bed.indexes(table).values())
        assert refused(connection, f"ALTER TABLE nosuchkeyspace.{table} ADD COLUMN never int")[0] == 1049
        for text in (f"DROP TABLE {bed.keyspace}.{table}, other.t", f"DROP TABLE {bed.keyspace}.{table}, {table}",
                     f"CREATE VIEW {bed.keyspace}.never AS SELECT id FROM {table}",
                     f"CREATE TABLE {bed.keyspace}.never LIKE {table}"):
            assert re.search("one keyspace|two keyspaces", refused(connection, text)[1]), text
    with shim.connect(database=f"{bed.keyspace}@replica") as connection:
        assert "primaries" in refused(connection, f"ALTER TABLE {table} ADD COLUMN never int")[1]


def test_routed_table(start_shim, bed, table):
    """Routing rules are vtgate's: what they lead elsewhere is refused, and not changed where it was not meant."""
    shim = start_shim(quick(bed))
    elsewhere = f"{bed.keyspace}.demo"
    rules = {"rules": [{"fromTable": f"{bed.keyspace}.{table}", "toTables": [elsewhere]}]}
    bed.vtctl("ApplyRoutingRules", "--rules", json.dumps(rules))
    try:
        with shim.connect() as connection:
            text = refused(connection, f"ALTER TABLE {table} ADD COLUMN never int")[1]
            assert elsewhere in text and f"{bed.keyspace}.{table}" in text
    finally:
        bed.vtctl("ApplyRoutingRules", "--rules", '{"rules": []}')
    shim.run(f"ALTER TABLE {table} ADD COLUMN fine int")
    assert_everywhere(bed, table, "fine")


# vtctld goes away, comes back, or is slow.

def test_away_and_back(start_shim, bed, table):
    """Stopped: an error that names it, nothing submitted. Started again: the same session goes on."""
    with Vtctld(bed) as vtctld:
        shim = start_shim(quick(bed, vtctld.settings()))
        with shim.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
            vtctld.stop()
            code, text = refused(connection, f"ALTER TABLE {table} ADD COLUMN two int")
            assert code == 1105 and vtctld.address in text, text
            vtctld.start()
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN two int")
        assert_everywhere(bed, table, "one", "two")
    assert len({row["migration_uuid"] for row in bed.migrations(table)}) == 2


@pytest.mark.parametrize("end", ["complete", "disconnect"])
def test_killed_while_waiting(start_shim, bed, table, end):
    """The migration is followed, and cancelled, over the session's own vtgate."""
    with Vtctld(bed) as vtctld:
        config = merge(quick(bed, vtctld.settings()), POSTPONED)
        shim = start_shim(merge(config, {"ddl": {"on_disconnect": "cancel"}}))
        client = shim.wire(timeout=60)
        client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN waiting int")
        until(lambda: len(bed.migrations(table)) == 2 and all(row["ready_to_complete"] for row in bed.migrations(table)),
              "both shards wait", 60)
        vtctld.stop(kill=True)
        if end == "complete":
            bed.run(f"ALTER VITESS_MIGRATION '{bed.migrations(table)[0]['migration_uuid']}' COMPLETE")
            assert client.read_response().error is None
            assert_everywhere(bed, table, "waiting")
        else:
            client.close()
            until(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"cancelled"}, "it is cancelled")
            shim.wait_event("ddl_cancelled", table=table)


class Trap(Relay):
    """A relay to the bed's vtctld, until some bytes match: then `trap` is called, once, and says whether they go on."""

    def __init__(self, bed: Bed, match: bytes, trap: Callable[["Trap"], bool]):
        super().__init__(bed.vtctld)
        self.match, self.trap, self.sprung = match, trap, False
        self.deaf = False  # what vtctld answers does not arrive

    def carry(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65536):
                if from_client and self.match in data and not self.sprung:
                    self.sprung = True
                    if not self.trap(self):
                        continue
                    sink.sendall(data)
                    self.after()
                elif from_client or not self.deaf:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def after(self) -> None:
        """What happens once the matching bytes have gone through."""


class CutAfter(Trap):
    """The answer to what matches is lost, with the connection, once vtctld has acted on it."""

    def __init__(self, bed: Bed, match: bytes, acted: Callable[[], bool], forever: bool):
        super().__init__(bed, match, self._spring)
        self._acted, self._forever = acted, forever

    def _spring(self, _: Trap) -> bool:
        self.deaf = True
        return True

    def after(self) -> None:
        until(self._acted, "vtctld has acted", 20)
        if self._forever:
            self.close()
        else:
            self.cut()
            self.deaf = False


def relayed(bed: Bed, relay: Trap, **vtctld: object) -> dict:
    return quick(bed, {"vtctld": {"addresses": relay.endpoint, "timeout_ms": 3000, **vtctld}})


@pytest.mark.parametrize("forever", [False, True], ids=["comes back", "stays away"])
def test_answer_lost(start_shim, bed, table, forever):
    """vtctld has submitted it and dies before it says so: the shim finds the migration and goes on, with no second."""
    with CutAfter(bed, b"COLUMN answerlost", lambda: len(bed.migrations(table)) == 2, forever) as relay:
        shim = start_shim(relayed(bed, relay))
        shim.run(f"ALTER TABLE {table} ADD COLUMN answerlost int")
        assert relay.sprung
    assert_everywhere(bed, table, "answerlost")
    assert len(bed.migrations(table)) == 2
    assert shim.metric("vtshim_ddl_completed_total") == 1


def test_request_lost(start_shim, bed, table):
    """The connection breaks before vtctld has read the call: it is submitted again."""
    def cut(relay: Trap) -> bool:
        relay.cut()
        return False

    with Trap(bed, b"COLUMN requestlost", cut) as relay:
        shim = start_shim(relayed(bed, relay))
        shim.run(f"ALTER TABLE {table} ADD COLUMN requestlost int")
        assert relay.sprung
    assert_everywhere(bed, table, "requestlost")
    assert len(bed.migrations(table)) == 2


def test_gone_with_the_request(start_shim, bed, table):
    """The same, and vtctld stays away: an error, and no migration anywhere."""
    def close(relay: Trap) -> bool:
        relay.close()
        return False

    with Trap(bed, b"COLUMN gone", close) as relay:
        shim = start_shim(relayed(bed, relay))
        with shim.connect() as connection:
            code, text = refused(connection, f"ALTER TABLE {table} ADD COLUMN gone int")
            assert code == 1105 and "vtctld" in text and "UNAVAILABLE" in text, text
            connection.ping(reconnect=False)
    assert not bed.migrations(table)
    assert shim.metric("vtshim_ddl_failed_total") == 1


def test_slow_answer(start_shim, bed, table):
    """vtctld does not act within vtctld.timeout_ms: an error that says so, and no migration anywhere."""
    with Trap(bed, b"COLUMN slow", lambda relay: False) as relay:
        shim = start_shim(relayed(bed, relay, timeout_ms=1500))
        began = time.monotonic()
        with shim.connect() as connection:
            code, text = refused(connection, f"ALTER TABLE {table} ADD COLUMN slow int")
        assert code == 1105 and "DEADLINE_EXCEEDED" in text, text
        assert 1.4 < time.monotonic() - began < 20
    assert not bed.migrations(table)


def test_several_addresses(start_shim, bed):
    """One that does not answer, one that refuses, one that works."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        addresses = [f"127.0.0.1:{silent.getsockname()[1]}", f"127.0.0.1:{free_port()}", bed.vtctld]
        shim = start_shim(quick(bed, {"vtctld": {"addresses": addresses}, "timeouts": {"connect_ms": 500}}))
        reload_schema(shim, bed.keyspace)
        assert shim.wait_event("grpc_connected")["address"] == bed.vtctld
        assert [event["address"] for event in shim.events("grpc_connect_failed")] == addresses[:2]


def test_managed_cutover(start_shim, bed, table):
    """ddl.cutover managed: the shards are told to complete by vtctld."""
    shim = start_shim(merge(through_vtctld(bed), {"ddl": {"cutover": "managed", "poll_interval_ms": 100},
                                                    "control": {"user": bed.user, "password": bed.password}}))
    shim.run(f"ALTER TABLE {table} ADD COLUMN together int")
    assert_everywhere(bed, table, "together")
    assert shim.wait_event("ddl_cut_over", table=table)
    assert not shim.events("ddl_complete_failed")


def test_retry(start_shim, bed, table):
    """A failure that is none of the migration's own: vtctld is told to run it again, and it is followed to its end."""
    uuid, failed, complete = "11111111_1111_1111_1111_111111111111", 7, 6

    def migrations(status: int, text: str) -> Callable[[int], bytes]:
        rows = [field(1, uuid) + field(2, bed.keyspace) + field(3, shard) + field(5, table) + field(16, status) +
                (field(25, text) if text else b"") for shard in ("-80", "80-")]
        return good_with(b"".join(field(1, row) for row in rows))

    shards = good_with(b"".join(field(1, field(1, shard)) for shard in ("-80", "80-")))
    passing = migrations(failed, "vttablet: rpc error: Table 'vt_commerce._vt_hld_1' doesn't exist (errno 1146)")
    with FakeGrpc(shards, good, good, good_with(field(1, uuid)), passing, good, migrations(complete, "")) as server:
        shim = start_shim(quick(bed, {"vtctld": {"addresses": server.address}}))
        shim.run(f"ALTER TABLE {table} ADD COLUMN again int")
        assert shim.wait_event("ddl_retry")["uuid"] == uuid
        told = server.requests[5]
        assert field(1, bed.keyspace) + field(2, uuid) in told and b"vtshim" in told, told
    assert not shim.events("ddl_retry_failed") and shim.metric("vtshim_ddl_completed_total") == 1


def test_kill_query_while_waiting(start_shim, bed, table):
    """KILL QUERY ends the wait, whether vtctld is being asked at that moment or not; the migration goes on."""
    shim = start_shim(merge(merge(through_vtctld(bed), POSTPONED), {"ddl": {"poll_interval_ms": 50}}))
    with shim.wire(timeout=60) as client, shim.connect() as other, other.cursor() as cursor:
        client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN waiting int")
        shim.wait_event("ddl_submitted", table=table)
        cursor.execute(f"KILL QUERY {next(int(row['id']) for row in shim.admin('SHOW SESSIONS') if row['waits_for'])}")
        error = client.read_response().error
        assert error.code == 1317 and "goes on" in error.text
        assert client.value("SELECT 1") == "1"
    assert {row["migration_status"] for row in bed.migrations(table)} <= {"queued", "ready", "running"}


# RELOAD SCHEMA, and answers that no vtctld gives.

def test_reload_schema(start_shim, bed):
    shim = start_shim({"vtctld": {"addresses": bed.vtctld}})
    with shim.admin_connect() as connection, connection.cursor() as cursor:
        for target in (bed.keyspace, bed.shards[0], f"`{bed.shards[1]}`;"):
            reload_schema(shim, target)
        assert "nosuch" in refused(connection, "RELOAD SCHEMA nosuch")[1]
        assert "nosuch" in refused(connection, f"RELOAD SCHEMA {bed.keyspace}/nosuch")[1]
        assert refused(connection, "RELOAD SCHEMA")[0] == 1064
        assert refused(connection, f"RELOAD SCHEMA {bed.keyspace} now")[0] == 1064


def test_reload_schema_without_vtctld(start_shim, bed):
    with start_shim().admin_connect() as connection:
        assert "vtctld.addresses" in refused(connection, f"RELOAD SCHEMA {bed.keyspace}")[1]


RESET = lambda code: lambda stream: frame(fake_grpc.RST_STREAM, 0, stream, code.to_bytes(4, "big"))

BAD_ANSWERS = {
    "closed": (None, "lost the connection"),
    "reset": (RESET(fake_grpc.CANCEL), "CANCELLED"),
    "http 503": (lambda s: headers(s, (":status", "503"), end=True), "UNAVAILABLE"),
    "http 404": (lambda s: headers(s, (":status", "404"), ("content-type", "text/html"), end=True), "UNIMPLEMENTED"),
    "a web page": (lambda s: begin(s, kind="text/html") + frame(fake_grpc.DATA, 1, s, b"<html>"), "not as gRPC"),
    "no status": (lambda s: begin(s) + frame(fake_grpc.DATA, 1, s, bytes(5)), "no grpc-status"),
    "no message": (lambda s: begin(s) + trailers(s), "no message"),
    "half a message": (lambda s: begin(s) + message(s, b"xx", claimed=9) + trailers(s), "no message"),
    "two messages": (lambda s: begin(s) + message(s) + message(s) + trailers(s), "more than one message"),
    "compressed": (lambda s: begin(s) + message(s, compressed=1) + trailers(s), "compressed"),
    "too large": (lambda s: begin(s) + message(s, claimed=0xffffffff) + trailers(s), "too large"),
    "no protobuf": (lambda s: begin(s) + message(s, b"\xff\xff\xff") + trailers(s), "malformed"),
    "an odd status": (lambda s: begin(s) + trailers(s, "77", "odd%20%22words%22%0A%"), 'odd "words" % (UNKNOWN)'),
    "refused": (lambda s: headers(s, (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "7"),
                                  ("grpc-message", "go away"), end=True), "go away (PERMISSION_DENIED)"),
    "always refused": (RESET(fake_grpc.REFUSED_STREAM), "refuses the call"),
    "long text": (lambda s: begin(s) + trailers(s, "13", "x" * 12000), "xxx"),
    "garbage": (b"\x00\x00\x04\x99\xff\xff\xff\xff\xff" + b"\xff" * 300, "lost the connection"),
    "a header that is none": (lambda s: frame(fake_grpc.HEADERS, 5, s, b"\xff\xff\xff\xff"), "lost the connection"),
    "silence": (b"", "DEADLINE_EXCEEDED"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answer(start_shim, name):
    """Each ends in one error with a text; the next call is answered."""
    answer, text = BAD_ANSWERS[name]
    bad = [answer] * (6 if name == "always refused" else 1)
    with FakeGrpc(*bad, good) as server:
        shim = start_shim({"vtctld": {"addresses": server.address, "timeout_ms": 1000}})
        with shim.admin_connect() as connection, connection.cursor() as cursor:
            told = refused(connection, "RELOAD SCHEMA commerce")[1]
            assert text in told, told
            until(lambda: cursor.execute("RELOAD SCHEMA commerce") == 0, "the next is answered")


BAD_GREETINGS = {
    "MySQL": b"\x4a\x00\x00\x00\x0a8.0.30\x00" + bytes(60),
    "HTTP/1": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "no settings": frame(fake_grpc.PING, 0, 0, bytes(8)),
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD_GREETINGS)
def test_no_http2(start_shim, name):
    with FakeGrpc(None, greeting=BAD_GREETINGS[name]) as server:
        shim = start_shim({"vtctld": {"addresses": server.address}, "timeouts": {"connect_ms": 700}})
        with shim.admin_connect() as connection:
            told = refused(connection, "RELOAD SCHEMA commerce")[1]
            assert f"cannot connect to vtctld {server.address}" in told, told
            assert ("takes too long" if name == "nothing" else "HTTP/2") in told, told


def test_refused_once(start_shim):
    """What the server has not looked at is sent again."""
    with FakeGrpc(RESET(fake_grpc.REFUSED_STREAM), good) as server:
        start_shim({"vtctld": {"addresses": server.address}}).admin("RELOAD SCHEMA commerce")
        assert (server.calls, server.connections) == (2, 1)


def test_goaway(start_shim):
    """A server that says GOAWAY finishes its call; the next goes over a new connection."""
    goaway = lambda last: frame(fake_grpc.GOAWAY, 0, 0, last.to_bytes(4, "big") + bytes(4))
    with FakeGrpc(lambda s: goaway(s) + good(s), lambda s: goaway(0), good) as server:
        shim = start_shim({"vtctld": {"addresses": server.address}})
        shim.admin("RELOAD SCHEMA commerce")
        shim.admin("RELOAD SCHEMA commerce")  # its first try is not looked at
        assert (server.calls, server.connections) == (3, 3)


def test_silent_connection_is_given_up(start_shim):
    """After a deadline the server is pinged, and without an answer there is a new connection."""
    with FakeGrpc(b"", good) as server:
        shim = start_shim({"vtctld": {"addresses": server.address, "timeout_ms": 300}})
        with shim.admin_connect() as connection:
            assert "DEADLINE_EXCEEDED" in refused(connection, "RELOAD SCHEMA commerce")[1]
        until(lambda: server.pings == 1, "a ping")
        shim.wait_event("grpc_connection_ended", reason="it does not answer any more")
        shim.admin("RELOAD SCHEMA commerce")
        assert server.connections == 2


def test_calls_at_the_end(start_shim):
    """SIGTERM while a call is under way: it is answered, and the process ends."""
    with FakeGrpc(b"") as server:
        shim = start_shim({"vtctld": {"addresses": server.address}, "timeouts": {"shutdown_s": 0}})
        with shim.admin_connect() as connection:
            connection._execute_command(wire.COM_QUERY, "RELOAD SCHEMA commerce")
            until(lambda: server.calls == 1, "the call is under way")
            shim.terminate()
            with pytest.raises(pymysql.Error) as error:
                connection._read_query_result()
            assert "the shim is ending" in error.value.args[1]
        assert shim.wait() == 0
