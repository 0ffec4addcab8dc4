"""Migrations under control: commands of the admin port, who may control, the audit log, KILL, metrics, the dashboard."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from lib import wire
from lib.api import Api, token_hash
from lib.browser import Browser
from lib.clients import add_column, mariadb_through
from lib.control import admin_status, audit_lines, control_of, error_of, with_control
from lib.ddl import INSTANT, POSTPONED, UUID, assert_everywhere
from lib.poll import until
from test_dashboard import pictures, sign_in
from test_progress import Terminal, complete, the_migration, waits


# The admin port.

def test_complete_and_revert(start_shim, bed, table):
    """COMPLETE lets a postponed ALTER end, REVERT undoes it; each drained, and on all shards together."""
    shim = start_shim(with_control(bed))
    alter = add_column(shim, table, "undone")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    affected, info = admin_status(shim, f"COMPLETE MIGRATION '{uuid}'")
    assert affected == 2 and uuid in info and "managed" in info, (affected, info)
    assert alter.wait(90) == "ok"
    assert_everywhere(bed, table, "undone")
    code, text = error_of(shim.admin, f"CANCEL MIGRATION '{uuid}'")
    assert code == 1105 and "changed nothing" in text and "complete on 80-" in text, text
    reverting = shim.admin(f"REVERT MIGRATION '{uuid}'")
    assert len(reverting) == 1 and UUID.fullmatch(reverting[0]["uuid"]) and reverting[0]["uuid"] != uuid, reverting
    until(lambda: all("undone" not in columns for columns in bed.columns(table).values()), "it is reverted", 90)
    assert {event["uuid"] for event in shim.events("ddl_cut_over")} == {uuid, reverting[0]["uuid"]}


def test_cancel_and_retry(start_shim, bed, table):
    """CANCEL ends the client's wait with an error; RETRY runs it again."""
    shim = start_shim(with_control(bed))
    alter = add_column(shim, table, "again")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    assert admin_status(shim, f"CANCEL MIGRATION '{uuid}'")[0] == 2
    error = alter.wait()
    assert error.args[0] == 1317 and uuid in error.args[1], error
    assert the_migration(shim, table)["status"] == "cancelled"
    other = start_shim(control_of(bed))
    rows = other.admin(f"SHOW MIGRATION '{uuid}' IN {bed.keyspace}")
    assert [row["status"] for row in rows] == ["cancelled"] * 2 and {row["shard"] for row in rows} == {"-80", "80-"}
    assert "IN keyspace" in error_of(other.admin, f"SHOW MIGRATION '{uuid}'")[1]
    assert admin_status(shim, f"RETRY MIGRATION '{uuid}' IN {bed.keyspace}")[0] == 2
    until(lambda: waits(bed, table), "it runs again", 90)
    bed.run(f"ALTER VITESS_MIGRATION '{uuid}' CANCEL")


def test_throttle_and_postpone(start_shim, bed, table):
    """THROTTLE shows in SHOW MIGRATIONS and SHOW MIGRATION until UNTHROTTLE."""
    shim = start_shim(with_control(bed))
    alter = add_column(shim, table, "slow")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    _, info = admin_status(shim, f"THROTTLE MIGRATION '{uuid}' EXPIRE '1h' RATIO 0.5")
    assert uuid in info
    row = until(lambda: (r := the_migration(shim, table))["throttled"] and r, "it is shown as throttled", 30)
    assert "operator" in row["throttled"] and "0.5" in row["throttled"], row
    admin_status(shim, f"UNTHROTTLE MIGRATION '{uuid}'")
    until(lambda: not the_migration(shim, table)["throttled"], "not any more", 30)
    complete(bed, table)
    assert alter.wait(90) == "ok"


