"""Transitions, plans and settings over the HTTP API: the document is the body, and nothing of it is SQL in a string."""

from __future__ import annotations

import json

import pytest

from lib import vschema
from lib.api import Api, check, token_hash
from lib.poll import until

TOKEN = "admin-0a8d4b7f62"


@pytest.fixture
def deployer(start_shim, bed):
    shim = start_shim(vschema.settings(bed) | {"plans": {"sample": 1}, "http_tokens": {"sre": token_hash(TOKEN)}})
    shim.secret(TOKEN)
    return shim


@pytest.fixture
def api(deployer):
    return Api(deployer, TOKEN)


@pytest.fixture
def document(api):
    return api.get("openapi.json")


def as_described(document: dict, method: str, path: str, value: object) -> None:
    answer = document["paths"][path][method]["responses"]["200"]
    check(document, answer["content"]["application/json"]["schema"], value)


@pytest.fixture
def before(bed):
    with vschema.kept(bed) as kept:
        yield kept


def test_vschema(api, bed, before, table, document):
    """A dry run, a deploy with two probes, its records, a rollback; each answered as the document says."""
    wanted = vschema.with_table(before, table)
    path = f"vschemas/{bed.keyspace}"
    tried = api("POST", path + "?dry_run=true", wanted)
    assert tried.status == 200 and ("add", f"tables.{table}") in {(row["section"], row["item"]) for row in tried.json}, tried.body
    as_described(document, "post", "/vschemas/{keyspace}", tried.json)
    assert table not in vschema.tables(bed)

    done = api("POST", path + f"?probe=SELECT+1+FROM+{table}&probe=SELECT+%27it%27%27s%27&allow=", wanted)
    assert done.status == 200, done.body
    assert len([row for row in done.json if row["section"] == "probe"]) == 2 * len(bed.gates), done.json
    assert table in vschema.tables(bed)

    [row] = [row for row in api.get("transitions") if row["outcome"] == "done"]
    assert row["changes"] == 1 and row["user"].startswith("sre@")
    as_described(document, "get", "/transitions", [row])
    lines, [record] = api.get(f"transitions/{row['id']}"), api.get(f"transitions/{row['id']}/record")
    as_described(document, "get", "/transitions/{id}", lines)
    as_described(document, "get", "/transitions/{id}/record", [record])
    assert json.loads(record["transition"])["outcome"] == "done"

    back = api("POST", f"transitions/{row['id']}/rollback")
    assert back.status == 200, back.body
    as_described(document, "post", "/transitions/{id}/rollback", back.json)
    assert vschema.current(bed) == before
    again = api("POST", f"transitions/{row['id']}/rollback")
    assert again.status == 422 and "somebody changed it since" in again.message


def test_refusals(api, bed, before, table):
    """What is wrong with a document, and with what stands beside it; nothing is changed."""
    path = f"vschemas/{bed.keyspace}"
    wanted = vschema.with_table(before, table)
    for query, body, status, text in (
            ("", vschema.with_table(before, table, vindex="hsah"), 422, f"tables.{table}.column_vindexes[0].name"),
            ("", [wanted], 400, "must be a JSON object, or the name of a file"),
            ("", "file.json", 422, "transition.files"),
            ("?dry_run=perhaps", wanted, 400, "must be true or false"),
            ("?dryrun=true", wanted, 400, "unknown parameter 'dryrun'"),
            ("?vschema=x", wanted, 400, "given twice"),
            ("?watch_s=0", wanted, 400, "1 to 86400"),
            ("?breach=alert", wanted, 400, "DRY RUN, ALLOW, PROBE or WATCH")):
        answer = api("POST", path + query, body)
        assert answer.status == status and text in answer.message, (query, answer.body)
    assert "missing parameter 'vschema'" in api("POST", path).message
    assert vschema.current(bed) == before


def test_large_vschema(api, bed, before):
    """A real one has thousands of tables."""
    large = json.loads(json.dumps(before))
    large["tables"] |= {f"{'t' * 40}_{i}": {"column_vindexes": [{"column": "id", "name": "hash"}]} for i in range(5000)}
    assert len(json.dumps(large)) > 500_000
    answer = api("POST", f"vschemas/{bed.keyspace}?dry_run=true", large)
    assert answer.status == 200 and len([row for row in answer.json if row["section"] == "add"]) >= 400, answer.body[:300]


