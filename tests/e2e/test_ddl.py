"""DDL is just SQL: it runs as an online schema change on all shards and is answered when it is done there,
or with the reason why not. What the shards have is read straight from each of them."""

from __future__ import annotations

import re
import threading
import time

import pymysql
import pytest
from pymysql.cursors import DictCursor

from lib import wire
from lib.bed import Bed, scratch_name
from lib.clients import connector, go_ddl, mariadb_through
from lib.poll import stays, until
from lib.shim import Shim
from lib.wire import BASIC, DEPRECATE_EOF, MULTI_STATEMENTS, execute_body

# Adding and dropping columns takes one second with it instead of eight: for tests of the way, not of the wait.
INSTANT = {"ddl": {"strategy": "vitess --prefer-instant-ddl", "poll_interval_ms": 100}}
# A migration that waits until somebody says COMPLETE.
POSTPONED = {"ddl": {"strategy": "vitess --postpone-completion --allow-concurrent", "poll_interval_ms": 100}}

UUID = re.compile(r"\b[0-9a-f]{8}[_-][0-9a-f]{4}[_-][0-9a-f]{4}[_-][0-9a-f]{4}[_-][0-9a-f]{12}\b")


def assert_everywhere(bed: Bed, table: str, *columns: str) -> None:
    """All shards have all these columns, at this moment."""
    now = bed.columns(table)
    assert len(now) >= 2
    for shard, found in now.items():
        assert set(columns) <= set(found), f"{shard} has {found}, not all of {columns}"


def assert_info(text: str) -> None:
    """The OK's text has the migration's uuid, the number of shards and the time."""
    assert UUID.search(text), text
    assert re.search(r"shards[=: ]+2\b|\b2 shards", text), text
    assert re.search(r"\b\d+(\.\d+)? ?s", text), text


def migration_of(bed: Bed, table: str) -> dict[str, dict]:
    """The last migration of a table, by shard."""
    rows = bed.migrations(table)
    last = max((row for row in rows), key=lambda row: row["id"] if row["shard"] == "-80" else 0)["migration_uuid"]
    return {row["shard"]: row for row in rows if row["migration_uuid"] == last}


# The whole wait, with Vitess's own way of copying the table, through each kind of client.

def test_alter_through_mariadb(shim, bed, table):
    done = mariadb_through(shim, f"ALTER TABLE {table} ADD COLUMN sample INT;", "-vv")
    assert_everywhere(bed, table, "sample")
    assert done.status == 0, done.err
    assert "Query OK" in done.out
    assert_info(done.out)


def test_alter_through_pymysql(shim, bed, table):
    with shim.connect() as connection, connection.cursor() as cursor:
        began = time.monotonic()
        assert cursor.execute(f"ALTER TABLE {table} ADD COLUMN sample INT") == 0
        took = time.monotonic() - began
        assert_everywhere(bed, table, "sample")
        assert cursor.description is None, "an OK, not vtgate's uuid rows"
        assert_info(cursor._result.message.decode())
    assert took > 1, "a copy of the table takes longer; was this an online change?"
    assert {row["migration_status"] for row in bed.migrations(table)} == {"complete"}
    assert all(row["strategy"] == "vitess" for row in bed.migrations(table))
    event = shim.wait_event("ddl_completed" if shim.events("ddl_completed") else "ddl_complete", table=table)
    assert UUID.search(event["uuid"])


def test_alter_through_connector_prepared(shim, bed, table):
    with connector(shim) as connection:
        cursor = connection.cursor(prepared=True)
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN sample INT")
        assert_everywhere(bed, table, "sample")
        assert cursor.description is None
        other = connection.cursor(prepared=True)
        other.execute("SELECT ? + 1", (41,))
        assert other.fetchall() == [(42,)]


@pytest.mark.parametrize("prepared", [False, True], ids=["text", "prepared"])
def test_alter_through_go(shim, bed, table, prepared):
    answers = go_ddl(shim.dsn(interpolateParams="false"), f"ALTER TABLE {table} ADD COLUMN sample INT", "SELECT 42",
                     prepared=prepared)
    assert_everywhere(bed, table, "sample")
    assert [answer.get("error") for answer in answers] == [None, None]
    assert answers[0].get("rows") is None and answers[1]["rows"] == [["42"]]


