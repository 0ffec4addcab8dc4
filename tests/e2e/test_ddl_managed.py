"""The managed cut-over, and migrations that outlive their client, their vtgate connection, or the shim."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import pymysql
import pytest
from pymysql.cursors import DictCursor

from lib import wire
from lib.clients import add_column, connector
from lib.ddl import statuses, through_vtctld
from lib.poll import stays, until
from lib.relay import Relay, end
from lib.shim import merge


@pytest.fixture
def managed(bed) -> dict:
    """The shim's configuration; control.user makes the cut-over managed."""
    return {"control": {"user": bed.user, "password": bed.password, "check_interval_ms": 300},
            "ddl": {"poll_interval_ms": 200, "strategy": "vitess --allow-concurrent"}}


def has_column(bed, table: str, column: str) -> bool:
    return all(column in columns for columns in bed.columns(table).values())


def test_all_shards_together(start_shim, bed, table, managed):
    """Both shards complete within a moment of each other; the strategy that Vitess saw says who decided."""
    shim = start_shim(managed)
    shim.run(f"ALTER TABLE {table} ADD COLUMN c int")
    rows = bed.migrations(table)
    assert {row["migration_status"] for row in rows} == {"complete"} and len(rows) == 2
    assert all("--postpone-completion" in row["options"] for row in rows)
    first, last = sorted(row["completed_timestamp"] for row in rows)
    assert (last - first).total_seconds() <= 2, (first, last)
    assert shim.events("ddl_cut_over") and shim.events("hold_released")
    assert shim.parked() == 0


def marks(bed, since: dict[Path, tuple] | None = None) -> tuple[dict[Path, tuple], list[int]]:
    """Where each primary's binary log ends, and how many of the shim's marks it has had from an earlier end on."""
    ends, counts = {}, []
    for row in bed.run("SHOW VITESS_TABLETS"):
        if row["Keyspace"] != bed.keyspace or row["TabletType"] != "PRIMARY":
            continue  # (`bed up --spare`: their replicas, and another keyspace)
        sock = bed.folder / f"vt_{int(row['Alias'].rsplit('-', 1)[1]):010d}" / "mysql.sock"
        with pymysql.connect(unix_socket=str(sock), user="vt_dba") as mysql, mysql.cursor() as cursor:
            cursor.execute("SHOW BINARY LOG STATUS")
            ends[sock] = cursor.fetchone()[:2]
            if since:
                cursor.execute("SHOW BINLOG EVENTS IN %s FROM %s", since[sock])
                counts.append(sum("_vtshim_mark" in event[5] for event in cursor.fetchall()))
    return ends, counts


@pytest.mark.alone  # other tests' marks and DDL in the same logs end a wait before it is seen, and would be counted
@pytest.mark.parametrize("way", ["vtgate", "vtctld"])
def test_logs_are_marked(start_shim, bed, table, managed, way):
    """While others write a cut-over's stream does not keep its place by itself: an event in the shard's log has it do so,
    once for each of its two waits at most. The session stays where it was."""
    shim = start_shim(merge(managed, through_vtctld(bed)) if way == "vtctld" else managed)
    ended = threading.Event()

    def write() -> None:
        with bed.connect() as connection, connection.cursor() as cursor:
            while not ended.is_set():
                cursor.execute("INSERT INTO demo (id, status) VALUES (880001, 'a'), (880002, 'a'), (880003, 'a'), (880004, 'a')")
                cursor.execute("DELETE FROM demo WHERE id IN (880001, 880002, 880003, 880004)")

    before, _ = marks(bed)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        with shim.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN c int")
            cursor.execute("SELECT database()")
            assert cursor.fetchone() == (bed.keyspace,)
    finally:
        ended.set()
        thread.join()
    counts = marks(bed, before)[1]
    assert len(counts) == 2 and max(counts) <= 2, counts
    assert sum(counts) >= 1, counts  # a wait may be over before it is seen, but not all four
    assert not shim.events("ddl_mark_refused") and not shim.events("ddl_target_lost")


def hold_for(shim, table: str, pause: float) -> None:
    """A transaction that keeps the table for so long."""
    with shim.connect() as connection, connection.cursor() as cursor:
        connection.begin()
        cursor.execute(f"SELECT count(*) FROM {table}")
        time.sleep(pause)
        connection.commit()