def test_what_control_refuses(start_shim, bed, table):
    """No control.user, an unknown migration, one whose keyspace nobody named, and syntax."""
    shim = start_shim(POSTPONED)
    unknown = "11111111_1111_1111_1111_111111111111"
    code, text = error_of(shim.admin, f"CANCEL MIGRATION '{unknown}' IN {bed.keyspace}")
    assert code == 1105 and "control.user" in text, text
    shim = start_shim(with_control(bed))
    code, text = error_of(shim.admin, f"CANCEL MIGRATION '{unknown}' IN {bed.keyspace}")
    assert code == 1105 and "Unknown migration" in text, text
    code, text = error_of(shim.admin, f"CANCEL MIGRATION '{unknown}'")
    assert code == 1105 and "IN keyspace" in text, text
    code, text = error_of(shim.admin, f"CANCEL MIGRATION '{unknown}' IN nosuchkeyspace")
    assert code != 1064 and "nosuchkeyspace" in text, text
    for wrong in ("CANCEL MIGRATION", "CANCEL MIGRATION 5", "CANCEL MIGRATION 'a b'", f"CANCEL MIGRATION '{unknown}' x",
                  f"THROTTLE MIGRATION '{unknown}' RATIO 'x'", f"THROTTLE MIGRATION '{unknown}' EXPIRE 'a;b'",
                  f"CANCEL MIGRATION '{unknown}' IN `a``b`"):
        assert error_of(shim.admin, wrong)[0] == 1064, wrong
    code, text = error_of(start_shim({**POSTPONED, "control": {"user": bed.user, "password": "not-the-right-one"}}).admin,
                          f"CANCEL MIGRATION '{unknown}' IN {bed.keyspace}")
    assert "cannot log in" in text, text


# Who may control migrations through the applications' port.

def test_control_users(start_shim, bed, table, tmp_path):
    """Only ddl.control_users: text, prepared, named, in a script, in a version comment; each use is audited."""
    log = tmp_path / "audit.log"
    shim = start_shim({"ddl": {**INSTANT["ddl"], "control_users": ["dba"]}, "audit": {"file": str(log)}})
    unknown = "11111111_1111_1111_1111_111111111111"
    statements = (f"ALTER VITESS_MIGRATION '{unknown}' CANCEL", f"/* x */ revert vitess_migration '{unknown}'",
                  f"/*!50000 ALTER VITESS_MIGRATION '{unknown}' RETRY */", "ALTER VITESS_MIGRATION CANCEL ALL")
    with shim.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            code, text = error_of(cursor.execute, statement)
            assert code == 1227 and bed.user in text, text
        cursor.execute("SELECT 5")
        assert cursor.fetchall() == ((5,),)
        cursor.execute(f"PREPARE p FROM \"{statements[0]}\"")
        assert error_of(cursor.execute, "EXECUTE p")[0] == 1227
    with shim.wire(timeout=30) as client:
        error = client.execute(client.prepare(statements[0])).error
        assert error.code == 1227 and error.state == "42000"
        assert client.value("SELECT 1") == "1"
    done = mariadb_through(shim, f"SELECT 'before'; {statements[0]}; SELECT 'after'", "--delimiter=//")
    assert done.status == 1 and "1227" in done.err and "before" in done.out and "after" not in done.out, done
    refused = audit_lines(log, event="control", verdict="refused")
    assert len(refused) == 7 and {line["verb"] for line in refused} == {"cancel", "revert", "retry", "cancel all"}
    assert sum(line.get("uuid") == unknown for line in refused) == 6
    assert all(line["user"] == bed.user and line["peer"].startswith("127.0.0.1:") for line in refused)
    with shim.connect(user="dba", password="dba_secret") as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN theirs int")
        uuid = bed.migrations(table)[0]["migration_uuid"]
        assert cursor.execute(f"ALTER VITESS_MIGRATION '{uuid}' CLEANUP") == 2
        shim.secrets.discard(uuid)  # no secret: other lines of the log name it, too
        assert error_of(cursor.execute, statements[0])[0] not in (1064, 1227)
    until(lambda: len(audit_lines(log, event="control", verdict="passed")) == 2, "two lines")
    good, bad = audit_lines(log, event="control", verdict="passed")
    assert good["user"] == "dba" and good["uuid"] == uuid and good["outcome"] == "ok", good
    assert good["statement"] == "ALTER VITESS_MIGRATION ? CLEANUP" and good["verb"] == "cleanup", good
    assert bad["outcome"] == "error", bad


def test_control_by_everybody(shim, bed):
    """Without ddl.control_users it is as with vtgate itself."""
    error = error_of(shim.run, "ALTER VITESS_MIGRATION '11111111_1111_1111_1111_111111111111' CANCEL")
    assert "migration not found" in error[1], error


# The audit log.

