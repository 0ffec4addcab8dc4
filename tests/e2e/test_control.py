"""Migrations under control: commands of the admin port, who may control, the audit log, the queue, windows, KILL."""

from __future__ import annotations

import json
import subprocess
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pymysql
import pytest

from lib import wire
from lib.api import Api, token_hash
from lib.bed import Bed
from lib.browser import Browser
from lib.clients import mariadb_through
from lib.ddl import INSTANT, POSTPONED, UUID, assert_everywhere
from lib.poll import stays, until
from lib.shim import Shim
from test_dashboard import pictures, sign_in
from test_progress import Terminal, complete, start, the_migration, waits


def control_of(bed: Bed) -> dict:
    """The shim's own login."""
    return {"control": {"user": bed.user, "password": bed.password}}


def with_control(bed: Bed, **ddl: object) -> dict:
    return {"ddl": {**POSTPONED["ddl"], **ddl}, **control_of(bed)}


def admin_status(shim: Shim, sql: str) -> tuple[int, str]:
    """Affected rows and the info text of an admin command."""
    with shim.admin_connect() as connection, connection.cursor() as cursor:
        affected = cursor.execute(sql)
        return affected, cursor._result.message.decode(errors="replace") if cursor._result.message else ""


def error_of(call, *arguments: object) -> tuple[int, str]:
    with pytest.raises(pymysql.Error) as refused:
        call(*arguments)
    return refused.value.args


def audit_lines(path: Path, **fields: object) -> list[dict]:
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if all(line.get(key) == value for key, value in fields.items())]


# The admin port.

def test_complete_and_revert(start_shim, bed, table):
    """COMPLETE lets a postponed ALTER end, REVERT undoes it; each drained, and on all shards together."""
    shim = start_shim(with_control(bed))
    thread, outcome = start(shim, table, "undone")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    affected, info = admin_status(shim, f"COMPLETE MIGRATION '{uuid}'")
    assert affected == 2 and uuid in info and "managed" in info, (affected, info)
    thread.join(90)
    assert outcome == [None]
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
    thread, outcome = start(shim, table, "again")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    assert admin_status(shim, f"CANCEL MIGRATION '{uuid}'")[0] == 2
    thread.join(150)
    assert outcome[0].args[0] == 1317 and uuid in outcome[0].args[1], outcome
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
    thread, outcome = start(shim, table, "slow")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    _, info = admin_status(shim, f"THROTTLE MIGRATION '{uuid}' EXPIRE '1h' RATIO 0.5")
    assert uuid in info
    row = until(lambda: (r := the_migration(shim, table))["throttled"] and r, "it is shown as throttled", 30)
    assert "operator" in row["throttled"] and "0.5" in row["throttled"], row
    admin_status(shim, f"UNTHROTTLE MIGRATION '{uuid}'")
    until(lambda: not the_migration(shim, table)["throttled"], "not any more", 30)
    complete(bed, table)
    thread.join(90)
    assert outcome == [None]


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
    assert len(audit_lines(log)) + len(audit_lines(rotated)) == 3
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


# One at a time.

def test_queue(start_shim, bed, table):
    """The second ALTER of a table waits, with its position shown; another table's does not."""
    shim = start_shim(with_control(bed))
    first, one = start(shim, table, "one")
    until(lambda: waits(bed, table), "both shards wait", 120)
    second, two = start(shim, table, "two")
    until(lambda: the_migration(shim, table)["status"] == "waiting", "the second waits")
    third, three = start(shim, table, "three")
    row = until(lambda: (r := the_migration(shim, table))["queue"] == "2" and r, "the third waits for two")
    assert row["stage"] == "waits for 2 migrations of the table" and row["uuid"] is None, row
    with bed.scratch_table() as other:
        free, four = start(shim, other, "four")
        until(lambda: waits(bed, other), "another table's runs", 120)
        complete(bed, other)
        free.join(150)
        assert four == [None]
    assert len(bed.migrations(table)) == 2, "nothing was submitted"
    shim.admin(f"COMPLETE MIGRATION '{the_migration(shim, table, 0)['uuid']}'")
    first.join(120)
    assert one == [None]
    for index, thread, outcome in ((1, second, two), (2, third, three)):
        uuid = until(lambda: the_migration(shim, table, index)["uuid"], "it is submitted", 60)
        assert the_migration(shim, table, index)["status"] != "waiting"
        shim.admin(f"CANCEL MIGRATION '{uuid}'")
        thread.join(150)
        assert outcome[0].args[0] == 1317, outcome
    assert_everywhere(bed, table, "one")


