"""Who serves, as a vtgate says."""

from __future__ import annotations

from lib.bed import Bed


def primary(bed: Bed, shard: str) -> str:
    """The alias of that shard's primary."""
    row, = [row for row in bed.run("SHOW VITESS_TABLETS")
            if (row["Keyspace"], row["Shard"], row["TabletType"]) == (bed.keyspace, shard, "PRIMARY")]
    return row["Alias"]
