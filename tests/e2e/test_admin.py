"""The admin port: any MySQL client, its users, its commands, and what clients ask unbidden."""

from __future__ import annotations

import hashlib
import json
import signal

import mysql.connector
import pymysql
import pytest

from lib import wire
from lib.clients import go_ddl, mariadb
from lib.poll import until
from lib.ports import free_port
from lib.wire import BASIC, DEPRECATE_EOF, Wire, WireError, text_row

PASSWORD = "an-operators-password"


def native_hash(password: str) -> str:
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def sha2_hash(password: str) -> str:
    return "$sha2$" + hashlib.sha256(hashlib.sha256(password.encode()).digest()).hexdigest()


USERS = {"native": native_hash(PASSWORD), "sha2": sha2_hash(PASSWORD), "plain": PASSWORD}


@pytest.fixture
def guarded(start_shim):
    """A shim with three users whose password is kept in different ways."""
    shim = start_shim({"admin_users": USERS})
    shim.secret(PASSWORD, *USERS.values())
    return shim


@pytest.mark.parametrize("user", USERS)
def test_login_with_every_client(guarded, user):
    """PyMySQL, the connector, mariadb and Go, for each way a password is kept."""
    host, port = guarded.admin_address
    with guarded.admin_connect(user=user, password=PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VERSION")
        assert "vtshim" in cursor.fetchall()[0]
    connection = mysql.connector.connect(host=host, port=port, user=user, password=PASSWORD, use_pure=True,
                                         ssl_disabled=True)
    cursor = connection.cursor()
    cursor.execute("SHOW HOLDS")
    assert cursor.fetchall() == []
    connection.close()
    done = mariadb(guarded.admin_address, user, PASSWORD, "SHOW VERSION;", "-t")
    assert done.status == 0 and "vtshim" in done.out, done.err
    answer, = go_ddl(f"{user}:{PASSWORD}@tcp({host}:{port})/", "SHOW VERSION")
    assert "error" not in answer and answer["rows"][0][0] == "vtshim", answer


@pytest.mark.parametrize("user, password", [("native", "wrong-password"), ("sha2", "wrong-password"), ("native", ""),
                                            ("sha2", ""), ("stranger", PASSWORD), ("", ""), ("native", USERS["native"]),
                                            ("sha2", USERS["sha2"])],
                         ids=["native", "sha2", "native-empty", "sha2-empty", "stranger", "nobody", "native-hash",
                              "sha2-hash"])
def test_refused(guarded, user, password):
    """Wrong passwords, empty ones, strangers, and the hash itself: 1045, and a line in the log."""
    with pytest.raises(pymysql.Error) as refused:
        guarded.admin_connect(user=user, password=password)
    assert refused.value.args[0] == 1045 and "Access denied" in refused.value.args[1]
    assert guarded.wait_event("admin_login_failed")
    done = mariadb(guarded.admin_address, user or "nobody", password or "x", "HOLD ALL")
    assert done.status != 0 and "1045" in done.err
    assert guarded.http("/metrics")[1].count("\nvtshim_holds 0\n") == 1


ROLES = {"grafana": "viewer", "oncall": "operator", "root": "admin"}


def test_roles(start_shim, tmp_path):
    """Each command says which role it needs; who lacks it gets 1227, and the audit log has the attempt."""
    audit = tmp_path / "audit.log"
    shim = start_shim({"audit": {"file": str(audit)},
                       "admin_users": {name: {"password": sha2_hash(PASSWORD), "role": role}
                                       for name, role in ROLES.items()}})

    def run(user: str, command: str) -> int:
        with shim.admin_connect(user=user, password=PASSWORD) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(command)
            except pymysql.Error as error:
                return error.args[0]
            return 0

    assert [run(user, "SHOW SESSIONS") for user in ROLES] == [0, 0, 0]
    assert [run(user, "HOLD ALL FOR 1") for user in ROLES] == [1227, 0, 0]
    assert [run(user, "RELOAD") for user in ROLES] == [1227, 1227, 0]
    assert shim.wait_event("admin_denied", user="grafana", command="HOLD", role="viewer")
    until(lambda: len(audit.read_text().splitlines()) == 6, "every attempt is in the audit log")
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["user"], line["statement"], line.get("code", 0)) for line in lines][3:] == [
        ("grafana", "RELOAD", 1227), ("oncall", "RELOAD", 1227), ("root", "RELOAD", 0)]
    rights = {row["command"].split()[0]: row["right"] for row in shim_help(shim, "grafana")}
    assert rights["HOLD"] == "operator" and rights["RELOAD"] in ("operator", "admin") and rights["SELECT"] == "viewer"