def test_audit(start_shim, bed, table, tmp_path):
    """Managed, refused and passed DDL, operators' commands: who, from where, what, and what came of it; no literal."""
    log = tmp_path / "audit.log"
    shim = start_shim({"ddl": {"strategy": "vitess --prefer-instant-ddl --allow-concurrent", "poll_interval_ms": 100},
                       "audit": {"file": str(log)}})
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN noted varchar(20) DEFAULT 'top-secret-value'")
        error_of(cursor.execute, f"ALTER TABLE {table} DROP COLUMN nosuchcolumn")
        error_of(cursor.execute, f"ALTER TABLE {table} ADD")
        cursor.execute(f"TRUNCATE TABLE {table}")
        session = connection.thread_id()
    shim.hold("TABLE commerce.nothing FOR 1")
    error_of(shim.admin, "RELEASE 99999")
    shim.admin("SHOW HOLDS")
    until(lambda: len(audit_lines(log)) >= 8, "all lines are there")
    assert "top-secret" not in log.read_text()
    begun, ended = audit_lines(log, event="ddl", verdict="managed"), audit_lines(log, event="ddl_end")
    assert [line["outcome"] for line in ended] == ["complete", "refused"], ended
    stopped, = audit_lines(log, event="ddl", verdict="refused")
    assert (stopped["reason"], stopped["code"]) == ("missing_column", 1091), stopped
    assert stopped["statement"] == f"ALTER TABLE {table} DROP COLUMN nosuchcolumn" and stopped["table"] == table
    assert len(begun) == 2 and all(line["session"] == session and line["user"] == bed.user and line["table"] == table
                                   and line["keyspace"] == bed.keyspace and line["verb"] == "alter" for line in begun)
    assert begun[0]["statement"] == f"ALTER TABLE {table} ADD COLUMN noted varchar(?) DEFAULT ?"
    assert begun[0]["context"] == ended[0]["context"] and UUID.fullmatch(ended[0]["uuid"]) and ended[0]["shards"] == 2
    assert ended[0]["duration_ms"] > 0 and "code" not in ended[0]
    assert ended[1]["code"] > 0
    passed, = audit_lines(log, verdict="passed")
    assert passed["reason"] == "direct" and passed["table"] == table, passed
    held, released = audit_lines(log, event="admin")
    assert held["statement"].startswith("HOLD TABLE") and held["outcome"] == "ok" and held["user"] == "sre"
    assert released["outcome"] == "error" and released["code"] == 1094
    for line in audit_lines(log):
        datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert shim.metric("vtshim_audit_lines_total") == len(audit_lines(log))


def test_audit_rotation_and_full_disk(start_shim, bed, tmp_path):
    """RELOAD opens the file anew; a disk that takes nothing is told once, counted, and stops nobody."""
    log, rotated = tmp_path / "audit.log", tmp_path / "audit.log.1"
    shim = start_shim({"audit": {"file": str(log)}})
    hold = lambda: shim.hold("TABLE commerce.nothing FOR 1")
    hold()
    until(lambda: len(audit_lines(log)) == 1, "the first line")
    log.rename(rotated)
    shim.admin("RELOAD")
    hold()
    until(lambda: audit_lines(log), "a new file")
    until(lambda: len(audit_lines(log)) + len(audit_lines(rotated)) == 3, "all three lines are in the two files")
    shim.write_config({"audit": {"file": "/dev/full"}})
    shim.admin("RELOAD")
    for _ in range(5):
        hold()
    until(lambda: shim.metric("vtshim_audit_dropped_total") >= 5, "lines are dropped")
    assert len(shim.events("audit_failed")) == 1
    shim.write_config({"audit": {"file": str(log)}})
    shim.admin("RELOAD")
    hold()
    shim.wait_event("audit_resumed")
    shim.write_config({"audit": {"file": str(tmp_path / "no" / "folder")}})
    shim.admin("RELOAD")
    hold()
    until(lambda: len(shim.events("audit_failed")) == 2, "a file that cannot be opened is told, too")
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    shim.write_config({"audit": {"file": "-"}})
    shim.admin("RELOAD")
    hold()
    line = json.loads(shim.wait_event("audit")["line"])
    assert line["event"] == "admin", line


# KILL and Ctrl-C.

