"""What a DBA sees while a migration runs: MariaDB's progress packets, SHOW MIGRATIONS, and FOLLOW."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pymysql
import pytest
from pymysql.cursors import SSCursor

from lib import wire
from lib.bed import Bed
from lib.clients import add_column
from lib.ddl import POSTPONED, assert_everywhere
from lib.poll import readable_of, stays, until
from lib.shim import Shim

PROGRESS = 1 << 29  # CLIENT_PROGRESS of MariaDB's clients
POLL = {"ddl": {"poll_interval_ms": 100}}


def waits(bed: Bed, table: str) -> bool:
    rows = bed.migrations(table)
    return len(rows) == 2 and all(row["migration_status"] == "running" and row["ready_to_complete"] for row in rows)


def complete(bed: Bed, table: str) -> None:
    bed.run(f"ALTER VITESS_MIGRATION '{bed.migrations(table)[0]['migration_uuid']}' COMPLETE")


class Terminal:
    """The mariadb command line on a terminal of its own."""

    def __init__(self, shim: Shim, *options: str):
        self.process, self.screen = None, ""
        self.master, slave = pty.openpty()
        command = ["mariadb", "--no-defaults", "--protocol=TCP", "--skip-ssl", "-h", shim.listen[0], "-P",
                   str(shim.listen[1]), "-u", shim.bed.user, *options, shim.bed.keyspace]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env={**os.environ, "MYSQL_PWD": shim.bed.password, "TERM": "dumb"},
                                        preexec_fn=self._take_terminal)
        os.close(slave)
        self.until(r"MySQL \[.*\]> |MariaDB \[.*\]> ", 20)

    @staticmethod
    def _take_terminal() -> None:
        import fcntl
        import termios
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self, seconds: float = 0.2) -> str:
        while readable_of([self.master], seconds):
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.screen += data.decode("utf-8", "replace")
        return self.screen

    def until(self, pattern: str, seconds: float = 60) -> str:
        end = time.monotonic() + seconds
        while not re.search(pattern, self.read()):
            assert time.monotonic() < end, f"no {pattern!r} on the screen:\n{self.screen[-3000:]}"
        return self.screen

    def type(self, text: str) -> None:
        self.screen = ""
        os.write(self.master, text.encode())

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.mark.parametrize("options", [(), ("--compress",)], ids=["plain", "compressed"])
def test_command_line_shows_progress(start_shim, bed, table, options):
    """The mariadb command line on a terminal: stages, shard, percent; then the OK, and the connection is fine."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"]}})
    with Terminal(shim, *options) as terminal:
        terminal.type(f"ALTER TABLE {table} ADD COLUMN seen INT;\n")
        until(lambda: waits(bed, table), "both shards wait", 60)
        terminal.until(r"Stage: 2 of 2 'ready to complete'")
        complete(bed, table)
        screen = terminal.until(r"Query OK")
        assert re.search(r"Stage: 1 of 2 '(queued in Vitess|copy rows shard (-80|80-).*?)' +\d+% of stage done", screen), screen
        terminal.type("SELECT 6 * 7 AS answer;\n")
        assert "42" in terminal.until("1 row in set")
    assert_everywhere(bed, table, "seen")


def attributes(name: str) -> bytes:
    pairs = b"".join(wire.encode_length(len(text)) + text.encode() for text in ("_client_name", name))
    return wire.encode_length(len(pairs)) + pairs


def login(shim: Shim, capabilities: int, name: str | None) -> wire.Wire:
    """A client of these flags and that name."""
    client = wire.Wire(shim.listen, timeout=90)
    client.login(shim.bed.user, shim.bed.password, shim.bed.keyspace,
                 capabilities=wire.BASIC | (wire.CONNECT_ATTRS if name else 0), unasked=capabilities,
                 attributes=attributes(name) if name else b"")
    return client


def run_raw(client: wire.Wire, sql: str) -> list[tuple[int, bytes]]:
    """Sends a query and reads packets up to the first that is no progress packet: (sequence, payload)."""
    client.send(wire.COM_QUERY, sql)
    packets = []
    while True:
        header = client.read(4)
        payload = client.read(int.from_bytes(header[:3], "little"))
        packets.append((header[3], payload))
        if payload[:3] != b"\xff\xff\xff":
            return packets


