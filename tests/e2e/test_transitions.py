"""Changes of VSchemas that nobody notices: DEPLOY VSCHEMA, ALTER VSCHEMA, what is refused, what is rolled back."""

from __future__ import annotations

import json
import re
import signal
import threading
import time

import pymysql
import pytest

from lib import vschema, wire
from lib.clients import Load
from lib.poll import until
from lib.shim import Shim


@pytest.fixture
def deployer(start_shim, bed) -> Shim:
    return start_shim(vschema.settings(bed))


@pytest.fixture
def before(bed):
    with vschema.kept(bed) as kept:
        yield kept


def quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def deploy(shim: Shim, bed, value: object, options: str = "") -> dict[str, list[tuple[str, str]]]:
    """The report: section -> [(item, value)]."""
    report: dict[str, list[tuple[str, str]]] = {}
    for row in shim.admin(f"DEPLOY VSCHEMA {bed.keyspace} FROM {quoted(value)} {options}"):
        report.setdefault(row["section"], []).append((row["item"], row["value"]))
    return report


def refused(shim: Shim, bed, value: object, options: str = "") -> str:
    with pytest.raises(pymysql.Error) as error:
        deploy(shim, bed, value, options)
    assert error.value.args[0] in (1105, 1205), error.value
    return error.value.args[1]


def outcomes(shim: Shim) -> list[str]:
    return [row["outcome"] for row in shim.admin("SHOW TRANSITIONS")]


def test_a_table_comes_and_goes(deployer, bed, before, table):
    """A dry run changes nothing; the deploy is on every vtgate when it answers; a rollback takes it back."""
    wanted = vschema.with_table(before, table)
    report = deploy(deployer, bed, wanted, "DRY RUN")
    assert [item for item, _ in report["add"]] == [f"tables.{table}"] and "dry run" in report["result"][0][1]
    assert table not in vschema.tables(bed)

    report = deploy(deployer, bed, wanted, f"PROBE 'SELECT 1 FROM {table} WHERE id = 1' SHARDS '-80' "
                                           f"PROBE 'SELECT count(*) FROM {table}' SHARDS '80-,-80'")
    steps = [item for item, _ in report["step"]]
    assert steps == ["lock", "read", "target", "facts", "migrations", "check", "baseline", "hold", "drain", "compare",
                     "apply", "see", "probe", "warm", "release", "watch"], steps
    assert len(report["probe"]) == 2 * len(bed.gates)
    for gate in range(len(bed.gates)):
        with bed.connect(gate) as connection, connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)")
            cursor.execute(f"DELETE FROM {table} WHERE id IN (1, 2, 3, 4, 5)")
    assert deployer.admin("SHOW HOLDS") == []

    [row] = [row for row in deployer.admin("SHOW TRANSITIONS") if row["outcome"] == "done"]
    assert row["user"].startswith("sre@") and row["changes"] == "1" and row["keyspace"] == bed.keyspace
    deployer.admin(f"ROLLBACK TRANSITION {row['id']}")
    assert vschema.current(bed) == before
    with pytest.raises(pymysql.Error, match="somebody changed it since"):
        deployer.admin(f"ROLLBACK TRANSITION {row['id']}")
    assert deploy(deployer, bed, before)["result"] == [("", "nothing differs from what is in force")]