def test_queue_across_shims(start_shim, bed, table):
    """A migration of the table that another shim has submitted comes first, also for a view of it; nothing is submitted."""
    one, two = start_shim(POSTPONED), start_shim(POSTPONED)
    first, outcome = start(one, table, "one")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(one, table)["uuid"]
    second, other = start(two, table, "two")
    row = until(lambda: (r := the_migration(two, table)).get("status") == "waiting" and r, "the second waits")
    assert row["stage"] == f"waits for {uuid} (elsewhere)" and row["queue"] == "1", row
    view = f"{table}_view"
    with two.connect() as connection:
        answer: list = []
        third = threading.Thread(target=lambda: answer.append(error_of(
            connection.cursor().execute, f"CREATE VIEW {view} AS SELECT id FROM {table}")))
        third.start()
        until(lambda: the_migration(two, view).get("status") == "waiting", "so does the view")
        two.run(f"KILL QUERY {connection.thread_id()}")
        third.join(30)
        assert answer[0][0] == 1317 and "was not submitted" in answer[0][1], answer
    refuses = start_shim({"ddl": {**POSTPONED["ddl"], "queue": "refuse"}})
    code, text = error_of(refuses.run, f"ALTER TABLE {table} ADD COLUMN never int")
    assert code == 1105 and uuid in text, text
    assert len(bed.migrations(table)) == 2 and not bed.migrations(view)
    complete(bed, table)
    first.join(150)
    assert outcome == [None]
    theirs = until(lambda: the_migration(two, table)["uuid"], "the second is submitted", 30)
    bed.run(f"ALTER VITESS_MIGRATION '{theirs}' CANCEL")
    second.join(150)
    assert other[0].args[0] == 1317, other
    assert_everywhere(bed, table, "one")


def test_related_tables_are_not_concurrent(start_shim, bed, table):
    """With --allow-concurrent, too, a table waits for the one that its foreign key refers to, and a view for its table."""
    strategy = "vitess --allow-concurrent --postpone-completion --unsafe-allow-foreign-keys"
    one, two = (start_shim({"ddl": {"strategy": strategy, "poll_interval_ms": 100}}) for _ in range(2))
    child, view = f"{table}_child", f"{table}_view"
    bed.run(f"CREATE TABLE {child} (id bigint NOT NULL PRIMARY KEY, p bigint, FOREIGN KEY (p) REFERENCES {table} (id))",
            f"CREATE VIEW {view} AS SELECT id FROM {table}")
    try:
        with one.connect() as parent, two.connect() as connection:
            # Not launched: Vitess would soon fail it, for MySQL cannot rename a table with foreign keys as it wants to.
            parent.cursor().execute(f"ALTER /*vtshim wait=no strategy='{strategy} --postpone-launch' */ "
                                    f"TABLE {table} ADD COLUMN one int")
            uuid = bed.migrations(table)[0]["migration_uuid"]
            for sql in (f"ALTER TABLE {child} ADD COLUMN two int", f"DROP VIEW {view}"):
                thread = threading.Thread(target=lambda: error_of(connection.cursor().execute, sql))
                thread.start()
                name = child if child in sql else view
                until(lambda: (r := the_migration(two, name)) and r["stage"] == f"waits for {uuid} (elsewhere)", sql, 60)
                two.run(f"KILL QUERY {connection.thread_id()}")
                thread.join(30)
        assert not bed.migrations(child) and not bed.migrations(view)
    finally:
        bed.run(f"ALTER VITESS_MIGRATION '{uuid}' CANCEL")
        bed.on_shards(f"DROP VIEW {view}")
        bed.run(f"DROP TABLE {child}")