def test_progress_packets_byte_by_byte(start_shim, bed, table):
    """Bit 29 and the name libmariadb: packets as MariaDB sends them, numbered on into the OK."""
    shim = start_shim(POLL)
    with login(shim, PROGRESS, "libmariadb") as client:
        packets = run_raw(client, f"ALTER TABLE {table} ADD COLUMN raw INT")
        assert packets[-1][1][0] == 0, packets[-1]
        assert len(packets) > 2
        assert [sequence for sequence, _ in packets] == [(1 + i) % 256 for i in range(len(packets))]
        for _, payload in packets[:-1]:
            strings, stage, stages = payload[3:6]
            percent = int.from_bytes(payload[6:9], "little")
            length, at = wire.lenenc(payload, 9)
            assert strings == 1 and stage in (1, 2) and stages == 2 and percent <= 100_000
            assert at + length == len(payload), "the text is the rest"
        assert client.value("SELECT 1") == "1"
    assert_everywhere(bed, table, "raw")


def assert_quiet(packets: list[tuple[int, bytes]]) -> None:
    """The OK, and nothing before it."""
    assert len(packets) == 1 and packets[0][0] == 1 and packets[0][1][0] == 0, packets


def test_nobody_else_gets_progress(start_shim, bed, table):
    """The bit alone may mean something else, and without it the packets would break the connection. All wait for the same
    migration; who asks in the right way hears of it meanwhile."""
    shim = start_shim(POSTPONED)
    statement = f"ALTER TABLE {table} ADD COLUMN quiet INT"
    kinds = [(PROGRESS, None), (0, None), (PROGRESS, "libmysql"), (0, "libmariadb"), (PROGRESS, "libmariadb")]
    with ExitStack() as stack:
        clients = [stack.enter_context(login(shim, *kind)) for kind in kinds]
        pool = stack.enter_context(ThreadPoolExecutor(len(clients)))
        answers = [pool.submit(run_raw, clients[0], statement)]
        shim.wait_event("ddl_submitted", table=table)
        answers += [pool.submit(run_raw, client, statement) for client in clients[1:]]
        until(lambda: len(shim.events("ddl_attached", table=table)) == len(clients) - 1, "they wait for it, too")
        until(lambda: waits(bed, table), "both shards wait", 60)
        complete(bed, table)
        *quiet, told = [answer.result(90) for answer in answers]
        assert len(told) > 1 and told[-1][1][0] == 0, told
        for packets in quiet:
            assert_quiet(packets)
        assert [client.value("SELECT 1") for client in clients] == ["1"] * len(clients)