def test_refusals_name_the_place(deployer, bed, before, table):
    def changed(name: str, value: object) -> dict:
        copy = json.loads(json.dumps(before))
        copy["tables"][name] = value
        return copy

    assert "tables.demo.column_vindexes[0].nam: unknown key" in refused(
        deployer, bed, changed("demo", {"column_vindexes": [{"column": "id", "nam": "hash"}]}))
    assert "malformed JSON" in refused(deployer, bed, "{\"tables\": ")
    assert f"tables.{table}.column_vindexes[0].columns[0]: table '{table}' has no column 'idd'" in refused(
        deployer, bed, vschema.with_table(before, table, column="idd"))
    assert "tables.nowhere: table 'nowhere' does not exist" in refused(
        deployer, bed, vschema.with_table(before, "nowhere"))
    text = refused(deployer, bed, vschema.with_table(before, table, vindex="hsah"))
    assert f"tables.{table}.column_vindexes[0].name" in text and "[column_vindex]" in text
    assert text.endswith("nothing is changed")
    assert "there is no rule" in refused(deployer, bed, vschema.with_table(before, table), "ALLOW 'some'")
    assert "transition.files" in refused(deployer, bed, "file.json")
    assert vschema.current(bed) == before and set(outcomes(deployer)) == {"refused"}


def test_primary_vindex_of_a_table_with_rows(deployer, bed, before):
    bed.run("INSERT IGNORE INTO demo (id, status) VALUES (990001, 'x')")
    try:
        copy = json.loads(json.dumps(before))
        copy["vindexes"]["other"] = {"type": "xxhash"}
        copy["tables"]["demo"]["column_vindexes"][0]["name"] = "other"
        assert "tables.demo.column_vindexes[0]: the primary vindex of table 'demo' changes" in refused(
            deployer, bed, copy)
    finally:
        bed.run("DELETE FROM demo WHERE id = 990001")


def test_a_probe_that_fails_rolls_back(deployer, bed, before, table):
    wanted = vschema.with_table(before, table)
    text = refused(deployer, bed, wanted, f"PROBE 'SELECT nothing FROM {table}'")
    assert "probe 1 failed on" in text and "rolled back" in text and text.startswith("transition 1: probe:")
    assert "touched shards '-80', not '80-'" in refused(
        deployer, bed, wanted, f"PROBE 'SELECT 1 FROM {table} WHERE id = 1' SHARDS '80-'")
    assert vschema.current(bed) == before and outcomes(deployer) == ["rolled back"] * 2
    steps = [row["item"] for row in deployer.admin("SHOW TRANSITION 1") if row["section"] == "step"]
    assert steps[-4:] == ["undo hold", "undo", "undo see", "undo release"]
    assert deployer.admin("SHOW HOLDS") == []


def test_somebody_else_was_quicker(start_shim, bed, before, table):
    """What was read is not what is in force any more when it comes to applying: nothing is overwritten."""
    shim = start_shim(vschema.settings(bed) | {"transition": {"drain_ms": 10000}})
    theirs = vschema.with_table(before, "customer")
    theirs["vindexes"]["theirs"] = {"type": "xxhash"}
    with shim.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM demo")  # an open transaction on demo holds up the drain
        copy = json.loads(json.dumps(before))
        copy["tables"]["demo"]["column_list_authoritative"] = False
        copy["tables"]["demo"]["columns"] = [{"name": "id", "type": "INT64"}]
        errors: list[str] = []
        thread = threading.Thread(target=lambda: errors.append(refused(shim, bed, copy)))
        thread.start()
        until(lambda: any(row["step"] == "drain" for row in shim.admin("SHOW TRANSITIONS")), "it drains", 20)
        vschema.apply(bed, theirs)
        blocker.rollback()
        thread.join()
    assert "changed by somebody else since it was read" in errors[0]
    assert "theirs" in vschema.current(bed)["vindexes"]


def test_transactions_that_do_not_end(start_shim, bed, before):
    shim = start_shim(vschema.settings(bed) | {"transition": {"drain_ms": 100}})
    copy = json.loads(json.dumps(before))
    copy["tables"]["demo"]["columns"] = [{"name": "id", "type": "INT64"}]
    with shim.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM demo")
        text = refused(shim, bed, copy)
        assert "did not end within 100 ms, 3 times" in text and "nothing is changed" in text
        cursor.execute("SELECT count(*) FROM demo")
    assert vschema.current(bed) == before and shim.admin("SHOW HOLDS") == []