def test_index(shim, bed, table):
    """CREATE INDEX and DROP INDEX wait as well."""
    shim.run(f"CREATE INDEX by_v ON {table} (v)")
    assert all("by_v" in names for names in bed.indexes(table).values())
    shim.run(f"DROP INDEX by_v ON {table}")
    assert all("by_v" not in names for names in bed.indexes(table).values())


# Kinds of statements.

def test_create_and_drop(start_shim, bed):
    """CREATE and DROP of tables and views: there or gone on all shards when the answer comes."""
    shim = start_shim(INSTANT)
    table, view = scratch_name(), scratch_name()
    everywhere = lambda name: all(name in tables for tables in bed.tables().values())
    nowhere = lambda name: all(name not in tables for tables in bed.tables().values())
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, v int)")
        assert everywhere(table)
        assert_info(cursor._result.message.decode())
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} (id bigint PRIMARY KEY, v int)")
        cursor.execute(f"CREATE VIEW {view} AS SELECT id FROM {table}")
        assert everywhere(view)
        cursor.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT id, v FROM {table}")
        cursor.execute(f"DROP VIEW {view}")
        assert nowhere(view)
        cursor.execute(f"DROP TABLE {table}")
        assert nowhere(table)
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
    assert shim.metric("vtshim_ddl_started_total") == 7
    assert shim.metric("vtshim_ddl_completed_total") == 7


def test_drop_of_two_tables(start_shim, bed):
    """One statement, two migrations: answered when both are done."""
    shim = start_shim(INSTANT)
    with bed.scratch_table() as one, bed.scratch_table() as two:
        shim.run(f"DROP TABLE {one}, {two}")
        assert all(not {one, two} & tables for tables in bed.tables().values())


HIDDEN = ["/* a comment */ ALTER TABLE {t} ADD COLUMN c{n} int", "-- a comment\nALTER TABLE {t} ADD COLUMN c{n} int",
          "# a comment\nALTER TABLE {t} ADD COLUMN c{n} int", "/*! ALTER TABLE {t} ADD COLUMN c{n} int */",
          "/*!50000 ALTER TABLE {t} */ ADD COLUMN c{n} int", "/*!80000 ALTER */ TABLE {t} ADD COLUMN c{n} int",
          "/*!99999 not now */ ALTER TABLE {t} ADD COLUMN c{n} int", " \t\r\n aLtEr\n\ttAbLe {t} ADD COLUMN c{n} int ;",
          "; ALTER TABLE {t} ADD COLUMN c{n} int", "ALTER TABLE commerce.{t} ADD COLUMN c{n} int",
          "ALTER TABLE `commerce`.`{t}` ADD COLUMN `c{n}` varchar(20) COMMENT 'semi;colon' -- at the end"]