def test_progress_is_off(start_shim, bed, table):
    """ddl.progress=off."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "progress": "off"}})
    with login(shim, PROGRESS, "libmariadb") as client, ThreadPoolExecutor() as pool:
        answer = pool.submit(run_raw, client, f"ALTER TABLE {table} ADD COLUMN quiet INT")
        until(lambda: waits(bed, table), "both shards wait", 60)
        complete(bed, table)
        assert_quiet(answer.result(90))
        assert client.value("SELECT 1") == "1"


def the_migration(shim: Shim, table: str, index: int = -1) -> dict:
    """The last one of the table, or another."""
    rows = [row for row in shim.admin("SHOW MIGRATIONS") if row["table"] == table]
    return rows[index] if rows else {}


@pytest.mark.long
def test_copy_rate_is_measured(start_shim, bed):
    """EXPLAIN's estimate is by the setting until a copy has been watched, and by that afterwards; one that ends between
    two looks of its tablet gives a lower bound."""
    shim = start_shim({"ddl": {"poll_interval_ms": 100, "copy_rows_per_second": 7}})
    with bed.scratch_table("id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, v varchar(200)") as name:
        for shard in bed.shards:
            bed.run(f"USE `{shard}`", f"INSERT INTO {name} (v) VALUES " + ",".join(["(REPEAT('x', 200))"] * 1000),
                    *[f"INSERT INTO {name} (v) SELECT v FROM {name}"] * 9, f"ANALYZE LOCAL TABLE {name}")
        estimate = lambda: [row["value"] for row in shim.run(f"EXPLAIN ALTER TABLE {name} ADD COLUMN x int")
                            if row["section"] == "estimate"][0]
        assert "at 7 rows a second" in estimate() and "nothing was measured yet" in estimate()
        shim.run(f"ALTER TABLE {name} ADD COLUMN seen int")
        rate = shim.metric("vtshim_copy_rows_per_second", keyspace=bed.keyspace)
        assert rate > 1000 and f"at {rate:.0f} rows and " in estimate() and "measured: " in estimate(), (rate, estimate())
        assert int(estimate().split()[0]) <= 512000 / rate * 2 + 1


def test_show_migrations_live(start_shim, bed):
    """Rows, percent, stage, shards that are ready; shard by shard in SHOW MIGRATION."""
    shim = start_shim(POSTPONED)
    with bed.scratch_table() as table:
        for shard in bed.shards:
            values = ",".join(f"({i}, {i})" for i in range(1, 301))
            bed.run(f"USE `{shard}`", f"INSERT INTO {table} (id, v) VALUES {values}")
        alter = add_column(shim, table, "live")
        until(lambda: waits(bed, table), "both shards wait", 60)
        row = until(lambda: (r := the_migration(shim, table)).get("stage") == "ready to complete" and r, "it is ready")
        assert int(row["ready"]) == 2 and int(row["shards"]) == 2 and int(row["complete"]) == 0, row
        assert int(row["rows_copied"]) == 600 and int(row["progress"]) == 100, row
        shards = shim.admin(f"SHOW MIGRATION '{row['uuid']}'")
        assert {shard["shard"] for shard in shards} == {"-80", "80-"}, shards
        assert all(int(shard["rows_copied"]) == 300 and shard["ready"] == "yes" and shard["status"] == "running"
                   for shard in shards), shards
        complete(bed, table)
        assert alter.wait() == "ok"
        row = the_migration(shim, table)
        assert row["status"] == "complete" and row["stage"] is None and int(row["complete"]) == 2, row
        with pytest.raises(pymysql.Error, match="Unknown migration"):
            shim.admin("SHOW MIGRATION '11111111_1111_1111_1111_111111111111'")
        with pytest.raises(pymysql.Error) as refused:
            shim.admin("SHOW MIGRATION 'x; y'")
        assert refused.value.args[0] == 1064


class Follower:
    """SHOW MIGRATION .. FOLLOW, its rows as they come."""

    def __init__(self, shim: Shim, uuid: str):
        self.connection = shim.admin_connect(cursorclass=SSCursor, read_timeout=90)
        self.cursor = self.connection.cursor()
        self.rows: list[tuple] = []
        self.error: Exception | None = None
        self.cursor.execute(f"SHOW MIGRATION '{uuid}' FOLLOW")
        self.names = [column[0] for column in self.cursor.description]
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        try:
            for row in self.cursor:
                self.rows.append(row)
        except (pymysql.Error, OSError, ValueError) as error:
            self.error = error

    def column(self, name: str) -> list:
        return [row[self.names.index(name)] for row in self.rows]


def test_follow(start_shim, bed, table):
    """Rows come one by one while it runs, and the last one says how it ended; then the connection goes on."""
    shim = start_shim(POSTPONED)
    alter = add_column(shim, table, "followed")
    until(lambda: the_migration(shim, table).get("uuid"), "it is submitted", 40)
    follower = Follower(shim, the_migration(shim, table)["uuid"])
    until(lambda: "ready to complete" in follower.column("Stage"), "a row says that it is ready", 60)
    before = len(follower.rows)
    stays(lambda: len(follower.rows) == before, "no row while nothing changes", 1.5)
    complete(bed, table)
    assert alter.wait() == "ok"
    follower.thread.join(20)
    assert not follower.thread.is_alive() and follower.error is None
    assert follower.column("Status")[-1] == "complete" and len(follower.rows) > before
    with follower.connection.cursor() as cursor:
        cursor.execute("SHOW VERSION")
        assert cursor.fetchall()
    # One that has ended: one row, at once.
    ended = Follower(shim, the_migration(shim, table)["uuid"])
    ended.thread.join(10)
    assert ended.column("Status") == ["complete"]


@pytest.mark.parametrize("how", ["KILL QUERY", "KILL", "vanish", "shutdown"])
def test_follow_ends(start_shim, bed, table, how):
    """KILL QUERY (what a client sends for Ctrl-C), KILL, a client that vanishes, the shim's own end."""
    shim = start_shim(POSTPONED)
    alter = add_column(shim, table, "followed")
    until(lambda: the_migration(shim, table).get("uuid"), "it is submitted", 40)
    follower = Follower(shim, the_migration(shim, table)["uuid"])
    until(lambda: follower.rows, "the first row")
    if how.startswith("KILL"):
        shim.admin(f"{how} {follower.connection.thread_id()}")
        follower.thread.join(10)
        assert follower.error and follower.error.args[0] == 1317, follower.error
        if how == "KILL QUERY":
            with follower.connection.cursor() as cursor:
                cursor.execute("SHOW VERSION")
                assert cursor.fetchall()
        with pytest.raises(pymysql.Error) as unknown:
            shim.admin("KILL QUERY 987654")
        assert unknown.value.args[0] == 1094
    elif how == "vanish":
        follower.connection._sock.shutdown(2)
        follower.thread.join(10)
        follower.cursor._result = None  # nothing is left to be read
        assert shim.admin("SHOW VERSION")
    else:
        shim.terminate()
        follower.thread.join(10)
        assert follower.error, "an error, not an end that looks like success"
    assert not follower.thread.is_alive()
    bed.forget(table)
    bed.run(f"CREATE TABLE IF NOT EXISTS {table} (id bigint PRIMARY KEY)")
    alter.wait()