def test_drop_of_several_waits_for_each(start_shim, bed):
    """DROP TABLE a, b waits for a migration of b."""
    shim = start_shim(POSTPONED)
    with bed.scratch_table() as a, bed.scratch_table() as b:
        first, one = start(shim, b, "one")
        until(lambda: waits(bed, b), "both shards wait", 120)
        outcome: list = []
        second = threading.Thread(target=lambda: outcome.append(shim.run(f"DROP TABLE {a}, {bed.keyspace}.{b}")))
        second.start()
        row = until(lambda: (r := the_migration(shim, a)).get("queue") and r, "the DROP waits")
        assert row["status"] == "waiting" and row["queue"] == "1", row
        complete(bed, b)
        first.join(150)
        for name in (a, b):
            until(lambda: waiting_drop(bed, name), f"the DROP of {name} is there", 120)
            bed.run(f"ALTER VITESS_MIGRATION '{waiting_drop(bed, name)}' COMPLETE")
        second.join(90)
        assert one == [None] and outcome == [[]]


def waiting_drop(bed: Bed, table: str) -> str | None:
    rows = [row for row in bed.migrations(table) if row["ddl_action"] == "drop" and row["migration_status"] in
            ("queued", "ready", "running")]
    return rows[0]["migration_uuid"] if len(rows) == 2 else None