def test_hidden_ddl(start_shim, bed, table):
    """Comments, version comments, blanks, quotes and qualified names hide nothing."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        for n, text in enumerate(HIDDEN):
            cursor.execute(text.format(t=table, n=n))
            assert_everywhere(bed, table, f"c{n}")
            assert shim.metric("vtshim_ddl_completed_total") == n + 1, text


@pytest.mark.parametrize("capabilities", [BASIC, BASIC | DEPRECATE_EOF], ids=["eof", "deprecate-eof"])
def test_prepared_by_hand(start_shim, bed, table, capabilities):
    """COM_STMT_PREPARE and EXECUTE of DDL beside other statements: OK without columns, ids do not collide,
    and executing it again runs it again."""
    shim = start_shim(INSTANT)
    with shim.wire(capabilities) as client:
        select = client.prepare("SELECT ? + 1")
        add = client.prepare(f"ALTER TABLE {table} ADD COLUMN again int")
        drop = client.prepare(f"ALTER TABLE {table} DROP COLUMN again")
        assert len({select, add, drop}) == 3
        for _ in range(2):
            response = client.execute(add)
            assert_everywhere(bed, table, "again")
            assert response.packets[0][0] == 0 and len(response.packets) == 1, response.packets
            assert UUID.search(response.packets[0].decode("latin-1"))
            assert client.execute(select, 41).rows[0][2:] == (42).to_bytes(8, "little")
            assert client.execute(drop).error is None
        for statement in (add, select):
            client.send(wire.COM_STMT_CLOSE, statement.to_bytes(4, "little"))
        assert client.execute(add).error.code == 2014, "vtgate's answer to an unknown statement"
        assert client.value("SELECT 'done'") == "done"
    assert all("again" not in columns for columns in bed.columns(table).values())


def test_prepared_in_sql(start_shim, bed, table):
    """PREPARE .. FROM, EXECUTE and DEALLOCATE of the text protocol."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"PREPARE change_it FROM 'ALTER TABLE {table} ADD COLUMN from_text int'")
        cursor.execute("EXECUTE change_it")
        assert_everywhere(bed, table, "from_text")
        cursor.execute("DEALLOCATE PREPARE change_it")
        with pytest.raises(pymysql.Error):
            cursor.execute("EXECUTE change_it")
    assert shim.metric("vtshim_ddl_completed_total") == 1


# Several statements at once.

def results(connection: pymysql.Connection, sql: str) -> list[object]:
    """Each result in turn: its rows, the text of an OK, or the error that ended it all."""
    found: list[object] = []
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql)
            while True:
                found.append(cursor.fetchall() if cursor.description else (cursor._result.message or b"").decode())
                if not cursor.nextset():
                    return found
        except pymysql.Error as error:
            found.append(error)
            return found


def test_several_statements(start_shim, bed, table):
    """Three results in their order, the DDL's being an OK."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection:
        first, ddl, last = results(connection, f"SELECT 1; ALTER TABLE {table} ADD COLUMN amid int; SELECT 2")
        assert_everywhere(bed, table, "amid")
        assert (first, last) == (((1,),), ((2,),))
        assert_info(ddl)
        assert results(connection, "SELECT 3") == [((3,),)]


@pytest.mark.parametrize("capabilities", [BASIC, BASIC | DEPRECATE_EOF], ids=["eof", "deprecate-eof"])
def test_several_statements_by_hand(start_shim, bed, table, capabilities):
    """The packets: MORE_RESULTS on all but the last, and the sequence numbers run on."""
    shim = start_shim(INSTANT)
    with shim.wire(capabilities | MULTI_STATEMENTS) as client:
        response = client.query(f"ALTER TABLE {table} ADD COLUMN one int; SELECT 1; ALTER TABLE {table} DROP COLUMN one;"
                                "SET @x = 1; SELECT 2;")
        assert response.error is None
        assert ["rows" in result for result in response.results] == [False, True, False, False, True]
        more = [bool(result["status"] & wire.SERVER_MORE_RESULTS) for result in response.results]
        assert more == [True, True, True, True, False]
        assert client.value("SELECT 3") == "3"


@pytest.mark.parametrize("bad", ["ALTER TABLE {t} ADD COLUMN v int", "ALTER TABLE {t} ADD COLUMN", "selec 1",
                                 "SELECT 1 FROM nosuchtable"])
def test_error_among_several_statements(start_shim, bed, table, bad):
    """What came before is answered, the error comes in its place, and what follows is not run."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection:
        first, error = results(connection, f"SELECT 1; {bad.format(t=table)}; ALTER TABLE {table} ADD COLUMN never int")
        assert first == ((1,),)
        assert isinstance(error, pymysql.Error)
        assert results(connection, "SELECT 3") == [((3,),)]
    assert all("never" not in columns for columns in bed.columns(table).values())