def test_drains_are_shown(start_shim, bed, table):
    """A managed cut-over: who is held up by it now, and who put it off."""
    shim = start_shim({"ddl": {"cutover": "managed", "poll_interval_ms": 100, "drain_ms": 2000},
                       "control": {"user": bed.user, "password": bed.password}})
    mention = f"SELECT 1 AS {table} FROM customer WHERE id = 1"  # a name is looked for wherever it stands
    with shim.connect() as slow, slow.cursor() as cursor, shim.wire(timeout=120) as late:
        alter = add_column(shim, table, "drained")
        until(lambda: the_migration(shim, table).get("uuid"), "it is submitted", 60)
        cursor.execute("BEGIN")
        cursor.execute(mention)
        row = until(lambda: (r := the_migration(shim, table))["drains"] != "0" and r, "a drain is put off", 120)
        assert row["in_the_way"] == f"1, session {slow.thread_id()}", row
        assert shim.events("ddl_stage", stage="draining transactions")
        until(lambda: the_migration(shim, table)["stage"] == "draining transactions", "the next one begins", 60)
        late.command(wire.COM_QUERY, "BEGIN")
        late.send(wire.COM_QUERY, mention)
        until(lambda: the_migration(shim, table)["parked"] == "1", "a new transaction waits, and is counted", 60)
        cursor.execute("COMMIT")
        assert alter.wait(120) == "ok"
        assert late.read_response().error is None
    assert the_migration(shim, table)["parked"] == "0"


def test_queued_in_vitess(start_shim, bed, table):
    """What a migration is queued behind, though it is none of this shim's."""
    shim = start_shim({"ddl": {"strategy": "vitess --postpone-completion", "poll_interval_ms": 100}})
    with bed.scratch_table() as other:
        bed.run("SET @@ddl_strategy = 'vitess --postpone-completion'", f"ALTER TABLE {other} ADD COLUMN first int")
        until(lambda: waits(bed, other), "somebody else's runs", 120)
        uuid = bed.migrations(other)[0]["migration_uuid"]
        alter = add_column(shim, table, "second")
        stage = until(lambda: "behind" in (r := the_migration(shim, table).get("stage") or "") and r, "it is queued", 60)
        running = {row["migration_uuid"] for row in bed.run("SHOW VITESS_MIGRATIONS LIKE 'running'")}
        assert uuid in running and stage.removeprefix("queued in Vitess behind ") in running, (stage, running)
        assert the_migration(shim, table)["queue"] == "1"
        bed.run(f"ALTER VITESS_MIGRATION '{the_migration(shim, table)['uuid']}' CANCEL")
        error = alter.wait()
        assert error.args[0] == 1317 and the_migration(shim, table)["queue"] is None, error
