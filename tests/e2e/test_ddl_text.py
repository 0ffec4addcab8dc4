"""The ways a DDL hides: comments, prepared statements, other statements around it."""

from __future__ import annotations

import pymysql
import pytest

from lib import wire
from lib.ddl import INSTANT, UUID, assert_everywhere, assert_info
from lib.wire import BASIC, DEPRECATE_EOF, MULTI_STATEMENTS


HIDDEN = ["/* a comment */ ALTER TABLE {t} ADD COLUMN c{n} int", "-- a comment\nALTER TABLE {t} ADD COLUMN c{n} int",
          "# a comment\nALTER TABLE {t} ADD COLUMN c{n} int", "/*! ALTER TABLE {t} ADD COLUMN c{n} int */",
          "/*!50000 ALTER TABLE {t} */ ADD COLUMN c{n} int", "/*!99999 not now */ ALTER TABLE {t} ADD COLUMN c{n} int",
          "; \t\r\n aLtEr /* here */\n\ttAbLe {t} ADD COLUMN c{n} int ;",
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
        for statement in (add, drop, add):
            response = client.execute(statement)
            assert all(("again" in columns) == (statement == add) for columns in bed.columns(table).values())
            assert response.packets[0][0] == 0 and len(response.packets) == 1, response.packets
            assert UUID.search(response.packets[0].decode("latin-1"))
            assert client.execute(select, 41).rows[0][2:] == (42).to_bytes(8, "little")
        for statement in (add, select):
            client.send(wire.COM_STMT_CLOSE, statement.to_bytes(4, "little"))
        assert client.execute(add).error.code == 2014, "vtgate's answer to an unknown statement"
        assert client.value("SELECT 'done'") == "done"


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
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE `{table}` ADD COLUMN `größe in ``m``; DROP TABLE x` int")
        assert_everywhere(bed, table, "größe in `m`; DROP TABLE x")