@pytest.mark.parametrize("policy", ["detach", "cancel"])
def test_kill_says_what_it_did(start_shim, bed, table, policy):
    """KILL QUERY, to the victim and to the killer: it goes on without this session, or it was cancelled."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "on_disconnect": policy}})
    with shim.wire(timeout=60) as client:
        client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN killed int")
        until(lambda: waits(bed, table), "both shards wait", 120)
        uuid = the_migration(shim, table)["uuid"]
        with shim.connect() as killer, killer.cursor() as cursor:
            cursor.execute(f"KILL QUERY {client.greeting.connection_id}")
            told = cursor._result.message.decode()
        error = client.read_response().error
        assert error.code == 1317 and uuid in error.text and uuid in told, (error, told)
        if policy == "detach":
            assert "goes on without this session" in error.text and "goes on" in told
        else:
            assert "was cancelled" in error.text and "cancelled" in told
        assert client.value("SELECT 1") == "1"
    status = {row["migration_status"] for row in bed.migrations(table)}
    assert status == ({"running"} if policy == "detach" else {"cancelled"})
    assert shim.events("kill_migration", uuid=uuid)


def test_control_c_on_the_command_line(start_shim, bed, table):
    """Ctrl-C of the mariadb command line, which sends KILL QUERY over another connection."""
    shim = start_shim(POSTPONED)
    with Terminal(shim) as terminal:
        terminal.type(f"ALTER TABLE {table} ADD COLUMN pressed INT;\n")
        until(lambda: waits(bed, table), "both shards wait", 120)
        terminal.until("ready to complete")
        terminal.type("\x03")
        screen = terminal.until(r"goes on without this session", 30)
        assert "1317" in screen, screen
        terminal.type("SELECT 6 * 7 AS answer;\n")
        terminal.until("42")
    assert {row["migration_status"] for row in bed.migrations(table)} == {"running"}


# Metrics.

def test_metrics(start_shim, bed, table):
    """By verb and outcome, durations, and how far those under way are."""
    shim = start_shim(POSTPONED)
    assert shim.metric("vtshim_migrations_running") == 0
    alter = add_column(shim, table, "counted")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    until(lambda: shim.metric("vtshim_migration_progress_ratio", uuid=uuid, table=table) == 1, "all rows are copied")
    assert shim.metric("vtshim_migrations_running") == 1
    complete(bed, table)
    assert alter.wait() == "ok"
    error_of(shim.run, f"ALTER TABLE {table} ADD")
    assert shim.metric("vtshim_migrations_ended_total", verb="alter", outcome="complete") == 1
    assert shim.metric("vtshim_migrations_ended_total", verb="alter", outcome="refused") == 1
    assert shim.metric("vtshim_migrations_ended_total") == 2
    assert shim.metric("vtshim_migration_duration_seconds_count") == 1
    assert shim.metric("vtshim_migration_duration_seconds_bucket", le="86400") == 1
    assert shim.metric("vtshim_migration_duration_seconds_bucket", le="1") == 0
    assert shim.metric("vtshim_migrations_running") == 0
    assert "uuid=" not in shim.http("/metrics")[1]


# Over HTTP.

def test_by_the_dashboard(start_shim, bed, table, tmp_path):
    """A postponed ALTER: its shards' progress is on the dashboard, its client is answered after a click on Complete."""
    token = "operates-migrations-1"
    shim = start_shim(with_control(bed) | {"http_tokens": {"op": {"password": token_hash(token), "role": "operator"}}})
    shim.secret(token)
    alter = add_column(shim, table, "clicked")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    shards = Api(shim, token).get(f"migrations/{uuid}")
    assert sorted(row["shard"] for row in shards) == ["-80", "80-"] and all(row["progress"] == 100 for row in shards)
    with Browser(tmp_path) as browser:
        sign_in(browser, shim, token)
        browser.wait(".migration .shards", "-80")
        shown = browser.run("return [...document.querySelectorAll('.migration progress')].map(e => [e.value, e.getAttribute('aria-label')])")
        assert sorted(shown) == [[100, "Progress of shard -80"], [100, "Progress of shard 80-"]]
        browser.picture(pictures(tmp_path) / "migration.png")
        browser.click(f"[aria-label='Cancel migration {uuid}']")
        browser.wait("#confirm", table)
        browser.keys("Escape")
        until(lambda: not browser.seen("#confirm"), "it is not cancelled after all")
        browser.click(f"[aria-label='Complete migration {uuid}']")
        browser.wait(".migration .badge", "complete", 90)
    assert alter.wait(90) == "ok"
