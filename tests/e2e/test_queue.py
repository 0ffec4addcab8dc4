"""One migration of a table at a time: in this shim, across shims, of related tables."""

from __future__ import annotations

import threading

from lib import wire
from lib.bed import Bed
from lib.clients import Statement, add_column
from lib.control import error_of, with_control
from lib.ddl import POSTPONED, assert_everywhere
from lib.poll import until
from lib.split import Cutting
from test_progress import complete, the_migration, waits


def test_queue(start_shim, bed, table):
    """The second ALTER of a table waits, with its position shown; another table's does not."""
    shim = start_shim(with_control(bed))
    first = add_column(shim, table, "one")
    until(lambda: waits(bed, table), "both shards wait", 120)
    second = add_column(shim, table, "two")
    until(lambda: the_migration(shim, table)["status"] == "waiting", "the second waits")
    third = add_column(shim, table, "three")
    row = until(lambda: (r := the_migration(shim, table))["queue"] == "2" and r, "the third waits for two")
    assert row["stage"] == "waits for 2 migrations of the table" and row["uuid"] is None, row
    with bed.scratch_table() as other:
        free = add_column(shim, other, "four")
        until(lambda: waits(bed, other), "another table's runs", 120)
        complete(bed, other)
        assert free.wait() == "ok"
    assert len(bed.migrations(table)) == 2, "nothing was submitted"
    shim.admin(f"COMPLETE MIGRATION '{the_migration(shim, table, 0)['uuid']}'")
    assert first.wait(120) == "ok"
    for index, alter in ((1, second), (2, third)):
        uuid = until(lambda: the_migration(shim, table, index)["uuid"], "it is submitted", 60)
        assert the_migration(shim, table, index)["status"] != "waiting"
        shim.admin(f"CANCEL MIGRATION '{uuid}'")
        error = alter.wait()
        assert error.args[0] == 1317, error
    assert_everywhere(bed, table, "one")


def test_queue_across_shims(start_shim, bed, table):
    """A migration of the table that another shim has submitted comes first, also for a view of it; nothing is submitted."""
    one, two = start_shim(POSTPONED), start_shim(POSTPONED)
    first = add_column(one, table, "one")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(one, table)["uuid"]
    second = add_column(two, table, "two")
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
    assert first.wait() == "ok"
    theirs = until(lambda: the_migration(two, table)["uuid"], "the second is submitted", 30)
    bed.run(f"ALTER VITESS_MIGRATION '{theirs}' CANCEL")
    error = second.wait()
    assert error.args[0] == 1317, error
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
        alter = add_column(shim, b, "one")
        until(lambda: waits(bed, b), "both shards wait", 120)
        drop = Statement(shim, f"DROP TABLE {a}, {bed.keyspace}.{b}")
        row = until(lambda: (r := the_migration(shim, a)).get("queue") and r, "the DROP waits")
        assert row["status"] == "waiting" and row["queue"] == "1", row
        complete(bed, b)
        assert alter.wait() == "ok"
        for name in (a, b):
            until(lambda: waiting_drop(bed, name), f"the DROP of {name} is there", 120)
            bed.run(f"ALTER VITESS_MIGRATION '{waiting_drop(bed, name)}' COMPLETE")
        assert drop.wait(90) == "ok"


def waiting_drop(bed: Bed, table: str) -> str | None:
    rows = [row for row in bed.migrations(table) if row["ddl_action"] == "drop" and row["migration_status"] in
            ("queued", "ready", "running")]
    return rows[0]["migration_uuid"] if len(rows) == 2 else None


def test_queue_refuses(start_shim, bed, table):
    """ddl.queue=refuse: an error that names the migration in the way, and nothing is submitted."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "queue": "refuse"}})
    alter = add_column(shim, table, "one")
    until(lambda: waits(bed, table), "both shards wait", 120)
    uuid = the_migration(shim, table)["uuid"]
    code, text = error_of(shim.run, f"ALTER TABLE {table} ADD COLUMN two int")
    assert code == 1105 and uuid in text and the_migration(shim, table)["status"] == "refused", text
    shim.admin("SET ddl.preflight = 'off'")
    own = "/*vtshim strategy='vitess' context=own */"  # with these nothing is asked before it is refused
    with shim.wire() as client:
        client.socket = Cutting(client.socket, 10)
        for name in ("two", "three"):
            assert client.query(f"ALTER {own} TABLE {table} ADD COLUMN {name} int").error.code == 1105
        assert client.value("SELECT 1") == "1"
    assert len(bed.migrations(table)) == 2
    complete(bed, table)
    assert alter.wait(120) == "ok"


def test_kill_of_one_that_waits(start_shim, bed, table):
    shim = start_shim(POSTPONED)
    alter = add_column(shim, table, "one")
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
    assert alter.wait() == "ok"