def test_holds_last_as_long_as_the_settings_let_it_take(start_shim, bed, before):
    shim = start_shim(vschema.settings(bed) | {"transition": {"drain_ms": 600000, "apply_ms": 300000}})
    copy = json.loads(json.dumps(before))
    copy["tables"]["demo"]["columns"] = [{"name": "id", "type": "INT64"}]
    with shim.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM demo")
        thread = threading.Thread(target=lambda: deploy(shim, bed, copy))
        thread.start()
        [hold] = until(lambda: shim.admin("SHOW HOLDS"), "it holds", 20)
        blocker.rollback()
        thread.join()
    assert float(hold["expires_in_s"]) > 600 + 300


def test_alter_vschema(deployer, bed, before, table):
    """Alone and collected; straight afterwards every vtgate has it; the session's mistakes are answered."""
    with deployer.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)")
        assert "hash" == vschema.tables(bed)[table]["column_vindexes"][0]["name"]
        for gate in range(len(bed.gates)):
            with bed.connect(gate) as straight, straight.cursor() as other:
                other.execute(f"INSERT INTO {table} (id, v) VALUES ({gate + 1}, 1)")
        for statement, code in ((f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)", 1105),
                                ("ALTER VSCHEMA DROP SOMETHING x", 1064)):
            with pytest.raises(pymysql.Error) as error:
                cursor.execute(statement)
            assert error.value.args[0] == code
        cursor.execute(f"BEGIN TRANSITION {bed.keyspace}")
        cursor.execute(f"ALTER VSCHEMA DROP TABLE {table}")
        cursor.execute(f"ALTER VSCHEMA ON {bed.keyspace}.{table} ADD VINDEX hash(id)")
        with pytest.raises(pymysql.Error, match="has begun"):
            cursor.execute(f"BEGIN TRANSITION {bed.keyspace}")
        cursor.execute("ROLLBACK TRANSITION")
        assert table in vschema.tables(bed)
        cursor.execute(f"BEGIN TRANSITION {bed.keyspace}")
        cursor.execute(f"ALTER VSCHEMA DROP TABLE {table}")
        cursor.execute("SELECT 1")
        cursor.execute("COMMIT TRANSITION")
        assert vschema.current(bed) == before
    assert [row["what"] for row in deployer.admin("SHOW TRANSITIONS")] == ["ALTER VSCHEMA"] * 3


@pytest.mark.parametrize("change", ["reset", "user"])
def test_the_next_of_a_pool_collects_nothing(deployer, bed, before, table, change):
    """COM_RESET_CONNECTION and COM_CHANGE_USER end what BEGIN TRANSITION began: ALTER VSCHEMA is done at once again."""
    with deployer.wire() as client:
        assert not client.query(f"BEGIN TRANSITION {bed.keyspace}").error
        assert not client.query("ALTER VSCHEMA DROP TABLE demo").error
        if change == "reset":
            assert not client.command(wire.COM_RESET_CONNECTION).error
        else:
            client.change_user(bed.user, bed.password, bed.keyspace)
        assert not client.query(f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)").error
        assert {"demo", table} <= set(vschema.tables(bed))
        assert not client.query(f"BEGIN TRANSITION {bed.keyspace}").error
        assert not client.query(f"ALTER VSCHEMA DROP TABLE {table}").error
        assert not client.query("COMMIT TRANSITION").error
        assert vschema.current(bed) == before