def test_several_statements_of_a_client_that_may_not(start_shim, bed, table):
    """Without CLIENT_MULTI_STATEMENTS they are refused as by vtgate, and nothing is run."""
    shim = start_shim(INSTANT)
    text = f"SELECT 1; ALTER TABLE {table} ADD COLUMN never int"
    with shim.wire(BASIC) as client:
        through = client.query(text).error
        assert client.value("SELECT 3") == "3"
    with wire.Wire(bed.gates[0]) as client:
        client.login(bed.user, bed.password, bed.keyspace, BASIC)
        straight = client.query(text).error
    assert (through.code, through.state, through.text) == (straight.code, straight.state, straight.text)
    assert all("never" not in columns for columns in bed.columns(table).values())


def test_pipelined(start_shim, bed, table):
    """What was sent behind a DDL waits for it and is answered after it."""
    shim = start_shim(INSTANT)
    with shim.wire() as client:
        client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN piped int")
        client.send(wire.COM_QUERY, "SELECT 'behind'")
        client.send(wire.COM_PING)
        assert client.read_response().error is None
        assert_everywhere(bed, table, "piped")
        assert client.read_response().rows == [b"\x06behind"]
        assert client.read_response(wire.COM_PING).error is None


# The session.

def test_session_is_as_before(start_shim, bed, table):
    """@@ddl_strategy and @@migration_context have the values they had, after success and after failure."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        def settings() -> tuple:
            cursor.execute("SELECT @@ddl_strategy, @@migration_context, database(), @@autocommit")
            return cursor.fetchone()
        before = settings()
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert settings() == before
        with pytest.raises(pymysql.Error):
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert settings() == before
        cursor.execute("SET @@migration_context = 'mine:of-the-user'")
        before = settings()
        assert before[1] == "mine:of-the-user"
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN two int")
        assert settings() == before


def test_same_text_twice(start_shim, bed, table):
    """Vitess marks the same SQL in the same session as complete without running it; the shim's does run."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN twice int")
        assert_everywhere(bed, table, "twice")
        cursor.execute(f"ALTER TABLE {table} DROP COLUMN twice")
        assert all("twice" not in columns for columns in bed.columns(table).values())
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN twice int")
        assert_everywhere(bed, table, "twice")


@pytest.mark.parametrize("choose", ["SET @@ddl_strategy = 'direct'", "SET SESSION ddl_strategy = 'direct'",
                                    "SET @x = 1, @@session.ddl_strategy='direct'", "set ddl_strategy=direct"])
def test_direct_is_obeyed(start_shim, bed, table, choose):
    """Who asks for direct DDL gets it, at once and without a migration; the log says so."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(choose)
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN straight int")
        assert_everywhere(bed, table, "straight")
        connection.ping(reconnect=False)
        # COM_RESET_CONNECTION does not change the strategy in vtgate.
        connection._execute_command(wire.COM_RESET_CONNECTION, b"")
        connection._read_ok_packet()
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN still_straight int")
        assert_everywhere(bed, table, "still_straight")
    assert not bed.migrations(table)
    assert shim.wait_event("ddl_passed")["reason"] == "strategy"
    assert shim.metric("vtshim_ddl_started_total") == 0
    assert shim.metric("vtshim_ddl_passed_total") == 2


def test_strategy_by_several_statements(start_shim, bed, table):
    """The choice counts for what follows in the same command."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection:
        answers = results(connection, f"SET @@ddl_strategy = 'direct'; ALTER TABLE {table} ADD COLUMN straight int")
        assert not any(isinstance(answer, Exception) for answer in answers)
        assert_everywhere(bed, table, "straight")
    assert not bed.migrations(table)


def test_own_strategy_gives_vtgates_answer(start_shim, bed, table):
    """Who chose a Vitess strategy gets what vtgate answers: a row with the uuid, at once."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET @@ddl_strategy = 'vitess --prefer-instant-ddl'")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN theirs int")
        assert [field[0] for field in cursor.description] == ["uuid"]
        uuid = cursor.fetchone()[0]
    assert UUID.fullmatch(uuid)
    until(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"complete"}, "it completes")
    assert {row["migration_uuid"] for row in bed.migrations(table)} == {uuid}


def test_refused_strategy_changes_nothing(start_shim, bed, table):
    """A SET that vtgate refuses is no choice: the DDL is still run by the shim."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as refused:
            cursor.execute("SET @@ddl_strategy = 'nonsense'")
        assert refused.value.args[0] == 1231
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN managed int")
        assert_everywhere(bed, table, "managed")
    assert {row["migration_status"] for row in bed.migrations(table)} == {"complete"}


