"""Changes are noticed: the shim's own, those that vtgates or etcd show, and those that errors tell of."""

from __future__ import annotations


import pymysql
import pytest

from lib.bed import scratch_name
from lib.poll import until
from lib.ports import free_port


@pytest.fixture
def web(bed) -> list[str]:
    return [bed.environment[f"BED_VTGATE{number + 1}_HTTP"] for number in range(len(bed.gates))]


@pytest.fixture
def watching(start_shim, web):
    return start_shim({"vtgate_web": {"addresses": web, "interval_ms": 100}})


def changes(shim, **wanted: str) -> list[dict]:
    return [row for row in shim.admin("SHOW CHANGES")
            if all(row[key] == value for key, value in wanted.items())]


def ready(shim) -> None:
    until(lambda: all(row["vschema"] for row in shim.admin("SHOW VTGATES")), "all pages are read")


@pytest.fixture
def vindex(bed, vschema_alone):
    """The name of a vindex that is dropped in the end, if it was made."""
    name = scratch_name()
    yield name
    try:
        bed.run(f"ALTER VSCHEMA DROP VINDEX `{name}`")
    except pymysql.Error:
        pass


def test_an_own_alter_vschema(watching, bed, vindex):
    """Under way from the statement on; over when both vtgates show the same."""
    ready(watching)
    watching.run(f"ALTER VSCHEMA CREATE VINDEX `{vindex}` USING hash")
    row = until(lambda: changes(watching, source="own", kind="vschema"), "it is known")[0]
    assert row["keyspace"] == bed.keyspace
    until(lambda: changes(watching, source="own", state="ended"), "it is over")
    assert watching.metric("vtshim_vtgate_vschemas") == 1
    assert watching.metric("vtshim_changes_noticed_total", source="own", kind="vschema") == 1


def test_one_from_outside(watching, bed, vindex):
    """Somebody else changes the VSchema: a vtgate's page tells."""
    ready(watching)
    assert not changes(watching, source="own")
    bed.run(f"ALTER VSCHEMA CREATE VINDEX `{vindex}` USING hash")
    until(lambda: changes(watching, source="vtgate", kind="vschema", keyspace=bed.keyspace), "it is seen")
    until(lambda: changes(watching, source="vtgate", state="ended"), "it is over")
    assert watching.wait_event("change_begins", kind="vschema", source="vtgate")
    until(lambda: watching.metric("vtshim_changes") == 0, "none is under way")


def test_etcd_tells(start_shim, bed, vindex):
    """The topology itself, without any vtgate's page; a wrong address before the right one does no harm."""
    shim = start_shim({"topo": {"addresses": [f"127.0.0.1:{free_port()}", bed.environment["BED_ETCD"]],
                                "roots": ["/vitess/global", "/vitess/zone1"]}})
    for root in ("/vitess/global", "/vitess/zone1"):
        shim.wait_event("topo_watched", root=root)
    assert shim.wait_event("topo_watch_ended")
    bed.run(f"ALTER VSCHEMA CREATE VINDEX `{vindex}` USING hash")
    until(lambda: changes(shim, source="etcd", kind="vschema"), "it is seen", 5)


def test_errors_make_it_suspicious(shim, bed):
    """vtgate does not know a keyspace: perhaps it has gone a moment ago. A syntax error tells nothing."""
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error):
            cursor.execute("SELEC 1")
        assert shim.admin("SHOW CHANGES") == []
        with pytest.raises(pymysql.Error):
            cursor.execute("SELECT * FROM no_such_keyspace.t")
    row = until(lambda: shim.admin("SHOW CHANGES"), "it is suspected")[0]
    assert (row["kind"], row["source"], row["state"], row["keyspace"]) == ("vschema", "error", "ended", bed.keyspace)


@pytest.mark.parametrize("way", ["web", "control"])
def test_every_vtgate_knows_the_columns(start_shim, bed, web, table, way):
    """After the OK any vtgate takes the new column, though ddl.settle_ms is nothing."""
    config = {"vtgate_web": {"addresses": web}} if way == "web" else {
        "control": {"user": "dba", "password": "dba_secret"}}
    shim = start_shim(config | {"ddl": {"settle_ms": 0, "visible_ms": 30000}})
    shim.secret("dba_secret")
    for name in ("one", "two"):
        shim.run(f"ALTER /*vtshim strategy=direct */ TABLE `{table}` ADD COLUMN {name} int")
        for gate in range(len(bed.gates)):
            with bed.connect(gate) as connection, connection.cursor() as cursor:
                cursor.execute(f"SELECT {name} FROM `{table}`")
    assert not shim.events("ddl_not_visible_everywhere")


def test_a_change_straight_on_mysql(start_shim, bed, web, table):
    """A column that a shard's MySQL has and Vitess does not know of, as gh-ost leaves one; until somebody reloads."""
    shim = start_shim({"vtgate_web": {"addresses": web, "interval_ms": 100}, "columns": {"compare_s": 1},
                       "control": {"user": "dba", "password": "dba_secret"}})
    shim.secret("dba_secret")
    shard = bed.shards[0].split("/")[1]
    row = next(row for row in bed.run("SHOW VITESS_TABLETS") if row["Shard"] == shard)
    tablet = int(row["Alias"].rsplit("-", 1)[1])
    sock = bed.folder / f"vt_{tablet:010d}" / "mysql.sock"
    database = f"vt_{bed.keyspace}"
    with pymysql.connect(unix_socket=str(sock), user="vt_dba", database=database) as mysql, mysql.cursor() as cursor:
        cursor.execute(f"ALTER TABLE `{table}` ADD COLUMN behind_its_back int")
    found = until(lambda: [row for row in shim.admin("SHOW DIFFERENCES") if row["table"] == table], "it is noticed")
    assert {row["shard"] for row in found} == {shard} and {row["vtgate"] for row in found} == set(bed.endpoints)
    assert found[0]["mysql_columns"] == "3" and found[0]["vtgate_columns"] == "2"
    assert shim.wait_event("columns_differ", table=table) and shim.metric("vtshim_columns_differ") >= len(web)
    with pymysql.connect(unix_socket=str(sock), user="vt_dba", database=database) as mysql, mysql.cursor() as cursor:
        cursor.execute(f"ALTER TABLE `{table}` DROP COLUMN behind_its_back")
    until(lambda: not [row for row in shim.admin("SHOW DIFFERENCES") if row["table"] == table], "it is over")
    assert shim.wait_event("columns_agree", table=table)