def test_a_retry_is_not_in_the_way(deployer, bed, before, table):
    """A transaction waits for the table that left the VSchema: the change that brings it back does not wait for it."""
    answers: list = []
    deployer.admin(f"HOLD TABLE {bed.keyspace}.nothing FOR 60 REASON 'what transactions touch is kept now'")
    with deployer.connect() as dba, deployer.connect(autocommit=False) as application, dba.cursor() as cursor:
        cursor.execute(f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)")
        with application.cursor() as statements:
            statements.execute("SELECT count(*) FROM customer")
            cursor.execute(f"ALTER VSCHEMA DROP TABLE {table}")

            def ask() -> None:
                try:
                    answers.append(statements.execute(f"INSERT INTO {table} (id, v) VALUES (1, 1)"))
                except pymysql.Error as error:
                    answers.append(error.args)
            thread = threading.Thread(target=ask)
            thread.start()
            until(lambda: deployer.metric("vtshim_retrying_sessions") == 1, "the statement waits for a retry", 10)
            cursor.execute(f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)")
            thread.join(15)
        application.commit()
        assert answers == [1]
        cursor.execute(f"ALTER VSCHEMA DROP TABLE {table}")
    assert "put off" not in {row["value"].split()[0] for row in deployer.admin("SHOW TRANSITION 3") if row["value"]}


def test_nobody_notices(deployer, bed, before):
    """Drop and re-add of the vindex of a table under load, one text and statement by statement, and deploys."""
    dsn = "%s:%s@tcp(%s:%d)/%s" % (bed.user, bed.password, *deployer.listen, bed.keyspace)
    other = json.loads(json.dumps(before))
    other["tables"]["demo"]["columns"] = [{"name": "id", "type": "INT64"}]
    deployer.secret(bed.password)
    with Load(dsn, 12, connections=16, transactions=20) as load:
        time.sleep(1)
        with deployer.connect() as connection, connection.cursor() as cursor:
            for _ in range(3):
                cursor.execute(f"BEGIN TRANSITION {bed.keyspace}")
                cursor.execute("ALTER VSCHEMA DROP TABLE demo")
                cursor.execute("ALTER VSCHEMA ON demo ADD VINDEX hash(id)")
                cursor.execute("ALTER VSCHEMA CREATE VINDEX spare USING xxhash")
                cursor.execute("COMMIT TRANSITION")
                cursor.execute("ALTER VSCHEMA DROP VINDEX spare")
        for wanted in (other, before, other, before):
            deploy(deployer, bed, wanted)
        report = load.report()
    rows = deployer.admin("SHOW TRANSITIONS")
    assert [row["outcome"] for row in rows] == ["done"] * 10, rows
    print(json.dumps({"held_ms": [row["held_ms"] for row in rows], "took_ms": [row["took_ms"] for row in rows]}))
    assert report["errors"] == {}, report["errors"]
    for name, measured in report["tables"].items():
        assert measured["longest_stall_ms"] < 3000, (name, measured["longest_stall_ms"])


def test_routing_rules(deployer, bed):
    """A name that leads to another table, on every vtgate; taken back; and what is refused."""
    before = json.loads(bed.vtctl("GetRoutingRules"))

    def rules(*more: tuple[str, str]) -> str:
        return quoted({"rules": before.get("rules", []) +
                       [{"from_table": source, "to_tables": [target]} for source, target in more]})

    for wrong, place in (((f"{bed.keyspace}.elsewhere", "demo"), "to_tables[0]: target 'demo' needs its keyspace"),
                         ((f"{bed.keyspace}.elsewhere", "nowhere.demo"), "keyspace 'nowhere' does not exist"),
                         ((f"{bed.keyspace}.elsewhere", f"{bed.keyspace}.nothing"), "is not in the VSchema")):
        with pytest.raises(pymysql.Error) as error:
            deployer.admin(f"DEPLOY ROUTING RULES FROM {rules(wrong)}")
        assert place in error.value.args[1], error.value
    with pytest.raises(pymysql.Error, match="rule_circle"):
        deployer.admin("DEPLOY ROUTING RULES FROM " + rules((f"{bed.keyspace}.demo", f"{bed.keyspace}.customer"),
                                                            (f"{bed.keyspace}.customer", f"{bed.keyspace}.demo")))
    deployer.admin(f"DEPLOY ROUTING RULES FROM {rules((f'{bed.keyspace}.elsewhere', f'{bed.keyspace}.demo'))} "
                   f"PROBE 'SELECT 1 FROM {bed.keyspace}.elsewhere'")
    for gate in range(len(bed.gates)):
        with bed.connect(gate) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM elsewhere")
    [done] = [row["id"] for row in deployer.admin("SHOW TRANSITIONS") if row["outcome"] == "done"]
    deployer.admin(f"ROLLBACK TRANSITION {done}")
    assert json.loads(bed.vtctl("GetRoutingRules")) == before