def test_intercept_off(start_shim, bed, table):
    """ddl.intercept=false: DDL passes like anything else."""
    shim = start_shim({"ddl": {"intercept": False}})
    shim.run(f"ALTER TABLE {table} ADD COLUMN plain int")
    assert_everywhere(bed, table, "plain")
    assert not bed.migrations(table)
    assert shim.wait_event("ddl_passed")["reason"] == "intercept_off"


def test_without_autocommit_and_in_a_transaction(start_shim, bed, table):
    """As in MySQL, a DDL commits what is open; and it works for clients that never autocommit."""
    shim = start_shim(INSTANT)
    with shim.connect(autocommit=False) as connection, connection.cursor() as cursor, shim.connect() as other:
        cursor.execute("DELETE FROM customer WHERE id = -610000")
        cursor.execute("INSERT INTO customer (id) VALUES (-610000)")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert_everywhere(bed, table, "one")
        with other.cursor() as reader:
            reader.execute("DELETE FROM customer WHERE id = -610000")
            assert reader.rowcount == 1, "the row was committed"
        cursor.execute("SELECT @@autocommit")
        assert cursor.fetchone() == (0,)


def test_user_lock_survives(start_shim, bed, table):
    """Migration tools hold GET_LOCK during their DDL."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor, shim.connect() as other:
        cursor.execute(f"SELECT get_lock('{table}', 1)")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert_everywhere(bed, table, "one")
        with other.cursor() as rival:
            rival.execute(f"SELECT get_lock('{table}', 0)")
            assert rival.fetchone() == (0,)
        cursor.execute(f"SELECT release_lock('{table}')")
        assert cursor.fetchone() == (1,)


# What passes as it is.

def test_rename_and_truncate_pass(start_shim, bed, table):
    """They always run direct in Vitess; the log says that they went by."""
    shim = start_shim(INSTANT)
    renamed = scratch_name()
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"RENAME TABLE {table} TO {renamed}")
        assert all(renamed in tables for tables in bed.tables().values())
        cursor.execute(f"RENAME TABLE {renamed} TO {table}")
        cursor.execute(f"TRUNCATE TABLE {table}")
    assert [event["reason"] for event in shim.events("ddl_passed")] == ["direct"] * 3
    assert not bed.migrations(table)


@pytest.mark.parametrize("how", ["use", "init_db", "login", "colon"])
def test_shard_targeted_session_passes(start_shim, bed, table, how):
    """In a session that is aimed at a shard DDL reaches that shard only, as in vtgate; the log says so."""
    shim = start_shim(INSTANT)
    target = bed.shards[0] if how != "colon" else bed.shards[0].replace("/", ":")
    with shim.connect(**({"database": target} if how == "login" else {})) as connection, connection.cursor() as cursor:
        if how == "init_db":
            connection.select_db(target)
        elif how != "login":
            cursor.execute(f"USE `{target}`")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN here_only int")
        columns = bed.columns(table)
        assert "here_only" in columns[bed.shards[0]] and "here_only" not in columns[bed.shards[1]]
        assert shim.wait_event("ddl_passed")["reason"] == "targeted"
        cursor.execute(f"ALTER TABLE {table} DROP COLUMN here_only")
        cursor.execute(f"USE {bed.keyspace}")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN both int")
        assert_everywhere(bed, table, "both")
    assert len(shim.events("ddl_passed")) == 2
    assert shim.metric("vtshim_ddl_completed_total") == 1


# What goes wrong.

def test_failing_migration(start_shim, bed, table):
    """The migration's own message, as an error; the connection works on."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as failed:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN v int")
        assert "Duplicate column name" in failed.value.args[1], failed.value
        with pytest.raises(pymysql.Error) as failed:
            cursor.execute(f"ALTER TABLE {table} DROP COLUMN nosuchcolumn")
        assert "nosuchcolumn" in failed.value.args[1], failed.value
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN fine int")
        assert_everywhere(bed, table, "fine")
    assert shim.metric("vtshim_ddl_failed_total") == 2
    assert shim.metric("vtshim_ddl_completed_total") == 1