def test_routing_rules(api, bed, document):
    """Rules in, and back to what they were."""
    rules = json.loads(bed.vtctl("GetRoutingRules"))
    wanted = {"rules": rules.get("rules", []) + [{"from_table": f"{bed.keyspace}.api_demo", "to_tables": [f"{bed.keyspace}.demo"]}]}
    done = api("POST", f"routing-rules?probe=SELECT+count(*)+FROM+{bed.keyspace}.api_demo", wanted)
    assert done.status == 200, done.body
    as_described(document, "post", "/routing-rules", done.json)
    assert json.loads(bed.vtctl("GetRoutingRules"))["rules"][-1]["from_table"].endswith("api_demo")
    assert api("POST", f"transitions/{max(row['id'] for row in api.get('transitions'))}/rollback").status == 200
    assert json.loads(bed.vtctl("GetRoutingRules")).get("rules", []) == rules.get("rules", [])


def test_plan(api, bed, before, table, document):
    """A plan is a body, too: dry, then for real; a failed step is shown, and the plan cancelled."""
    plan = {"keyspace": bed.keyspace, "steps": [{"alter_vschema": [f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)"]}]}
    tried = api("POST", "plans?dry_run=true", plan)
    assert tried.status == 200, tried.body
    as_described(document, "post", "/plans", tried.json)
    assert table not in vschema.tables(bed)
    done = api("POST", "plans", plan)
    assert done.status == 200 and table in vschema.tables(bed), done.body
    plans = api.get("plans")
    as_described(document, "get", "/plans", plans)
    steps = api.get(f"plans/{plans[-1]['id']}")
    as_described(document, "get", "/plans/{id}", steps)
    assert [step["kind"] for step in steps] and steps[0]["state"] == "done", steps
    broken = api("POST", "plans", plan | {"steps": [{"vschema": {"tables": {"a": 1}}}]})
    assert broken.status == 422 and "steps[0]" in broken.message
    assert api("POST", "plans/999/resume").status == 422 and api("POST", "plans/999/cancel").status == 422


def test_what_goes_on(api, deployer, bed, document):
    """Shapes, warming, changes, differences, the fleet: each says what the console says."""
    def seen() -> bool:
        for _ in range(50):
            deployer.run("SELECT id FROM demo WHERE id = 1")
        return bool(api.get("shapes"))
    until(seen, "a shape")
    for name in ("shapes", "changes", "differences", "fleet", "vschemas"):
        console = deployer.admin(f"SHOW {name.upper()}")
        rows = api.get(name)
        as_described(document, "get", f"/{name}", rows)
        assert not console or console[0].keys() == rows[0].keys(), name
    warmed = api("POST", "warm")
    assert warmed.status == 200 and {row["vtgate"] for row in warmed.json} == {row["vtgate"] for row in api.get("vtgates")}, warmed.body
    as_described(document, "post", "/warm", warmed.json)


def test_settings(api, deployer, document):
    """Set, out of bounds, unknown, and back to the default."""
    done = api("POST", "config/hold.max_wait_ms", {"value": 4321})
    assert done.status == 200 and done.json[0]["new"] == "4321", done.body
    as_described(document, "post", "/config/{option}", done.json)
    assert [row["value"] for row in deployer.admin("SHOW CONFIG LIKE 'hold.max_wait_ms'")] == ["4321"]
    back = api("DELETE", "config/hold.max_wait_ms")
    assert back.status == 200 and back.json[0]["old"] == "4321"
    as_described(document, "delete", "/config/{option}", back.json)
    for name, value, text in (("hold.max_wait_ms", -1, "hold.max_wait_ms"), ("hold.nothing", 1, "hold.nothing"),
                              ("listen", "127.0.0.1:1", "restart"), ("hold.max_wait_ms", None, "must be a string, a number")):
        answer = api("POST", f"config/{name}", {"value": value})
        assert answer.status in (400, 422) and text in answer.message, answer.body
    level = api("POST", "log-level", {"level": "debug"})
    assert level.status == 200 and level.json[0]["new"] == "debug"
    as_described(document, "post", "/log-level", level.json)
    assert api("POST", "log-level", {"level": "loud"}).status in (400, 422)
