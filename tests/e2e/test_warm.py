"""Plans are made before they are needed, with nothing executed and nothing of the users' in them."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request

import pymysql
import pytest

from lib.bed import scratch_name
from lib.ddl import INSTANT
from lib.poll import until
from lib.shim import merge

SECRET = "my-own-secret"


def plans(address: str) -> set[str]:
    with urllib.request.urlopen(f"http://{address}/debug/query_plans", timeout=10) as page:
        return set(json.load(page))


@pytest.fixture
def web(bed) -> list[str]:
    return [bed.environment[f"BED_VTGATE{number + 1}_HTTP"] for number in range(len(bed.gates))]


@pytest.fixture
def shim(start_shim, web):
    shim = start_shim({"vtgate_web": {"addresses": web, "interval_ms": 100}, "plans": {"sample": 1},
                       "control": {"user": "dba", "password": "dba_secret"}})
    shim.secret("dba_secret", SECRET)
    return shim


def test_plans_are_there_before_the_statements(shim, bed, web, vschema_alone):
    """Texts and prepared statements of an application, on both vtgates, after a change threw all plans away."""
    mark = scratch_name()
    prepared = f"SELECT id AS {mark}_p FROM demo WHERE id = ?"
    texts = {
        f"SELECT id AS {mark}_a FROM demo WHERE id = 4711 AND status = '{SECRET}' LIMIT 3":
            f"select id as {mark}_a from demo where id = :id /* INT64 */ and `status` = :status /* VARCHAR */ "
            "limit :vtg1 /* INT64 */",
        f"SELECT id AS {mark}_i FROM demo WHERE id IN (1, 2, 3) ORDER BY 1":
            f"select id as {mark}_i from demo where id in ::vtg1 order by 1 asc",
        f"UPDATE demo SET status = '{SECRET}' WHERE id = 4711 AND status = '{mark}'":
            "update demo set `status` = :status /* VARCHAR */ where id = :id /* INT64 */ and `status` = "
            ":status1 /* VARCHAR */",
        f"INSERT INTO demo(status, id) VALUES ('{mark}', 47110815)":
            "insert into demo(`status`, id) values (:vtg1 /* VARCHAR */, :vtg2 /* INT64 */)",
        f"DELETE FROM demo WHERE id = 47110815 AND status = '{mark}'":
            "delete from demo where id = :id /* INT64 */ and `status` = :status /* VARCHAR */",
    }
    for statement in texts:
        shim.run(statement)
    with shim.wire() as client:
        statement = client.prepare(prepared)
        client.execute(statement, 5)
    shapes = until(lambda: shim.admin("SHOW SHAPES"), "shapes are counted")
    assert SECRET not in str(shapes) and mark in str(shapes)
    until(lambda: all(row["vschema"] for row in shim.admin("SHOW VTGATES")), "all pages are read")
    bed.run(f"ALTER VSCHEMA CREATE VINDEX `{mark}` USING hash")
    try:
        wanted = set(texts.values()) | {prepared}
        until(lambda: not any(plans(address) & wanted for address in web), "no plan is left")
        rows = shim.admin("WARM")
        assert [row["vtgate"] for row in rows] == bed.endpoints
        assert all(int(row["planned"]) >= len(wanted) and row["note"] is None for row in rows), rows
        for address in web:
            until(lambda: wanted <= plans(address), f"{wanted - plans(address)} is in the cache, which takes plans in a moment later", 5)
    finally:
        bed.run(f"ALTER VSCHEMA DROP VINDEX `{mark}`")
    assert bed.run("SELECT count(*) AS n FROM demo WHERE status LIKE 's_' AND id < 100") == [{"n": 0}]
    assert shim.wait_event("vtgate_warmed", vtgate=bed.endpoints[1], reached="yes")


def test_nobody_else_is_cut_off(shim, bed, table):
    """Tablets run equal reads of one moment once, for all: a statement that the warming gave up would be an error for users.
    What cannot be told from users' own is left out."""
    shard = f"{bed.keyspace}:-80@primary"
    with bed.connect(database=shard) as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} (id) VALUES " + ", ".join(f"({number})" for number in range(1, 151)))
    text = f"SELECT sum(a.id * b.id + c.id) FROM {table} a JOIN {table} b JOIN {table} c"
    took, errors = [], []

    def ask(connection: pymysql.Connection, after: float) -> None:
        time.sleep(after)
        began = time.monotonic()
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
            took.append(time.monotonic() - began)
        except pymysql.MySQLError as error:
            errors.append(error)

    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(shim.connect(database=shard)) for _ in range(6)]
        ask(connections[0], 0)
        until(lambda: any(table in str(row) for row in shim.admin("SHOW SHAPES")), "the shape is counted")
        for _ in range(3):
            # Before the warming's own, which is seen to run by a tablet some milliseconds after it is asked for, and after it.
            threads = [threading.Thread(target=ask, args=(connection, 0.015 * number)) for number, connection in enumerate(connections, 1)]
            for thread in threads:
                thread.start()
            rows = shim.admin("WARM")
            for thread in threads:
                thread.join()
    assert not errors, errors[0]
    assert {row["left_out"] for row in rows} == {"1"}, rows
    assert max(took) > 0.11, took  # longer than what is cut off


def test_plans_are_made_after_a_ddl(start_shim, bed, web, table):
    """Vtgates throw their plans away when they learn of new columns: then all of them get the most frequent ones again."""
    shim = start_shim(merge(INSTANT, {"vtgate_web": {"addresses": web, "interval_ms": 100}, "plans": {"sample": 1},
                                      "control": {"user": bed.user, "password": bed.password}}))
    mark = scratch_name()
    shim.run(f"SELECT id AS {mark} FROM demo WHERE id = 4711")
    until(lambda: mark in str(shim.admin("SHOW SHAPES")), "the shape is counted")
    shim.run(f"ALTER TABLE {table} ADD COLUMN w int")
    until(lambda: len({event["vtgate"] for event in shim.events("vtgate_warmed", reached="yes")}) == len(bed.gates), "both are warmed")
    text = f"select id as {mark} from demo where id = :id /* INT64 */"
    until(lambda: all(text in plans(address) for address in web), "both have its plan")


def test_without_control_user(start_shim):
    shim = start_shim({"plans": {"sample": 1}})
    shim.run("SELECT 1")
    with pytest.raises(pymysql.Error, match="control.user is not set"):
        shim.admin("WARM")


def test_sampling_can_be_off(start_shim):
    shim = start_shim({"plans": {"sample": 0}, "control": {"user": "dba", "password": "dba_secret"}})
    shim.secret("dba_secret")
    shim.run("SELECT 1")
    assert shim.admin("SHOW SHAPES") == []
    with pytest.raises(pymysql.Error, match="no statement has been counted"):
        shim.admin("WARM")