def test_failing_on_one_shard(start_shim, bed, table):
    """Duplicate rows on one shard only: an ERR that names the shard, and no shard is left changed."""
    shim = start_shim({"ddl": {"strategy": "vitess --postpone-completion", "poll_interval_ms": 100}})
    bed.run(f"USE `{bed.shards[0]}`", f"INSERT INTO {table} (id, v) VALUES (1, 5), (2, 5)")
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as failed:
            cursor.execute(f"ALTER TABLE {table} ADD UNIQUE INDEX only_one (v)")
        assert "Duplicate entry" in failed.value.args[1] and bed.shards[0].split("/")[1] in failed.value.args[1]
    assert all("only_one" not in names for names in bed.indexes(table).values())
    until(lambda: not any(row["migration_status"] in ("queued", "ready", "running") for row in bed.migrations(table)),
          "nothing is left running")


def test_syntax_error_is_vtgates(start_shim, bed, table):
    """What vtgate cannot parse is refused in its own words."""
    shim = start_shim(INSTANT)
    for text in (f"ALTER TABLE {table} ADD", f"CREATE TABLE {table} (", f"DROP TABLE {table} nonsense words",
                 f"CREATE INDEX ON {table} (v)"):
        errors = []
        for connection in (bed.connect(), shim.connect()):
            with connection, connection.cursor() as cursor, pytest.raises(pymysql.Error) as refused:
                cursor.execute(text)
            errors.append(refused.value.args)
        assert errors[0] == errors[1]


def test_timeout(start_shim, bed, table):
    """ddl.timeout_s: the client is told that it goes on without it, and it does."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "timeout_s": 2}})
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as told:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN later int")
        assert told.value.args[0] == 1205 and UUID.search(told.value.args[1]), told.value
        cursor.execute("SELECT 1")
    assert all(row["migration_status"] in ("queued", "ready", "running") for row in bed.migrations(table))
    assert len(bed.migrations(table)) == 2


def start_waiting(shim: Shim, bed: Bed, table: str) -> wire.Wire:
    """A client that waits for a postponed ALTER, which all shards know and the shim watches."""
    client = shim.wire(timeout=60)
    client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN waiting int")
    until(lambda: len(bed.migrations(table)) == 2 and all(row["migration_status"] == "running" and row["ready_to_complete"]
                                                          for row in bed.migrations(table)), "both shards wait", 40)
    until(lambda: any(row["table"] == table and row["uuid"] for row in shim.admin("SHOW MIGRATIONS")),
          "SHOW MIGRATIONS knows it")
    return client


def complete(bed: Bed, table: str) -> None:
    uuid = bed.migrations(table)[0]["migration_uuid"]
    bed.run(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")


def test_waits_until_completed(start_shim, bed, table):
    """A postponed migration: the client waits as long as it takes, SHOW MIGRATIONS and SHOW SESSIONS tell,
    and other clients work meanwhile."""
    shim = start_shim(POSTPONED)
    with start_waiting(shim, bed, table) as client:
        row, = shim.admin("SHOW MIGRATIONS")
        assert row["table"] == table and UUID.fullmatch(row["uuid"]) and row["status"] == "running", row
        assert row["verb"] == "alter" and row["keyspace"] == bed.keyspace and int(row["shards"]) == 2, row
        session, = shim.admin("SHOW SESSIONS")
        assert session["waits_for"] == "migration" and int(row["session"]) == int(session["id"]), (row, session)
        assert shim.run("SELECT 1 AS one") == [{"one": 1}]
        complete(bed, table)
        response = client.read_response()
        assert_everywhere(bed, table, "waiting")
        assert response.error is None
    row, = shim.admin("SHOW MIGRATIONS")
    assert row["status"] == "complete" and int(row["complete"]) == 2, row


def test_cancelled_by_somebody(start_shim, bed, table):
    """ALTER VITESS_MIGRATION .. CANCEL from elsewhere ends the wait with an error."""
    shim = start_shim(POSTPONED)
    with start_waiting(shim, bed, table) as client:
        bed.run(f"ALTER VITESS_MIGRATION '{bed.migrations(table)[0]['migration_uuid']}' CANCEL")
        error = client.read_response().error
        assert error.code == 1317 and UUID.search(error.text), error
        assert client.value("SELECT 1") == "1"
    assert shim.metric("vtshim_ddl_cancelled_total") == 1


@pytest.mark.parametrize("how", ["vanish", "quit"])
def test_closed_while_waiting_detaches(start_shim, bed, table, how):
    """ddl.on_disconnect=detach: the migration goes on and completes without its client."""
    shim = start_shim(POSTPONED)
    client = start_waiting(shim, bed, table)
    if how == "quit":
        client.send(wire.COM_QUIT)
    client.close()
    shim.wait_event("ddl_detached", table=table)
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone")
    stays(lambda: all(row["migration_status"] == "running" for row in bed.migrations(table)), "it still runs", 0.5)
    assert shim.metric("vtshim_ddl_detached_total") == 1
    complete(bed, table)
    until(lambda: all("waiting" in columns for columns in bed.columns(table).values()), "it completes", 30)


def test_closed_while_waiting_cancels(start_shim, bed, table):
    """ddl.on_disconnect=cancel: the migration is cancelled on all shards; the log says so."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "on_disconnect": "cancel"}})
    start_waiting(shim, bed, table).close()
    until(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"cancelled"}, "it is cancelled")
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone")
    assert all("waiting" not in columns for columns in bed.columns(table).values())
    assert shim.wait_event("ddl_cancelled", table=table)
    assert shim.metric("vtshim_ddl_cancelled_total") == 1