def test_queue_refuses(start_shim, bed, table):
    """ddl.queue=refuse: an error that names the migration in the way, and nothing is submitted."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "queue": "refuse"}})
    thread, outcome = start(shim, table, "one")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    code, text = error_of(shim.run, f"ALTER TABLE {table} ADD COLUMN two int")
    assert code == 1105 and uuid in text and the_migration(shim, table)["status"] == "refused", text
    assert len(bed.migrations(table)) == 2
    complete(bed, table)
    thread.join(120)
    assert outcome == [None]


def test_kill_of_one_that_waits(start_shim, bed, table):
    shim = start_shim(POSTPONED)
    first, one = start(shim, table, "one")
    until(lambda: waits(bed, table), "both shards wait", 120)
    with shim.wire(timeout=60) as client:
        client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN two int")
        until(lambda: the_migration(shim, table)["status"] == "waiting", "it waits")
        with shim.connect() as killer, killer.cursor() as cursor:
            cursor.execute(f"KILL QUERY {client.greeting.connection_id}")
            assert "is not submitted" in cursor._result.message.decode()
        error = client.read_response().error
        assert error.code == 1317 and "was not submitted" in error.text, error
        assert client.value("SELECT 1") == "1"
    assert len(bed.migrations(table)) == 2
    complete(bed, table)
    first.join(150)
    assert one == [None]


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


# Windows.

def hours(from_now: int, until_then: int) -> str:
    now = datetime.now(timezone.utc)
    text = [(now + timedelta(minutes=minutes)).strftime("%H:%M") for minutes in (from_now, until_then)]
    return "-".join(text)


def test_window(start_shim, bed, table):
    """A managed cut-over waits until its window opens; SHOW MIGRATIONS says so, of who is attached to it, too."""
    window = hours(120, 180)
    shim = start_shim({"ddl": {"cutover": "managed", "poll_interval_ms": 100, "cutover_window": [window]},
                       "control": {"user": bed.user, "password": bed.password}})
    thread, outcome = start(shim, table, "later")
    row = until(lambda: "window" in ((r := the_migration(shim, table)).get("stage") or "") and r, "it waits", 120)
    opens = window.split("-")[0]
    assert row["stage"] == f"waiting for window, opens at {opens} UTC", row
    stays(lambda: all(row["migration_status"] == "running" for row in bed.migrations(table)), "no cut-over", 2)
    assert shim.events("ddl_waiting_for_window")
    assert len(shim.events("ddl_waiting_for_window")) == 1
    attached, outcome_of_attached = start(shim, table, "later")  # the same statement: it waits, too, and for the same thing
    until(lambda: [r["stage"] for r in shim.admin("SHOW MIGRATIONS") if r["table"] == table] == [row["stage"]] * 2, "both say so", 30)
    assert shim.events("ddl_attached") and len(shim.events("ddl_waiting_for_window")) == 1
    shim.write_config({"ddl": {"cutover_window": [window, hours(-10, 50)]}})
    shim.admin("RELOAD")
    thread.join(150)
    attached.join(30)
    assert outcome == outcome_of_attached == [None]
    assert_everywhere(bed, table, "later")


def waiting_for_window(start_shim, bed, table, **settings: object) -> tuple[Shim, threading.Thread, list, str]:
    """A shim with an ALTER that could cut over, but for the hour; and its uuid."""
    shim = start_shim({"ddl": {"cutover": "managed", "poll_interval_ms": 100, "drain_ms": 300,
                               "cutover_window": [hours(120, 180)]}, **control_of(bed), **settings})
    thread, outcome = start(shim, table, "later")
    until(lambda: "window" in (the_migration(shim, table).get("stage") or ""), "it waits", 120)
    return shim, thread, outcome, the_migration(shim, table)["uuid"]


def test_complete_of_a_managed_one(start_shim, bed, table, tmp_path):
    """COMPLETE, also as SQL, asks for the managed cut-over: with a drain, and with no shard alone. POSTPONE takes that back."""
    log = tmp_path / "audit.log"
    shim, thread, outcome, uuid = waiting_for_window(start_shim, bed, table, audit={"file": str(log)})
    running = lambda: {row["migration_status"] for row in bed.migrations(table)} == {"running"}
    affected, info = admin_status(shim, f"POSTPONE MIGRATION '{uuid}'")
    assert affected == 2 and "managed" in info, (affected, info)
    until(lambda: the_migration(shim, table)["stage"] == "postponed, waits for COMPLETE", "it is postponed")
    with shim.connect(autocommit=False) as holder, holder.cursor() as cursor, shim.connect() as other:
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert other.cursor().execute(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE VITESS_SHARDS '-80'") == 2
        shim.secrets.discard(uuid)  # no secret: other lines of the log name it, too
        shim.wait_event("ddl_drain_put_off", 20)
        assert running(), "no shard cuts over while a transaction is open"
        code, text = error_of(other.cursor().execute, "ALTER VITESS_MIGRATION COMPLETE ALL")
        assert code == 1105 and uuid in text, text
        elsewhere = start_shim(control_of(bed))
        elsewhere.secrets.discard(uuid)
        postponed = lambda: the_migration(shim, table)["stage"] == "postponed, waits for COMPLETE"
        for verb in ("POSTPONE", "COMPLETE"):
            info = admin_status(elsewhere, f"{verb} MIGRATION '{uuid}' IN {bed.keyspace}")[1]
            assert "managed by the shim of instance" in info, info
            until(lambda: postponed() == (verb == "POSTPONE"), "it was told", 20)
        assert running()
        holder.rollback()
        thread.join(60)
    assert outcome == [None]
    assert_everywhere(bed, table, "later")
    assert shim.events("ddl_cut_over", uuid=uuid)
    taken, = audit_lines(log, event="control", verdict="managed")
    assert taken["uuid"] == uuid and taken["verb"] == "complete" and taken["outcome"] == "ok", taken
    assert len(audit_lines(log, event="control", verdict="refused")) == 1


def test_complete_through_another_shim(start_shim, bed, table):
    """In a client's session, of a migration whose shim is gone: it is kept until that one is back, which then drains and cuts
    over at once. Nothing is completed behind its back."""
    shim, thread, outcome, uuid = waiting_for_window(start_shim, bed, table, instance="gone-for-a-while")
    other = start_shim(control_of(bed))
    shim.process.kill()
    shim.expected_status = -9
    thread.join(30)
    assert outcome[0]
    with other.connect() as connection, connection.cursor() as cursor:
        for verb in ("POSTPONE COMPLETE", "COMPLETE VITESS_SHARDS '-80'", "POSTPONE COMPLETE", "COMPLETE"):
            cursor.execute(f"ALTER VITESS_MIGRATION '{uuid}' {verb}")
        info = connection._result.message[1:].decode()  # behind its length
        assert "managed by the shim of instance" in info and "cuts it over as soon as" in info, info
        cursor.execute(f"PREPARE done FROM \"ALTER VITESS_MIGRATION '{uuid}' COMPLETE\"")
        cursor.execute("EXECUTE done")
        code, text = error_of(cursor.execute, "ALTER VITESS_MIGRATION COMPLETE ALL")
        assert code == 1105 and uuid in text, text
        cursor.execute("BEGIN")
        assert error_of(cursor.execute, f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")
        cursor.execute("ROLLBACK")
    other.secrets.discard(uuid)  # no secret: other lines of the log name it, too
    stays(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"running"}, "no cut-over", 3)
    again = start_shim({"ddl": {"cutover": "managed", "poll_interval_ms": 100, "cutover_window": [hours(120, 180)]},
                        **control_of(bed), "instance": "gone-for-a-while"})
    again.secrets.discard(uuid)
    until(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"complete"}, "it is complete", 60)
    assert again.events("ddl_cut_over", uuid=uuid)
    assert_everywhere(bed, table, "later")


def test_complete_by_force(start_shim, bed, table):
    """The DBA's choice, also from another shim: no drain."""
    shim, thread, outcome, uuid = waiting_for_window(start_shim, bed, table)
    elsewhere = start_shim(control_of(bed))
    affected, info = admin_status(elsewhere, f"COMPLETE MIGRATION '{uuid}' IN {bed.keyspace} FORCE")
    assert affected == 2 and "running on -80" in info, (affected, info)
    thread.join(60)
    assert outcome == [None]
    assert_everywhere(bed, table, "later")
    assert not shim.events("ddl_cut_over")


