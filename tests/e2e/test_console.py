"""The console: what it shows, filters, settings at run time, sessions, the end; any driver, prepared or not."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess

import mysql.connector
import pymysql
import pytest

from lib.api import Api, token_hash
from lib.clients import mariadb
from lib.poll import until
from lib.wire import Wire

SHOWS = {"HELP": "right", "VERSION": "version", "CONFIG": "value", "OPTIONS": "changed_by", "SESSIONS": "state",
         "TRANSACTIONS": "open_s", "HOLDS": "scope", "PARKED": "waited_s", "MIGRATIONS": "status", "VTGATES": "health",
         "WORKERS": "commands", "LISTENERS": "address", "DIGESTS": "seen", "ERRORS": "sent", "MEMORY": "bytes",
         "STATS": "kind", "USERS": "role", "AUDIT": "event"}


def columns(cursor) -> list[str]:
    return [column[0].lower() for column in cursor.description]


def test_every_show_takes_a_filter(shim):
    """Each has a column to look for; a filter that nothing passes leaves no row, an unknown column is error 1054."""
    with shim.admin_connect() as connection, connection.cursor() as cursor:
        for what, column in SHOWS.items():
            cursor.execute(f"SHOW {what}")
            assert column in columns(cursor), what
            cursor.execute(f"SHOW {what} LIKE 'no such thing'")
            assert not cursor.fetchall(), what
            cursor.execute(f"SHOW {what} WHERE {column} = 'no such thing'")
            assert not cursor.fetchall(), what
            with pytest.raises(pymysql.Error) as unknown:
                cursor.execute(f"SHOW {what} WHERE nosuch = 1")
            assert unknown.value.args[0] == 1054, what


def test_filters(shim):
    assert [row["name"] for row in shim.admin("SHOW CONFIG LIKE 'hold.max\\_%'")] == [
        "hold.max_ttl_s", "hold.max_wait_ms", "hold.max_parked"]
    rows = shim.admin("SHOW STATS WHERE kind = 'gauge' AND name LIKE '%sessions'")
    assert {row["name"] for row in rows} == {"vtshim_sessions", "vtshim_parked_sessions", "vtshim_retrying_sessions"}
    assert [row["code"] for row in shim.admin("SHOW ERRORS WHERE code > 3000")] == ["3159"]
    for text in ("SHOW CONFIG LIKE", "SHOW CONFIG WHERE", "SHOW CONFIG WHERE name", "SHOW CONFIG ORDER BY name",
                 "HOLD ALL LIKE 'x'"):
        with pytest.raises(pymysql.Error) as refused:
            shim.admin(text)
        assert refused.value.args[0] == 1064, text


def test_prepared_statements(shim):
    """With parameters and without, more than once, and as many as are allowed."""
    host, port = shim.admin_address
    connection = mysql.connector.connect(host=host, port=port, user="sre", password="", use_pure=True, ssl_disabled=True)
    cursor = connection.cursor(prepared=True)
    for name in ("hold.max_wait_ms", "ddl.queue", "it's \\ not there"):
        cursor.execute("SHOW CONFIG WHERE name = %s", (name,))
        assert [row[0] for row in cursor.fetchall()] == ([] if "not" in name else [name])
    cursor.execute("SHOW VERSION")
    assert cursor.fetchall()[0][0] == "vtshim"
    cursor.execute("SHOW ERRORS WHERE code >= %s AND sent = %s", (1429, 0))
    assert len(cursor.fetchall()) >= 2
    cursor.execute("HOLD KEYSPACE nowhere FOR %s REASON %s", (30, "a 'reason'"))
    assert cursor.fetchall()[0][1] == "keyspace nowhere"
    assert [row["reason"] for row in shim.admin("SHOW HOLDS")] == ["a 'reason'"]
    cursor.execute("RELEASE ALL")
    # As drivers send numbers whose language has no integers.
    cursor.execute("HOLD KEYSPACE nowhere FOR %s", (25.0,))
    assert cursor.fetchall()[0][3] == "25"
    cursor.execute("RELEASE ALL")
    with pytest.raises(mysql.connector.Error) as refused:
        cursor.execute("HOLD KEYSPACE nowhere FOR %s", (2.5,))
    assert refused.value.errno == 1064
    with pytest.raises(mysql.connector.Error) as wrong:
        cursor.execute("SHOW NOTHING")
    assert wrong.value.errno == 1064
    cursor.close()
    connection.close()
    with Wire(shim.admin_address) as client:
        client.login("sre", "")
        client.send(0x16, "SHOW VERSION WHERE name = ?")
        ok = client.read_packet()
        assert ok[0] == 0 and int.from_bytes(ok[7:9], "little") == 1


def test_set(start_shim, tmp_path):
    """SET changes what RELOAD could, within the bounds, until the file is read again; it is audited."""
    audit = tmp_path / "audit.log"
    shim = start_shim({"audit": {"file": str(audit)}})
    assert shim.admin("SET hold.max_wait_ms = 1234") == [{"setting": "hold.max_wait_ms", "old": "30000", "new": "1234"}]
    assert shim.admin("SET OPTION compression = off") == [{"setting": "compression", "old": "true", "new": "false"}]
    assert shim.admin("SET ddl.policy = 'reject user=x,async table=y_*'")[0]["new"] == "reject user=x,async table=y_*"
    assert shim.admin("LOG LEVEL debug")[0]["new"] == "debug"
    shim.run("SELECT 1")
    assert shim.wait_event("login")
    for text, said in (("SET hold.max_wait_ms = 0", "minimum"), ("SET hold.max_wait_ms = soon", "number"),
                       ("SET hold.max_wait_ms = -5", "minimum"), ("SET limits.memory_bytes = 512", "at least 8388608"),
                       ("SET hold.max_wait = 1", "hold.max_wait_ms"), ("SET workers = 3", "restart"),
                       ("SET control.password = 'secret-of-mine'", "configuration file"),
                       ("SET hold.default_ttl_s = 86400", "hold.max_ttl_s"), ("LOG LEVEL loud", "log.level"),
                       ("SET tls.cert = '/nonexistent.pem'", "tls.key")):
        with pytest.raises(pymysql.Error) as refused:
            shim.admin(text)
        assert refused.value.args[0] == 1231 and said in refused.value.args[1], refused.value
    assert shim.admin("SHOW CONFIG WHERE name = 'hold.max_wait_ms'")[0]["value"] == "1234"
    assert shim.admin("SET hold.max_wait_ms = DEFAULT")[0]["new"] == "30000"
    shim.admin("SET autocommit = 1")
    assert {row["setting"] for row in shim.admin("RELOAD")} == {"compression", "ddl.policy", "log.level"}
    until(lambda: "SET OPTION compression" in audit.read_text(), "it is audited")
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert not any("autocommit" in line["statement"] for line in lines)
    recent = shim.admin("SHOW AUDIT WHERE statement LIKE 'SET hold%' AND code = 1231")
    assert len(recent) == 5, recent


@pytest.mark.parametrize("file", ("audit.log", "-"))
def test_the_value_of_a_secret_is_not_kept(start_shim, tmp_path, file):
    """SET of one is refused, by whichever way and in whatever form it comes; the audit log says that it was tried, and not its value."""
    token, value, password = "the-token-of-root", "a-value-for-nobody", "of-the-console"
    audit = file if file == "-" else str(tmp_path / file)
    shim = start_shim({"audit": {"file": audit}, "http_tokens": {"root": token_hash(token)},
                       "admin_users": {"sre": password, "oncall": {"password": token_hash(value), "role": "operator"}}})
    shim.secret(token, value, password)
    texts = [f"SET control.password = '{value}'", f"SET OPTION http_tokens = '{value}'", f"SET admin_users = {{'{value}': ''}}",
             f"SET control.password = '{value}' '{value}'", f"SET control.password = '{value}", f"SET control.pasword = '{value}'",
             f"/* again */ SET OPTION 'control.password' = '{value}'"]
    for text in texts:
        with pytest.raises(pymysql.Error):
            shim.admin(text, password=password)
    with pytest.raises(pymysql.Error) as denied:
        shim.admin(texts[0], user="oncall", password=value)
    assert denied.value.args[0] == 1227
    with mysql.connector.connect(host=shim.admin_address[0], port=shim.admin_address[1], user="sre", password=password, use_pure=True,
                                 ssl_disabled=True) as connection, connection.cursor(prepared=True) as cursor:
        with pytest.raises(mysql.connector.Error):
            cursor.execute("SET control.password = %s", (value,))
    api = Api(shim, token)
    assert api("POST", "config/control.password", {"value": value}).status == 422
    statements = [row["statement"] for row in shim.admin("SHOW AUDIT", password=password)]
    assert len(statements) == len(texts) + 3 and not any(value in statement for statement in statements)
    assert statements.count("SET control.password = '******'") == 6 and "SET http_tokens = '******'" in statements
    if file != "-":
        # And SHOW AUDIT itself, which ends behind its own answer.
        until(lambda: len((tmp_path / file).read_text().splitlines()) == len(statements) + 1, "all are written")
        assert value not in (tmp_path / file).read_text()


def test_sessions(start_shim, bed):
    """Open transactions and parked sessions are shown; KILL SESSION ends one."""
    shim = start_shim({"ddl": {"watch_columns": 1}})
    with shim.wire() as client, shim.wire() as parked:
        own = client.greeting.connection_id
        assert client.query("BEGIN").error is None
        assert client.query("SELECT id FROM demo WHERE id = 987654321").error is None
        row, = shim.admin("SHOW TRANSACTIONS")
        assert (row["session"], row["user"], row["state"]) == (str(own), bed.user, "idle")
        assert float(row["open_s"]) < 60
        assert [row for row in shim.admin("SHOW DIGESTS LIKE 'SELECT id FROM demo WHERE id = ?'") if int(row["seen"]) == 1]
        hold = shim.hold("ALL FOR 30")
        parked.send(3, "SELECT 1")
        row, = until(lambda: shim.admin("SHOW PARKED"), "it is parked")
        assert (row["session"], row["hold"], row["place"]) == (str(parked.greeting.connection_id), str(hold), "1")
        shim.admin("RELEASE ALL")
        assert parked.read_response().error is None
        assert sum(int(row["sessions"]) for row in shim.admin("SHOW WORKERS")) == 2
        shim.admin(f"KILL SESSION {own}")
        with pytest.raises((ConnectionError, EOFError, Exception)):
            client.query("SELECT 1")
        until(lambda: shim.admin("SHOW TRANSACTIONS") == [], "it is gone")
        with pytest.raises(pymysql.Error) as unknown:
            shim.admin(f"KILL SESSION {own}")
        assert unknown.value.args[0] == 1094
        assert parked.query("SELECT 1").error is None


def test_the_process(start_shim, bed):
    """Listeners, memory, users, errors that were sent; DRAIN turns balancers away, and nothing else."""
    shim = start_shim({"limits": {"max_connections": 1}})
    addresses = {row["setting"]: row["address"] for row in shim.admin("SHOW LISTENERS")}
    assert addresses == {"listen": "%s:%d" % shim.listen, "admin": "%s:%d" % shim.admin_address,
                         "http": "%s:%d" % shim.http_address}
    assert int(shim.admin("SHOW MEMORY WHERE name = 'resident'")[0]["bytes"]) > 1 << 20
    assert shim.admin("SHOW USERS") == []
    until(lambda: shim.http("/readyz")[0] == 200, "it is ready")
    assert shim.metric("vtshim_ready") == 1
    shim.admin("DRAIN")
    assert shim.http("/readyz")[0] == 503 and shim.metric("vtshim_ready") == 0
    with shim.wire() as client:
        assert client.value("SELECT 1") == "1"
        with pytest.raises(Exception):
            shim.wire()
    assert shim.admin("SHOW ERRORS WHERE name = 'TOO_MANY_CONNECTIONS'")[0]["sent"] == "1"
    shim.admin("RESUME")
    assert shim.http("/readyz")[0] == 200
    for gate in bed.endpoints:
        assert shim.http("/readyz")[0] == 200
        shim.admin(f"DRAIN VTGATE '{gate}'")
    assert shim.http("/readyz") == (503, "every vtgate is drained\n"), "nobody would get a session"
    shim.admin(f"RESUME VTGATE '{bed.endpoints[0]}'")
    assert shim.http("/readyz")[0] == 200


@pytest.mark.threads
def test_shutdown(start_shim):
    """SHUTDOWN is SIGTERM; with WAIT however long the last transaction takes, until somebody says otherwise."""
    shim = start_shim({"timeouts": {"shutdown_s": 1}})
    with shim.wire() as client, shim.admin_connect() as connection, connection.cursor() as cursor:
        assert client.query("BEGIN").error is None
        cursor.execute("SHUTDOWN WAIT")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(shim.listen)
        with pytest.raises(AssertionError):
            until(lambda: shim.process.poll() is not None, "it does not end", 2.5)
        assert client.query("COMMIT").error is None
        assert shim.wait(10) == 0
    shim = start_shim({"timeouts": {"shutdown_s": 1}})
    with shim.wire() as client:
        assert client.query("BEGIN").error is None
        shim.admin("SHUTDOWN")
        assert shim.wait(10) == 0


@pytest.mark.parametrize("password", ["", "any"])
def test_without_users_any_password_will_do(shim, password):
    """Whichever client, and whatever stands in its option file."""
    host, port = shim.admin_address
    cli = subprocess.run(["mariadb", "--no-defaults", "-h", host, "-P", str(port), "-u", "somebody", "-N", "-e", "SHOW VERSION LIKE 'vtshim'"],
                         env=os.environ | {"MYSQL_PWD": password}, capture_output=True, text=True, timeout=20, check=False)
    assert cli.returncode == 0 and cli.stdout.startswith("vtshim"), cli.stderr
    with pymysql.connect(host=host, port=port, user="somebody", password=password) as connection:
        connection.ping()
    with mysql.connector.connect(host=host, port=port, user="somebody", password=password) as connection:
        connection.ping()


def test_unknown_commands(shim):
    """The word that is not known, and where to look; a column that was never read is NULL, not 0."""
    with pytest.raises(pymysql.Error) as refused:
        shim.admin("SHOW POOLS")
    assert refused.value.args[0] == 1064 and "(SHOW HELP lists them) near 'POOLS'" in refused.value.args[1]
    assert {row["hit_percent"] for row in shim.admin("SHOW VTGATES")} == {None}


def test_what_mysql_shows(start_shim, bed):
    """PROCESSLIST, VARIABLES, STATUS, DATABASES, TABLES by habit: MySQL's columns, no literal, no secret; the rest names SHOW HELP."""
    shim = start_shim({"control": {"user": bed.user, "password": bed.password}})
    with shim.wire() as idle, shim.wire() as parked:
        assert idle.query("BEGIN").error is None
        hold = shim.hold("TABLE commerce.demo FOR 60")
        parked.send(3, "SELECT id FROM demo WHERE id = 987654321 AND name = 'a-literal-of-mine'" + " AND id IS NOT NULL" * 9)
        until(lambda: shim.admin("SHOW PARKED"), "it is parked")
        rows = {row["id"]: row for row in shim.admin("SHOW PROCESSLIST")}
        row = rows[str(parked.greeting.connection_id)]
        assert (row["user"], row["command"], row["state"]) == (bed.user, "Query", f"parked behind hold {hold}")
        assert re.fullmatch(r"127\.0\.0\.1:\d+", row["host"]) and 0 <= int(row["time"]) < 30
        assert row["info"].startswith("SELECT id FROM demo WHERE id = ? AND name = ?") and len(row["info"]) <= 100, row
        full, = shim.admin("SHOW FULL PROCESSLIST WHERE Info LIKE 'SELECT id FROM demo%'")
        assert full["info"].count("IS NOT NULL") == 9 and "literal-of" not in str(full)
        other = rows[str(idle.greeting.connection_id)]
        assert (other["command"], other["state"], other["info"]) == ("Sleep", "in transaction", None)
        with shim.admin_connect() as connection, connection.cursor() as cursor:
            cursor.execute("SHOW PROCESSLIST")
            assert [c[0] for c in cursor.description] == ["Id", "User", "Host", "db", "Command", "Time", "State", "Info"]
        with pytest.raises(pymysql.Error) as own:
            shim.admin("KILL 4000000000")
        assert own.value.args[0] == 1094 and "KILL SESSION" in own.value.args[1]
        shim.admin("RELEASE ALL")
        parked.read_response()
    variables = {row["variable_name"]: row["value"] for row in shim.admin("SHOW GLOBAL VARIABLES")}
    assert variables["hold.max_wait_ms"] == "30000" and variables["lower_case_table_names"] == "0"
    assert bed.password not in variables.values() and variables["control.user"] == bed.user
    assert [row["value"] for row in shim.admin("SHOW VARIABLES WHERE Variable_name = 'version_comment'")] == ["vtshim admin port"]
    assert int(shim.admin("SHOW SESSION STATUS LIKE 'vtshim\\_commands\\_total'")[0]["value"]) > 0
    assert int(shim.admin("SHOW STATUS LIKE 'Uptime'")[0]["value"]) >= 0
    assert shim.admin("SHOW DATABASES") == [{"database": "vtshim"}]
    tables = [row["tables_in_vtshim"] for row in shim.admin("SHOW TABLES FROM `vtshim`")]
    assert len(tables) > 20 and all(shim.admin(f"SHOW {name} LIKE 'no such thing'") == [] for name in tables if name != "help")
    for text in ("SHOW ENGINES", "SHOW TABLES FROM commerce", "SELECT * FROM sessions", "SELECT NOW()", "EXPLAIN SELECT 1", "HELP 'processlist'"):
        with pytest.raises(pymysql.Error) as refused:
            shim.admin(text)
        assert refused.value.args[0] == 1064 and "SHOW HELP" in refused.value.args[1], refused.value


def test_what_a_command_line_asks(shim):
    """Its status, its vertical form, a database that it changes to: nothing of it is an error."""
    done = mariadb(shim.admin_address, "sre", "", "\\s\nSHOW VERSION LIKE 'vtshim'\\G\nuse commerce\nSHOW WARNINGS;\n", "-v")
    assert done.status == 0 and not done.err, done.err
    assert re.search(r"Server characterset:\s+utf8mb", done.out) and "vtshim admin port" in done.out
    assert re.search(r"1\. row \*+\n\s+Name: vtshim\nVersion: \d", done.out)


def test_guessing_is_slow(start_shim):
    """After ten wrong passwords from an address nobody logs in from there for a minute, not even with the right one."""
    shim = start_shim({"admin_users": {"sre": "the-right-password"}})
    shim.secret("the-right-password")
    codes = []
    for guess in [f"wrong-{i}" for i in range(10)] + ["the-right-password"]:
        with pytest.raises(pymysql.Error) as refused:
            shim.admin_connect(password=guess)
        codes.append(refused.value.args[0])
    assert codes == [1045] * 10 + [1129] and shim.wait_event("admin_blocked", peer="127.0.0.1")
