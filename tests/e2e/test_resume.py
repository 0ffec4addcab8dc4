"""A client that is killed in the middle of its DDL, and comes back with the same statement."""

from __future__ import annotations

from typing import Callable, Iterator

import pymysql
import pytest

from lib.clients import Statement
from lib.ddl import POSTPONED, assert_everywhere
from lib.poll import stays, until
from lib.shim import Shim


def uuids(bed, table: str) -> set[str]:
    return {row["migration_uuid"] for row in bed.migrations(table)}


@pytest.fixture
def left(start_shim, bed, table) -> Iterator[tuple[Shim, str, Callable[[], None]]]:
    """A shim, an ALTER that waits in Vitess and whose client has gone, and what completes it."""
    shim, sql = start_shim(POSTPONED), f"ALTER TABLE {table} ADD COLUMN again int"
    first = Statement(shim, sql)
    shim.wait_event("ddl_submitted", table=table)
    first.leave()
    shim.wait_event("ddl_detached", table=table)
    uuid, = uuids(bed, table)
    yield shim, sql, lambda: bed.run(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")


def test_same_statement_waits(left, bed, table):
    """It is answered when the first one's migration is done, and there is no other; twice over."""
    shim, sql, complete = left
    second = Statement(shim, sql)
    shim.wait_event("ddl_attached", table=table)
    second.leave()
    until(lambda: len(shim.events("ddl_detached", table=table)) == 2, "it was left again")
    third = Statement(shim, sql)
    until(lambda: len(shim.events("ddl_attached", table=table)) == 2, "it is attached again")
    stays(lambda: third.thread.is_alive(), "it waits", 1)
    complete()
    assert third.wait() == "ok"
    assert_everywhere(bed, table, "again")
    assert len(uuids(bed, table)) == 1
    assert [row["status"] for row in shim.admin("SHOW MIGRATIONS")][-1] == "complete"


def test_complete_is_run_again(left, bed, table):
    """What has been done meanwhile is not done for whoever comes later: the statement is told so, as by MySQL."""
    shim, sql, complete = left
    complete()
    until(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"complete"}, "it is complete")
    again = Statement(shim, sql)
    error = again.wait()
    assert isinstance(error, pymysql.Error) and error.args[0] == 1060, error
    assert len(uuids(bed, table)) == 1
    assert not shim.events("ddl_attached")


@pytest.mark.parametrize("change", ["another statement", "another user"])
def test_other_is_not_resumed(left, bed, table, change):
    """Only the same statement of the same user is the same: any other waits for its turn."""
    shim, sql, complete = left
    other = Statement(shim, sql.replace("again", "other")) if change == "another statement" else Statement(
        shim, sql, user="dba", password="dba_secret")
    shim.wait_event("ddl_waits_for_turn", table=table)
    other.leave()
    until(lambda: len(shim.events("ddl_detached", table=table)) == 2, "it was left, too")
    assert not shim.events("ddl_attached") and len(uuids(bed, table)) == 1