def shim_help(shim, user: str) -> list[dict]:
    with shim.admin_connect(user=user, password=PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute("HELP")
        names = [column[0].lower() for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


def test_a_changed_role_holds_at_once(start_shim):
    """RELOAD changes what those who are logged in may do."""
    shim = start_shim({"admin_users": {"sre": PASSWORD, "other": PASSWORD}})
    shim.secret(PASSWORD)
    with shim.admin_connect(user="other", password=PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute("HOLD ALL FOR 1")
        shim.write_config({"admin_users": {"other": {"password": PASSWORD, "role": "viewer"}}})
        shim.process.send_signal(signal.SIGHUP)
        shim.wait_event("reloaded", changed=1)
        with pytest.raises(pymysql.Error) as denied:
            cursor.execute("HOLD ALL FOR 1")
        assert denied.value.args[0] == 1227 and "operator" in denied.value.args[1]


def test_only_ones_own_connection_is_killed(start_shim):
    """A viewer may end what they began themselves (Ctrl-C), and no one else's; an operator anybody's."""
    shim = start_shim({"admin_users": {"one": {"password": PASSWORD, "role": "viewer"},
                                       "two": {"password": PASSWORD, "role": "viewer"}, "sre": PASSWORD}})
    shim.secret(PASSWORD)
    connections = {name: shim.admin_connect(user=name, password=PASSWORD) for name in ("one", "two", "sre")}
    for killer, victim, code in (("two", "one", 1094), ("one", "one", 0), ("sre", "two", 0)):
        try:
            with shim.admin_connect(user=killer, password=PASSWORD) as connection, connection.cursor() as cursor:
                cursor.execute(f"KILL {connections[victim].thread_id()}")
            assert code == 0
        except pymysql.Error as error:
            assert error.args[0] == code


def test_a_user_may_need_a_certificate(start_shim, certificates):
    """Password and certificate, or nothing; the wrong name in it is as good as none."""
    shim = start_shim({"admin_users": {"sre": {"password": PASSWORD, "certificate": "app"},
                                       "other": {"password": PASSWORD, "certificate": "somebody else"}},
                       "tls": {"cert": str(certificates.path("server.pem")), "ca": str(certificates.path("ca.pem")),
                               "key": str(certificates.path("server-key.pem"))}})
    shim.secret(PASSWORD)
    ssl = {"ca": str(certificates.path("ca.pem")), "check_hostname": False,
           "cert": str(certificates.path("client.pem")), "key": str(certificates.path("client-key.pem"))}
    with shim.admin_connect(password=PASSWORD, ssl=ssl) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VERSION")
    for user, options in (("other", {"ssl": ssl}), ("sre", {"ssl_disabled": True})):
        with pytest.raises(pymysql.Error) as refused:
            shim.admin_connect(user=user, password=PASSWORD, **options)
        assert refused.value.args[0] == 1045


def test_without_users_everybody_from_here(shim):
    """No admin_users: any name from loopback, with or without a password."""
    for user, password in (("root", ""), ("sre", "whatever"), ("", "")):
        with shim.admin_connect(user=user, password=password) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW HOLDS")


def test_tls_when_there_is_a_certificate(start_shim, certificates):
    """The admin port speaks TLS with the certificate of the other port."""
    shim = start_shim({"admin_users": {"sre": sha2_hash(PASSWORD)},
                       "tls": {"cert": str(certificates.path("server.pem")),
                               "key": str(certificates.path("server-key.pem"))}})
    shim.secret(PASSWORD)
    ssl = {"ca": str(certificates.path("ca.pem")), "check_hostname": False}
    with shim.admin_connect(password=PASSWORD, ssl=ssl) as connection, connection.cursor() as cursor:
        assert connection._sock.version().startswith("TLSv1.")
        cursor.execute("SHOW VERSION")
        assert cursor.fetchall()


@pytest.mark.parametrize("command, columns", [
    ("HELP", 2), ("SHOW HOLDS", 5), ("SHOW SESSIONS", 5), ("SHOW MIGRATIONS", 5), ("SHOW STATS", 2), ("SHOW CONFIG", 2),
    ("SHOW VERSION", 2), ("show version", 2), ("  SHOW  /* c */ VERSION ; ", 2), ("-- c\nSHOW VERSION", 2),
])
def test_every_command(shim, command, columns):
    with shim.admin_connect() as connection, connection.cursor() as cursor:
        cursor.execute(command)
        assert cursor.description and len(cursor.description) >= columns
        rows = cursor.fetchall()
    empty = {"SHOW HOLDS", "SHOW SESSIONS", "SHOW MIGRATIONS"}
    assert (len(rows) == 0) == (command in empty), rows


def test_help_names_every_command(shim):
    text = " ".join(str(value) for row in shim.admin("HELP") for value in row.values())
    for word in ("HOLD", "RELEASE", "SHOW HOLDS", "SHOW SESSIONS", "SHOW MIGRATIONS", "SHOW STATS", "SHOW CONFIG",
                 "SHOW VERSION", "HELP", "KEYSPACE", "TABLE", "FOR", "REASON"):
        assert word in text, word


def test_show_config(start_shim, bed):
    """Every setting with its value in force; passwords are not among what is shown."""
    shim = start_shim({"admin_users": {"sre": PASSWORD}, "ddl": {"poll_interval_ms": 250},
                       "control": {"user": bed.user, "password": bed.password}})
    shim.secret(PASSWORD)
    with shim.admin_connect(password=PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW CONFIG")
        rows = cursor.fetchall()
    values = {row[0]: row[1] for row in rows}
    assert values["ddl.poll_interval_ms"] == "250" and values["hold.max_wait_ms"] == "30000"
    assert values["vtgate"] == ",".join(bed.endpoints) and len(values) > 35
    assert PASSWORD not in str(rows) and bed.password not in str(rows)


def test_show_sessions(shim, bed):
    """Who is connected from where to which vtgate, in which keyspace, and what it is doing."""
    with shim.wire() as idle, shim.wire() as busy:
        assert idle.query("USE `commerce/-80`").error is None
        assert idle.query("BEGIN").error is None
        busy.send(wire.COM_QUERY, "SELECT sleep(20)")

        def sessions() -> dict[str, dict]:
            return {row["client"]: row for row in shim.admin("SHOW SESSIONS")}

        until(lambda: sessions()["%s:%d" % busy.socket.getsockname()]["state"] == "response", "one is at work")
        rows = sessions()
        ours = rows["%s:%d" % idle.socket.getsockname()]
        assert (ours["user"], ours["target"], ours["state"]) == (bed.user, "commerce/-80", "idle")
        assert ours["in_transaction"] == "yes" and int(ours["commands"]) == 2
        assert ours["vtgate"] in bed.endpoints and int(ours["id"]) == idle.greeting.connection_id


def test_show_stats(shim):
    """The same numbers as /metrics."""
    shim.run("SELECT 1")
    rows = {row["name"]: row["value"] for row in shim.admin("SHOW STATS")}
    assert int(rows["vtshim_logins_total"]) == 1
    assert float(rows["vtshim_commands_total"]) == shim.metric("vtshim_commands_total") >= 1


@pytest.mark.parametrize("text", [
    "HOLD", "HOLD EVERYTHING", "HOLD TABLE", "HOLD TABLE demo", "HOLD TABLE commerce.", "HOLD KEYSPACE",
    "HOLD ALL FOR", "HOLD ALL FOR ever", "HOLD ALL FOR 0", "HOLD ALL FOR -5", "HOLD ALL FOR 99999999999999999999",
    "HOLD ALL REASON", "HOLD ALL REASON unquoted", "HOLD ALL REASON 'unfinished", "HOLD ALL ALL", "RELEASE",
    "RELEASE demo", "RELEASE 1 2", "SHOW", "SHOW NOTHING", "SHOW HOLDS nonsense", "DROP TABLE demo", "HELP ME",
    "SELECT * FROM demo", "SELECT nope()", "INSERT INTO x VALUES (1)", "", "HOLD TABLE " + "a" * 70 + ".b",
])
def test_syntax_errors(shim, text):
    """1064 with what was expected (1065 for nothing at all), and the connection is kept."""
    with Wire(shim.admin_address) as client:
        client.login("sre", "")
        error = client.query(text).error
        assert error is not None and error.code in (1064, 1065), (text, error)
        assert client.query("SHOW HOLDS").error is None
    assert shim.metric("vtshim_holds") == 0


def test_unknown_hold(shim):
    with pytest.raises(pymysql.Error) as unknown:
        shim.admin("RELEASE 77")
    assert unknown.value.args[0] == 1094 and "77" in unknown.value.args[1]
    assert shim.admin("RELEASE ALL") == []


@pytest.mark.parametrize("text", [
    "SET NAMES utf8mb4", "SET autocommit=1", "SET SESSION sql_mode='ANSI'", "SELECT @@version_comment LIMIT 1",
    "select @@version_comment limit 1", "SELECT @@max_allowed_packet", "SELECT @@session.autocommit", "SELECT 1",
    "SELECT VERSION()", "SELECT DATABASE()", "SELECT USER()", "SHOW WARNINGS", "SELECT 'text', 5",
    "SELECT @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS c, @@wait_timeout",
    "ROLLBACK", "COMMIT",
])
def test_what_clients_ask_unbidden(shim, text):
    """The start-up queries of clients, drivers and pools are answered."""
    with Wire(shim.admin_address) as client:
        client.login("sre", "")
        response = client.query(text)
        assert response.error is None, (text, response.error)


def test_mariadb_session(shim):
    """A whole session as an operator types it."""
    done = mariadb(shim.admin_address, "sre", "", "HELP;\nHOLD TABLE commerce.demo FOR 30 REASON 'typed in';\n"
                   "SHOW HOLDS;\nRELEASE ALL;\nSHOW HOLDS;\n", "-t", "-vv")
    assert done.status == 0, done.err
    assert "typed in" in done.out and "table commerce.demo" in done.out and "Query OK, 1 row affected" in done.out


@pytest.mark.parametrize("capabilities", [BASIC, BASIC | DEPRECATE_EOF, wire.PROTOCOL_41 | wire.SECURE_CONNECTION],
                         ids=["eof", "deprecate-eof", "oldest"])
def test_old_and_new_protocol(shim, capabilities):
    """Results in either framing; pings, INIT_DB and unknown commands."""
    with Wire(shim.admin_address) as client:
        client.login("sre", "", capabilities=capabilities)
        assert text_row(client.query("SHOW VERSION").rows[0])[0] == b"vtshim"
        assert client.command(wire.COM_PING).error is None
        assert client.command(0x50, b"x").error.code == 1047
        client.send(wire.COM_QUERY, "SHOW VERSION")
        client.send(wire.COM_QUERY, "SHOW HOLDS")
        assert client.read_response().error is None and client.read_response().error is None
        client.send(wire.COM_QUIT)
        assert client.socket.recv(1) == b""


def test_statement_too_large(shim):
    """The admin port needs no large statements: refused or cut off, and the shim lives on."""
    with Wire(shim.admin_address) as client:
        client.login("sre", "")
        try:
            error = client.query("HOLD ALL REASON '" + "x" * (3 << 20) + "'").error
            assert error.code in (1153, 1064)
        except (wire.ConnectionEnded, ConnectionError):
            pass
    assert shim.admin("SHOW HOLDS") == []


def test_admin_port_can_be_off(start_shim):
    """admin="": nobody listens there, and the rest works."""
    shim = start_shim({"admin": ""})
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    with pytest.raises(ConnectionRefusedError):
        Wire(shim.admin_address)


def test_admin_works_while_applications_do_not_get_in(start_shim):
    """Neither a hold on all nor limits.max_connections nor dead vtgates lock the operator out."""
    shim = start_shim({"limits": {"max_connections": 1}})
    with shim.wire():
        shim.hold("ALL")
        assert len(shim.admin("SHOW HOLDS")) == 1 and len(shim.admin("SHOW SESSIONS")) == 1
    dead = start_shim({"vtgate": f"127.0.0.1:{free_port()}"})
    assert dead.admin("SHOW VERSION")


def test_auth_switch_by_hand(guarded):
    """A native answer for a sha2 user, and the other way round: the server asks to switch."""
    for user, plugin, answer in (("native", "caching_sha2_password", bytes(32)), ("native", "", b"")):
        with Wire(guarded.admin_address) as client:
            client.login(user, PASSWORD, plugin=plugin, auth=answer)
            assert client.query("SHOW VERSION").error is None
    with Wire(guarded.admin_address) as client, pytest.raises((WireError, AssertionError, wire.ConnectionEnded)):
        client.login("sha2", "wrong", plugin="mysql_native_password")
