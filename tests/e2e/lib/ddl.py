"""What the tests of DDL share."""

from __future__ import annotations

import re

from lib.bed import Bed

# Adding and dropping columns takes one second with it instead of eight: for tests of the way, not of the wait.
INSTANT = {"ddl": {"strategy": "vitess --prefer-instant-ddl --allow-concurrent", "poll_interval_ms": 100}}
# A migration that waits until somebody says COMPLETE.
POSTPONED = {"ddl": {"strategy": "vitess --postpone-completion --allow-concurrent", "poll_interval_ms": 100}}

def through_vtctld(bed: Bed, **vtctld: object) -> dict:
    """Settings with which the bed's user runs DDL through vtctld."""
    return {"ddl": {"executor": "vtctld", "vtctld_users": [bed.user]}, "vtctld": {"addresses": bed.vtctld, **vtctld}}


UUID = re.compile(r"\b[0-9a-f]{8}[_-][0-9a-f]{4}[_-][0-9a-f]{4}[_-][0-9a-f]{4}[_-][0-9a-f]{12}\b")


def statuses(bed: Bed, table: str) -> list[str]:
    """Of all migrations that the table ever had, on each shard."""
    return [row["migration_status"] for row in bed.migrations(table)]


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