def test_killed_in_the_middle(start_shim, bed, before, table, tmp_path):
    """The process dies after the change was saved: the next one finds it, sees it through, and can take it back."""
    folder = tmp_path / "transitions"
    folder.mkdir()
    config = vschema.settings(bed) | {"transition": {"dir": str(folder), "settle_ms": 30000}}
    blind = {key: value for key, value in config.items() if key != "vtgate_web"}
    shim = start_shim(blind)
    thread = threading.Thread(target=lambda: pytest.raises(
        pymysql.Error, deploy, shim, bed, vschema.with_table(before, table)))
    thread.start()
    until(lambda: any(row["step"] == "see" for row in shim.admin("SHOW TRANSITIONS")), "it is applied", 20)
    shim.process.send_signal(signal.SIGKILL)
    shim.expected_status = -signal.SIGKILL
    shim.wait()
    thread.join()
    again = start_shim(config)
    until(lambda: outcomes(again) == ["done"], "it is seen through", 20)
    lines = [row["value"] for row in again.admin("SHOW TRANSITION 1") if row["section"] == "resume"]
    assert lines == ["after a restart: what is in force is what was to be"]
    again.admin("ROLLBACK TRANSITION 1")
    assert vschema.current(bed) == before
    kept = json.loads((folder / "transition-1.json").read_text())
    assert kept["outcome"] == "done" and kept["user"] == "sre" and table in kept["after"]["tables"]


@pytest.mark.alone  # traffic of others would count
@pytest.mark.parametrize("word, outcome", [("ROLLBACK", "rolled back"), ("ALERT", "alert")])
def test_traffic_that_changes(start_shim, bed, before, table, word, outcome):
    """From the release on the statements go to all shards: that is a breach, which is taken back or only said."""
    shim = start_shim(vschema.settings(bed) | {"transition": {"watch_p99_percent": 100000, "watch_shard_percent": 100}})
    scatter = threading.Event()
    stop = threading.Event()

    def traffic() -> None:
        with bed.connect() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("SELECT status FROM demo WHERE status = 'x'" if scatter.is_set()
                               else "SELECT status FROM demo WHERE id = 1")
                time.sleep(0.002)

    thread = threading.Thread(target=traffic)
    thread.start()
    errors: list[str] = []

    def run() -> None:
        try:
            deploy(shim, bed, vschema.with_table(before, table), f"WATCH 4 {word}")
        except pymysql.Error as error:
            errors.append(error.args[1])
    deployment = threading.Thread(target=run)
    deployment.start()
    try:
        until(lambda: any(row["step"] == "watch" for row in shim.admin("SHOW TRANSITIONS")), "it is watched", 30)
        scatter.set()
        deployment.join()
    finally:
        stop.set()
        thread.join()
    assert outcomes(shim) == [outcome]
    lines = {row["item"]: row["value"] for row in shim.admin("SHOW TRANSITION 1") if row["section"] == "watch"}
    before_percent, after_percent = (float(word) for word in re.findall(r"[\d.]+", lines["scatter_percent"]))
    # A statement or two of the cluster's own may count, and those from the release on until this test has seen it.
    assert before_percent < 5 < 20 < after_percent, lines
    [row] = shim.admin("SHOW TRANSITION 1 JSON")
    whole = json.loads(row["transition"])
    assert whole["outcome"] == outcome and ["watch", "scatter_percent", lines["scatter_percent"]] in whole["lines"]
    if word == "ROLLBACK":
        assert "go to all shards" in errors[0] and vschema.current(bed) == before
    else:
        assert errors == [] and table in vschema.tables(bed)