def test_window_text_is_checked(program, bed, tmp_path):
    """Its form, and that the shim can keep it: without a user of its own it cuts nothing over."""
    settings = tmp_path / "settings.json"
    user = {"control": {"user": "vtshim"}}
    for text, cutover, control, wrong in (
            ("02:00-25:00", "auto", user, "02:00-25:00"), ("always", "managed", user, "always"),
            ("22:30-01:00", "auto", user, ""), ("22:30-01:00", "managed", user, ""),
            ("22:30-01:00", "auto", {}, "needs control.user"), ("22:30-01:00", "vitess", user, "ddl.cutover auto or managed")):
        settings.write_text(json.dumps({"vtgate": bed.endpoints[0], **control,
                                        "ddl": {"cutover": cutover, "cutover_window": [text]}}))
        done = subprocess.run([str(program), "--config", str(settings), "--check"], capture_output=True, text=True,
                              check=False, timeout=60)
        assert (done.returncode == 0) == (not wrong) and wrong in done.stderr, done


# Metrics.

def test_metrics(start_shim, bed, table):
    """By verb and outcome, durations, and how far those under way are."""
    shim = start_shim(POSTPONED)
    assert shim.metric("vtshim_migrations_running") == 0
    thread, outcome = start(shim, table, "counted")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    until(lambda: shim.metric("vtshim_migration_progress_ratio", uuid=uuid, table=table) == 1, "all rows are copied")
    assert shim.metric("vtshim_migrations_running") == 1
    complete(bed, table)
    thread.join(150)
    assert outcome == [None]
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
    thread, outcome = start(shim, table, "clicked")
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
    thread.join(90)
    assert outcome == [None]
