"""Cut-overs that wait for their time of day (ddl.cutover_window), and COMPLETE, which does not wait for it."""

from __future__ import annotations

import json
import subprocess

from lib.clients import Statement, add_column
from lib.control import admin_status, audit_lines, control_of, error_of, hours
from lib.ddl import assert_everywhere
from lib.poll import stays, until
from lib.shim import Shim
from test_progress import the_migration


def test_window(start_shim, bed, table):
    """A managed cut-over waits until its window opens; SHOW MIGRATIONS says so, of who is attached to it, too."""
    window = hours(120, 180)
    shim = start_shim({"ddl": {"cutover": "managed", "poll_interval_ms": 100, "cutover_window": [window]},
                       "control": {"user": bed.user, "password": bed.password}})
    alter = add_column(shim, table, "later")
    row = until(lambda: "window" in ((r := the_migration(shim, table)).get("stage") or "") and r, "it waits", 120)
    opens = window.split("-")[0]
    assert row["stage"] == f"waiting for window, opens at {opens} UTC", row
    stays(lambda: all(row["migration_status"] == "running" for row in bed.migrations(table)), "no cut-over", 2)
    assert shim.events("ddl_waiting_for_window")
    assert len(shim.events("ddl_waiting_for_window")) == 1
    attached = add_column(shim, table, "later")  # the same statement: it waits, too, and for the same thing
    until(lambda: [r["stage"] for r in shim.admin("SHOW MIGRATIONS") if r["table"] == table] == [row["stage"]] * 2, "both say so", 30)
    assert shim.events("ddl_attached") and len(shim.events("ddl_waiting_for_window")) == 1
    shim.write_config({"ddl": {"cutover_window": [window, hours(-10, 50)]}})
    shim.admin("RELOAD")
    assert alter.wait() == "ok" and attached.wait(30) == "ok"
    assert_everywhere(bed, table, "later")


def waiting_for_window(start_shim, bed, table, **settings: object) -> tuple[Shim, Statement, str]:
    """A shim with an ALTER that could cut over, but for the hour; and its uuid."""
    shim = start_shim({"ddl": {"cutover": "managed", "poll_interval_ms": 100, "drain_ms": 300,
                               "cutover_window": [hours(120, 180)]}, **control_of(bed), **settings})
    alter = add_column(shim, table, "later")
    until(lambda: "window" in (the_migration(shim, table).get("stage") or ""), "it waits", 120)
    return shim, alter, the_migration(shim, table)["uuid"]


def test_complete_of_a_managed_one(start_shim, bed, table, tmp_path):
    """COMPLETE, also as SQL, asks for the managed cut-over: with a drain, and with no shard alone. POSTPONE takes that back."""
    log = tmp_path / "audit.log"
    shim, alter, uuid = waiting_for_window(start_shim, bed, table, audit={"file": str(log)})
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
        assert alter.wait(60) == "ok"
    assert_everywhere(bed, table, "later")
    assert shim.events("ddl_cut_over", uuid=uuid)
    taken, = audit_lines(log, event="control", verdict="managed")
    assert taken["uuid"] == uuid and taken["verb"] == "complete" and taken["outcome"] == "ok", taken
    assert len(audit_lines(log, event="control", verdict="refused")) == 1


def test_complete_through_another_shim(start_shim, bed, table):
    """In a client's session, of a migration whose shim is gone: it is kept until that one is back, which then drains and cuts
    over at once. Nothing is completed behind its back."""
    shim, alter, uuid = waiting_for_window(start_shim, bed, table, instance="gone-for-a-while")
    other = start_shim(control_of(bed))
    shim.process.kill()
    shim.expected_status = -9
    assert isinstance(alter.wait(30), Exception)
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
    shim, alter, uuid = waiting_for_window(start_shim, bed, table)
    elsewhere = start_shim(control_of(bed))
    affected, info = admin_status(elsewhere, f"COMPLETE MIGRATION '{uuid}' IN {bed.keyspace} FORCE")
    assert affected == 2 and "running on -80" in info, (affected, info)
    assert alter.wait(60) == "ok"
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