def alter_under_transactions(shim, table: str, column: str) -> float:
    """The longest that one of many short transactions took while the column was added."""
    ended, took = threading.Event(), []

    def begin_and_commit() -> None:
        with shim.connect() as connection, connection.cursor() as cursor:
            while not ended.is_set():
                began = time.monotonic()
                connection.begin()
                cursor.execute(f"SELECT count(*) FROM {table}")
                connection.commit()
                took.append(time.monotonic() - began)
                ended.wait(0.01)

    threads = [threading.Thread(target=begin_and_commit) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        shim.run(f"ALTER TABLE {table} ADD COLUMN {column} int")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    return max(took)


def test_hold_has_a_gap(start_shim, bed, table, managed):
    """Short transactions wait for one half of the cut-over only: while both shards wait before the locks the hold is lifted.
    Not when a transaction on the table was slow lately, for one like it might begin then."""
    shim = start_shim(managed)
    hold_for(shim, "demo", 1)  # of another table
    for attempt in range(4):  # a shard's first wait may be over before it is seen
        took = alter_under_transactions(shim, table, f"c{attempt}")
        if shim.events("ddl_gap"):
            break
    gap = shim.wait_event("ddl_gap", 1)
    holds = [event for event in shim.events("hold_set") + shim.events("hold_released") if event["time"] >= gap["time"]]
    assert sorted(event["event"] for event in holds) == ["hold_released", "hold_released", "hold_set"], holds
    longest = max(int(event["age_ms"]) for event in holds) / 1000
    assert took < longest + 0.5, (took, longest)  # not for both of its halves
    assert not shim.events("ddl_gap_late") and shim.parked() == 0
    hold_for(shim, table, 1)
    alter_under_transactions(shim, table, "after")
    assert len(shim.events("ddl_gap")) == 1
    assert has_column(bed, table, "after")


@pytest.fixture
def bystanders(start_shim, managed):
    """A shim, and transactions of another table that are open from before any migration: each kind there is."""
    managed["ddl"]["drain_ms"] = 300
    shim = start_shim(managed)
    with shim.connect(autocommit=False) as implicit, shim.connect() as begun, connector(shim) as prepared:
        for connection, begin in ((implicit, None), (begun, "BEGIN"), (prepared, "START TRANSACTION")):
            with connection.cursor() if begin != "START TRANSACTION" else connection.cursor(prepared=True) as cursor:
                if begin:
                    cursor.execute(begin)
                connection.ping(reconnect=False)  # which is no part of it
                cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
                cursor.fetchall()
        yield shim


def test_open_transaction_is_waited_for(bystanders, bed, table):
    """One that has touched the table goes on undisturbed while the cut-over is put off; it says which it was."""
    shim = bystanders
    with shim.connect(autocommit=False) as holder, holder.cursor() as cursor, shim.connect(autocommit=False) as second:
        cursor.execute(f"SELECT count(*) FROM {table}")
        second.cursor().execute(f"SELECT count(*) FROM {table}")
        alter = add_column(shim, table, "waited")
        event = shim.wait_event("ddl_drain_put_off", 60)
        held_up_by = {str(holder.thread_id()), str(second.thread_id())}
        assert event["in_the_way"] == "2" and set(event["sessions"].split(",")) == held_up_by, event
        row, = shim.admin("SHOW MIGRATIONS")
        assert row["in_the_way"].startswith("2, sessions ") and set(row["in_the_way"][12:].split(",")) == held_up_by, row
        assert shim.metric("vtshim_drains_put_off_total") >= 1
        for session in held_up_by:
            assert shim.metric("vtshim_migration_drain_blocked_by", table=table, session=session) == 1
        second.rollback()
        began = time.monotonic()
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert time.monotonic() - began < 2 and alter.answer is None
        assert set(statuses(bed, table)) == {"running"}
        holder.commit()
    assert alter.wait(90) == "ok" and has_column(bed, table, "waited")


def test_hold_outlasts_the_drain(start_shim, bed, table, managed):
    """However long that may take: without it what has been drained would come back."""
    shim = start_shim(merge(managed, {"ddl": {"drain_ms": 60000}}))
    with shim.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        alter = add_column(shim, table, "drained")
        shim.wait_event("hold_set", 60)
        [hold] = shim.admin("SHOW HOLDS")
        holder.rollback()
    assert alter.wait(90) == "ok"
    assert float(hold["expires_in_s"]) > 60 + 50


def test_client_leaves(start_shim, bed, table, managed):
    """The keeper completes what a client that was killed had begun; nobody has to do anything."""
    shim = start_shim(managed)
    with shim.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        connection = shim.connect()
        thread = threading.Thread(target=lambda: ignore(lambda: connection.cursor().execute(
            f"ALTER TABLE {table} ADD COLUMN kept int")))
        thread.start()
        until(lambda: "running" in statuses(bed, table), "it runs")
        connection._sock.shutdown(socket.SHUT_RDWR)
        thread.join()
        shim.wait_event("ddl_adopted")
        assert "running" in statuses(bed, table)
    until(lambda: set(statuses(bed, table)) == {"complete"}, "it is complete", 90)
    assert has_column(bed, table, "kept")
    until(lambda: [row["status"] for row in shim.admin("SHOW MIGRATIONS")] == ["complete"], "the shim says so")


def ignore(action) -> None:
    try:
        action()
    except Exception:  # pylint: disable=broad-except
        pass


def test_shim_is_killed(start_shim, bed, table, managed):
    """kill -9 while all shards wait for it: the next process of that name completes it."""
    managed["instance"] = "killed-and-back"
    shim = start_shim(managed)
    with bed.connect() as straight, straight.cursor() as cursor:
        # Straight on vtgate, where the shim does not see it; a cut-over before its end is not possible.
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT count(*) FROM {table}")
        alter = add_column(shim, table, "stayed")
        until(lambda: "running" in statuses(bed, table) or alter.answer, "it runs", 60)
        assert alter.answer is None
        shim.process.send_signal(signal.SIGKILL)
        shim.expected_status = -signal.SIGKILL
        alter.wait(30)
        cursor.execute("ROLLBACK")
    assert {row["postpone_completion"] for row in bed.migrations(table)} <= {0, 1}
    again = start_shim(managed)
    until(lambda: set(statuses(bed, table)) == {"complete"}, "it is complete", 120)
    assert has_column(bed, table, "stayed")
    assert again.events("ddl_adopted", table=table) or again.events("ddl_adopted")


class SilentRelay(Relay):
    """To a vtgate that hangs at the first question with some words: its connection stays, and no answer comes."""

    words = b"SHOW VITESS_MIGRATIONS"
    asked = 0

    def carry(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65536):
                hit = bool(self.words) and self.words in data and from_client
                self.asked += hit
                if not hit or self.asked > 1:
                    sink.sendall(data)
        except OSError:
            pass
        end(source, sink)


def test_a_vtgate_that_hangs_while_it_is_asked(start_shim, bed, managed):
    """What was left behind is looked for again: a question without an answer is given up."""
    with SilentRelay(bed.gates[0]) as to_vtgate:
        shim = start_shim(managed | {"vtgate": to_vtgate.endpoint})
        shim.wait_event("session_closed", 40, reason="inner_timeout", vtgate=to_vtgate.endpoint)
        until(lambda: shim.events("session_closed", reason="inner_done"), "it has asked again", 40)
    assert to_vtgate.asked > 1


def test_a_vtgate_that_hangs_while_a_migration_is_followed(start_shim, bed, table, managed):
    """Its client has left: another connection follows it to its end."""
    with SilentRelay(bed.gates[0]) as to_vtgate:
        to_vtgate.words = b""
        shim = start_shim(managed | {"vtgate": to_vtgate.endpoint})
        with shim.wire() as client:
            client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN followed int")
            uuid = shim.wait_event("ddl_submitted", 30, table=table)["uuid"]
        to_vtgate.words = uuid.encode()
        until(lambda: to_vtgate.asked, "the question that is not answered", 30)
        shim.wait_event("session_closed", 40, reason="inner_timeout", vtgate=to_vtgate.endpoint)
        until(lambda: set(statuses(bed, table)) == {"complete"}, "it is complete", 60)
    assert has_column(bed, table, "followed")


def test_other_instances_are_left_alone(start_shim, bed, table, managed):
    """What a shim of another name began is its own, until ddl.adopt_after_s is over."""
    context = "vtshim:00000000:0011223344556677:0123456789abcdef"
    bed.run("SET @@ddl_strategy = 'vitess --allow-concurrent --postpone-completion'", f"SET @@migration_context = '{context}'",
            f"ALTER TABLE {table} ADD COLUMN theirs int")
    until(lambda: all(row["ready_to_complete"] for row in bed.migrations(table)) and bed.migrations(table), "it is ready", 90)
    shim = start_shim(managed)
    time.sleep(3)
    assert not shim.events("ddl_adopted")
    shim.finish()
    managed["ddl"]["adopt_after_s"] = 1
    second = start_shim(managed)
    assert second.wait_event("ddl_adopted", 90)["context"] == context
    until(lambda: set(statuses(bed, table)) == {"complete"}, "it is complete", 90)


def test_users_own_postponement_is_kept(start_shim, bed, table, managed):
    """What a user or an operator has postponed is theirs to complete: no keeper of this instance does, after a restart."""
    managed["instance"] = "not-mine-to-complete"
    shim = start_shim(managed)
    with bed.scratch_table() as other, shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER /*vtshim strategy='vitess --allow-concurrent --postpone-launch' wait=no */ "
                       f"TABLE {other} ADD COLUMN later int")
        until(lambda: len(bed.migrations(other)) == 2, "it is there")
        uuid = bed.migrations(other)[0]["migration_uuid"]
        cursor.execute(f"ALTER VITESS_MIGRATION '{uuid}' POSTPONE COMPLETE")
        cursor.execute(f"ALTER VITESS_MIGRATION '{uuid}' LAUNCH")
        shim.secrets.discard(uuid)  # no secret: other lines of the log name it, too
        cursor.execute("ALTER /*vtshim strategy='vitess --allow-concurrent --postpone-completion' wait=no */ "
                       f"TABLE {table} ADD COLUMN theirs int")
        ready = lambda name: (rows := bed.migrations(name)) and len(rows) == 2 and all(
            row["ready_to_complete"] and row["migration_status"] == "running" for row in rows)
        until(lambda: ready(table) and ready(other), "both wait", 120)
        shim.finish()
        again = start_shim(managed)
        until(lambda: len(again.events("ddl_adopted")) == 2, "they are known again", 30)
        postponed = lambda: {row["stage"] for row in again.admin("SHOW MIGRATIONS")} == {"postponed, waits for COMPLETE"}
        until(postponed, "both wait for COMPLETE", 20)
        stays(lambda: ready(table) and ready(other) and postponed(), "nobody completes them", 2)
        with again.connect(autocommit=False) as holder, holder.cursor() as held, again.connect() as connection:
            held.execute(f"SELECT count(*) FROM {other}")
            connection.cursor().execute(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")
            again.secrets.discard(uuid)
            again.wait_event("ddl_drain_put_off", 30)
            assert ready(other), "no shard cuts over while a transaction is open"
            held.execute("ROLLBACK")
            until(lambda: set(statuses(bed, other)) == {"complete"}, "it is complete", 60)
        assert again.events("ddl_cut_over", uuid=uuid) and ready(table)


def test_revert_async_and_own_context(start_shim, bed, table, managed):
    """None of them has a client that waits, two have no context of the shim's: each is drained and cut over on all shards together."""
    managed["instance"] = "without-a-client"
    managed["ddl"]["drain_ms"] = 300
    shim = start_shim(managed)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER /*vtshim wait=no context=mine:1 */ TABLE {table} ADD COLUMN own int")
        row, = {(row["migration_uuid"], row["migration_context"]) for row in bed.migrations(table)}
        uuid = row[0]
        assert row[1] == "mine:1"
        shim.process.send_signal(signal.SIGKILL)  # who comes back finds it by the mark that it left with it
        shim.expected_status = -signal.SIGKILL
    again = start_shim(managed)
    until(lambda: set(statuses(bed, table)) == {"complete"}, "it is complete", 90)
    assert has_column(bed, table, "own") and again.events("ddl_cut_over", uuid=uuid)
    with again.connect(autocommit=False) as holder, holder.cursor() as held, again.connect() as connection, connection.cursor() as cursor:
        held.execute(f"SELECT count(*) FROM {table}")
        with pytest.raises(pymysql.Error, match="Unknown migration '00000000_0000_11f1_8000_000000000000' in keyspace"):
            cursor.execute("REVERT VITESS_MIGRATION '00000000_0000_11f1_8000_000000000000'")
        cursor.execute(f"REVERT VITESS_MIGRATION '{uuid}'")
        (reverting,), = cursor.fetchall()
        again.secrets.discard(uuid)  # no secret: other lines of the log name it, too
        cursor.execute("SELECT 1, @@ddl_strategy")
        assert cursor.fetchall() in [((1, ""),), ((1, "direct"),)]
        again.wait_event("ddl_drain_put_off", 60)
        assert has_column(bed, table, "own")
        held.execute("ROLLBACK")
        until(lambda: not any("own" in columns for columns in bed.columns(table).values()), "it is reverted", 90)
    assert again.events("ddl_cut_over", uuid=reverting)
    with connector(again) as connection, connection.cursor(prepared=True) as cursor:
        cursor.execute(f"REVERT VITESS_MIGRATION '{reverting}'")
        (once_more,), = cursor.fetchall()
    again.secrets.discard(reverting)
    until(lambda: has_column(bed, table, "own"), "that is reverted", 90)
    assert again.events("ddl_cut_over", uuid=once_more)


def test_same_statement_attaches(start_shim, bed, table, managed):
    """The same user's same statement waits for the migration that runs already, and gets its answer."""
    shim = start_shim(managed)
    with shim.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        first = add_column(shim, table, "once")
        until(lambda: "running" in statuses(bed, table), "it runs", 60)
        second = add_column(shim, table, "once")
        shim.wait_event("ddl_attached")
        holder.commit()
    assert first.wait(90) == "ok" and second.wait(90) == "ok"
    assert len({row["migration_uuid"] for row in bed.migrations(table)}) == 1


@pytest.mark.long
def test_two_shims_at_once(start_shim, bed, table, managed):
    """Each shard could take another one first, and then both would wait for ever: one comes after the other."""
    alters = [add_column(start_shim({**managed, "instance": name}), table, name) for name in ("one", "two")]
    for alter in alters:
        assert alter.wait() == "ok"
    assert has_column(bed, table, "one") and has_column(bed, table, "two")


def test_without_control_user(start_shim, bed, table):
    """Nobody could complete what is left behind: Vitess cuts over by itself."""
    shim = start_shim({"ddl": {"strategy": "vitess --allow-concurrent"}})
    shim.run(f"ALTER TABLE {table} ADD COLUMN c int")
    assert not any("postpone" in row["options"] for row in bed.migrations(table))


def test_kill_query_keeps_it_going(start_shim, bed, table, managed):
    shim = start_shim(managed)
    with shim.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        alter = add_column(shim, table, "killed")
        until(lambda: "running" in statuses(bed, table), "it runs", 60)
        with shim.connect(cursorclass=DictCursor) as killer, killer.cursor() as kill:
            victim = until(lambda: [row["id"] for row in shim.admin("SHOW SESSIONS") if row["state"] == "migrating"], "it waits")
            kill.execute(f"KILL QUERY {victim[0]}")
        error = alter.wait(30)
        assert isinstance(error, pymysql.Error) and error.args[0] == 1317
        holder.commit()
    until(lambda: set(statuses(bed, table)) == {"complete"}, "it is complete", 90)


def test_kill_query_while_transactions_are_drained(start_shim, bed, table, managed):
    """With `cancel` the migration is cancelled, and the drain, which ends later, does not have it completed after all."""
    managed["ddl"] |= {"on_disconnect": "cancel", "drain_ms": 60000, "poll_interval_ms": 3000}
    shim = start_shim(managed)
    with shim.connect(autocommit=False) as holder, shim.wire(timeout=60) as client:
        holder.cursor().execute(f"SELECT count(*) FROM {table}")
        client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN killed int")
        until(lambda: [row["stage"] for row in shim.admin("SHOW MIGRATIONS")] == ["draining transactions"], "it drains", 90)
        shim.run(f"KILL QUERY {client.greeting.connection_id}")
        until(lambda: set(statuses(bed, table)) == {"cancelled"}, "it is cancelled", 30)
        holder.commit()
        until(lambda: shim.events("hold_released"), "the drain is over", 10)
        error = client.read_response().error
        assert error.code == 1317 and "was cancelled" in error.text, error
        assert client.value("SELECT 1") == "1"
    assert not shim.events("ddl_cut_over") and not has_column(bed, table, "killed")