def test_several_sessions_at_once(start_shim, bed):
    """Each gets the answer of its own migration; SHOW MIGRATIONS shows them all meanwhile."""
    shim = start_shim(INSTANT)
    seen: set[str] = set()
    failures: list[str] = []
    with bed.scratch_table() as a, bed.scratch_table() as b, bed.scratch_table() as c, bed.scratch_table() as d:
        tables = [a, b, c, d]

        def alter(table: str) -> None:
            try:
                with shim.connect() as connection, connection.cursor() as cursor:
                    cursor.execute(f"ALTER TABLE {table} ADD COLUMN mine_{table} int")
                    assert_everywhere(bed, table, f"mine_{table}")
                    uuid = UUID.search(cursor._result.message.decode())[0]
                    assert {row["migration_uuid"] for row in bed.migrations(table)} == {uuid}
            except Exception as failure:
                failures.append(f"{table}: {failure!r}")

        threads = [threading.Thread(target=alter, args=(table,)) for table in tables]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            seen |= {row["table"] for row in shim.admin("SHOW MIGRATIONS")
                     if row["status"] not in ("complete", "failed")}
        assert not failures, failures
        assert seen == set(tables)
        shown = {row["table"]: row for row in shim.admin("SHOW MIGRATIONS")}
        assert {row["status"] for row in shown.values()} == {"complete"}
        assert len({row["uuid"] for row in shown.values()}) == 4


def test_log_has_no_statement(start_shim, bed, table):
    """Names and numbers are logged; texts are not."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN s varchar(40) DEFAULT 'very-secret-default' COMMENT 'private note'")
    assert {"very-secret-default", "private note"} <= shim.secrets
    assert "varchar" not in shim.log.lower()


def test_names_are_not_only_ascii(start_shim, bed, table):
    """Columns with blanks, quotes and other alphabets."""
    shim = start_shim(INSTANT)
    with shim.connect(cursorclass=DictCursor) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE `{table}` ADD COLUMN `größe in ``m``; DROP TABLE x` int")
        assert_everywhere(bed, table, "größe in `m`; DROP TABLE x")
