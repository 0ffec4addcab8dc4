"""The HTTP API: what it does, who may, what its document says, and what other sites' pages cannot."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.parse

import pytest

from lib.api import Api, check, resolve, token_hash
from lib.bed import REPOSITORY
from lib.poll import until

TOKENS = {"looks": "viewer-5f0c1de2a4", "works": "operator-91b7e6d3c0", "rules": "admin-0a8d4b7f62"}
SETTINGS = {"http_tokens": {"looks": {"password": token_hash(TOKENS["looks"]), "role": "viewer"},
                            "works": {"password": token_hash(TOKENS["works"]), "role": "operator"},
                            "rules": token_hash(TOKENS["rules"])}}


# What may be empty on a shim that has just begun.
NOTHING_TO_SEE = {"/migrations", "/holds/{id}", "/transitions", "/vschemas", "/transactions", "/parked", "/digests", "/errors", "/users", "/audit",
                  "/plans", "/changes", "/differences", "/shapes", "/fleet"}


@pytest.fixture
def guarded(start_shim):
    shim = start_shim(SETTINGS)
    shim.secret(*TOKENS.values())
    return shim


@pytest.fixture
def viewer(guarded):
    return Api(guarded, TOKENS["looks"])


@pytest.fixture
def operator(guarded):
    return Api(guarded, TOKENS["works"])


@pytest.fixture
def admin(guarded):
    return Api(guarded, TOKENS["rules"])


def test_document_and_program_agree(guarded, viewer):
    """Each route of the program is in the document, and the other way round: method, parameters, role."""
    served = Api(guarded)("GET", "/api/v1/openapi.json")
    assert served.status == 200 and served.body == (REPOSITORY / "docs" / "openapi.json").read_bytes()
    document = served.json
    routes = {(route["method"].lower(), route["path"]): route for route in viewer.get("/api/v1")["routes"]}
    described = {(method, path): operation for path, item in document["paths"].items() for method, operation in item.items()}
    assert routes.keys() == described.keys()
    for key, operation in described.items():
        stated = [resolve(document, p["$ref"]) if "$ref" in p else p for p in operation.get("parameters", [])]
        names = {p["name"] for p in stated} - {"limit"}  # which is the answer's, not the command's
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        required = set(body.get("required", [])) | {p["name"] for p in operation.get("parameters", []) if p.get("required")}
        if "x-document" in body:
            names, required = names | {body["x-document"]}, required | {body["x-document"]}
        names |= body.get("properties", {}).keys()
        parameters = routes[key]["parameters"]
        assert names == {p["name"] for p in parameters}, key
        assert required == {p["name"] for p in parameters if not p["optional"]}, key
        assert operation.get("x-right") == routes[key]["right"], key
        assert ("requestBody" in operation) == (key[0] == "post"), key


def test_answers_are_as_described(guarded, operator):
    """Every GET without a parameter, with something to see, is answered as the document says."""
    document = operator.get("openapi.json")
    hold = operator("POST", "holds", {"scope": "table", "keyspace": "commerce", "table": "nothing_is_held", "reason": "a"})
    assert hold.status == 200
    check(document, {"type": "array", "items": {"$ref": "#/components/schemas/NewHold"}}, hold.json)
    with guarded.connect():
        for path, item in document["paths"].items():
            if "get" not in item:
                continue
            answer = operator("GET", path.replace("{id}", str(hold.json[0]["id"])).replace("{uuid}", "unknown")[1:])
            if path in ("/migrations/{uuid}", "/transitions/{id}", "/transitions/{id}/record", "/plans/{id}"):
                assert answer.status == 422, path
                check(document, resolve(document, "#/components/schemas/Error"), answer.json)
                continue
            assert answer.status == 200, (path, answer.body)
            check(document, item["get"]["responses"]["200"]["content"]["application/json"]["schema"], answer.json)
            assert answer.json or path in NOTHING_TO_SEE, path
            assert answer.headers["X-Total-Count"] == str(len(answer.json)), path
            assert answer.headers["Cache-Control"] == "no-store"


def test_same_answers_as_the_console(guarded, viewer, operator):
    """The console and the API know one another's holds, and show the same columns."""
    made = operator("POST", "holds", {"scope": "keyspace", "keyspace": "no_such_ks", "seconds": 600, "only": ["writes", "ddl"],
                                      "reason": "it's a \\ \"reason\" `b`"}).json[0]
    seen = [row for row in guarded.admin("SHOW HOLDS") if int(row["id"]) == made["id"]][0]
    assert seen["reason"] == "it's a \\ \"reason\" `b`" and seen["owner"] == "works@127.0.0.1"
    mine = [row for row in viewer.get("holds") if row["id"] == made["id"]][0]
    assert mine.keys() == seen.keys() and mine["scope"] == seen["scope"] and mine["kinds"] == seen["kinds"]
    assert 590 < mine["expires_in_s"] <= 600
    guarded.admin(f"RELEASE {made['id']}")
    assert viewer.get("holds") == []
    gone = operator("DELETE", f"holds/{made['id']}")
    assert gone.status == 404 and gone.json["error"]["code"] == 1094


def test_filters(guarded, viewer):
    """LIKE and WHERE as on the console; a mistake is told as there; nothing else can be put behind them."""
    def query(path: str, **values: str):
        return viewer("GET", f"{path}?{urllib.parse.urlencode(values)}")

    def named(path: str, **values: str) -> list[str]:
        return [row["name"] for row in query(path, **values).json]
    holds = named("config", like="hold.%")
    assert "hold.max_wait_ms" in holds and all(name.startswith("hold.") for name in holds)
    assert named("config", where="name = 'workers' AND value < 100") == ["workers"] and named("config", where="name = 'workers' AND value > 99") == []
    assert named("config", like="hold.%", where="name LIKE '%_ms' and name != 'hold.max_wait_ms'") == [
        row["name"] for row in guarded.admin("SHOW CONFIG LIKE 'hold.%' WHERE name LIKE '%_ms' AND name != 'hold.max_wait_ms'")] != []
    with guarded.connect():
        ours = query("sessions", where=f"user = '{guarded.bed.user}' and state = 'idle'")
        assert len(ours.json) == 1 and ours.headers["X-Total-Count"] == "1"
        assert query("sessions", where="user = 'nobody'", limit="5").json == []
    for values, text in (({"where": "nosuch = 1"}, "nosuch"), ({"where": "id"}, "LIKE"), ({"where": "id = 1; KILL SESSION 1"}, "conditions"),
                         ({"where": "id = 'open"}, "conditions"), ({"where": ""}, "conditions"), ({"where": "id = 1 FOLLOW"}, "AND"),
                         ({"like": "x" * 300}, "at most 255 bytes")):
        answer = query("sessions", **values)
        assert answer.status in (400, 422) and text in answer.message, (values, answer.body)
    assert viewer("GET", "holds/1?like=x").status == 400 and viewer("GET", "help?where=id%3D1").status == 400


def test_hold_parks_and_release_lets_go(guarded, operator, viewer):
    """Set and ended by the API alone; the statement waits and then runs."""
    hold = operator("POST", "holds", {"scope": "all", "seconds": 30}).json[0]["id"]
    rows: list = []
    thread = threading.Thread(target=lambda: rows.extend(guarded.run("SELECT 7 AS seven")))
    thread.start()
    until(lambda: [row for row in viewer.get("holds") if row["parked"] == 1], "one is parked")
    assert [row for row in viewer.get("sessions") if row["state"] == "parked"]
    assert operator("DELETE", f"holds/{hold}").json == {"affected": 1, "info": None}
    thread.join(10)
    assert rows == [{"seven": 7}]


def test_roles(guarded, viewer, operator, admin):
    """Each may what its role may, and is told what it lacks."""
    for path, body in (("holds", {"scope": "all", "seconds": 1}), ("vtgates/x/drain", None), ("migrations/u/cancel", None)):
        refused = viewer("POST", path, body)
        assert refused.status == 403 and "needs the role operator" in refused.message.replace("you need", "needs"), refused.body
    assert viewer("DELETE", "holds").status == 403
    assert viewer("POST", "commands", {"command": "HOLD ALL FOR 1"}).status == 403
    assert viewer("POST", "commands", {"command": "SHOW VERSION"}).json == viewer.get("version")
    assert operator("POST", "reload").status == 403
    assert admin("POST", "reload").json == []
    assert viewer.get("/api/v1")["caller"] == {"name": "looks", "role": "viewer"}
    assert guarded.admin("SHOW HOLDS") == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer viewer-5f0c1de2a"},
                                     {"Authorization": "Basic " + TOKENS["looks"]}, {"Authorization": TOKENS["looks"]},
                                     {"Authorization": "Bearer " + SETTINGS["http_tokens"]["rules"]},
                                     {"Authorization": "Bearer " + "x" * 3000}, {"Cookie": "token=" + TOKENS["rules"]}],
                         ids=["none", "empty", "part", "basic", "bare", "hash", "long", "cookie"])
def test_without_a_token(guarded, headers):
    """401, whatever is asked for; the probes, the metrics and the document are open."""
    stranger = Api(guarded)
    for method, path in (("GET", "sessions"), ("POST", "holds"), ("GET", "nosuch"), ("DELETE", "holds")):
        answer = stranger(method, path, {"scope": "all"} if method == "POST" else None, **headers)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
    for path in ("/healthz", "/metrics", "/api/v1/openapi.json"):
        assert stranger("GET", path, **headers).status == 200
    assert guarded.events("http_denied")


def test_tokens_are_reloaded(guarded, admin, viewer):
    """One that is taken away is out at once; a new one is in."""
    guarded.write_config({"http_tokens": {"looks": {"password": token_hash("another-token-33"), "role": "viewer"}}})
    assert [row["setting"] for row in admin("POST", "reload").json] == ["http_tokens"]
    assert viewer("GET", "sessions").status == 401
    assert Api(guarded, "another-token-33").get("version")


@pytest.mark.parametrize("settings, text", [
    ({"http_tokens": {"ops": "in-the-clear-token"}}, "only the hash of a token"),
    ({"http_tokens": {"ops": {"password": token_hash("x"), "certificate": "y"}}, "tls": {"cert": "c.pem", "key": "k.pem", "ca": "ca.pem"}}, "no certificate"),
    ({"http_tls": True}, "http_tls: needs tls.cert")], ids=["clear", "certificate", "tls"])
def test_settings_are_checked(program, tmp_path, settings, text):
    """Only hashes belong into the configuration, and TLS needs a certificate."""
    (tmp_path / "vtshim.json").write_text(json.dumps({"vtgate": "127.0.0.1:1"} | settings))
    done = subprocess.run([str(program), "--config", str(tmp_path / "vtshim.json")], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode != 0 and text in done.stdout + done.stderr and "in-the-clear" not in done.stdout + done.stderr


@pytest.mark.parametrize("headers, status", [
    ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Sec_Fetch_Site": "cross-site"}, 403), ({"Sec_Fetch_Site": "same-site"}, 403),
    ({"Content_Type": "text/plain"}, 415), ({"Content_Type": ""}, 415),
    ({"Content_Type": "application/x-www-form-urlencoded"}, 415), ({"Content_Type": "application/jsonx"}, 415),
    ({"Sec_Fetch_Site": "same-origin"}, 200), ({"Sec_Fetch_Site": "none"}, 200),
    ({"Content_Type": "application/json; charset=utf-8"}, 200)])
def test_other_sites(guarded, operator, headers, status):
    """A page of another site gets nothing done, even with a token."""
    answer = operator("POST", "holds", {"scope": "table", "keyspace": "a", "table": "b", "seconds": 60}, **headers)
    assert answer.status == status, answer.body
    assert len(guarded.admin("SHOW HOLDS")) == (status == 200)
    assert not answer.headers["Access-Control-Allow-Origin"] and not answer.headers["Set-Cookie"]


def test_own_page_may(guarded, operator):
    host = "%s:%d" % guarded.http_address
    assert operator("DELETE", "holds", Origin=f"http://{host}").status == 200
    assert operator("DELETE", "holds", Origin="http://127.0.0.1:1").status == 403


def test_no_change_by_get(guarded, admin):
    """No path changes anything by GET or HEAD; other methods are told which are allowed."""
    for route in admin.get("/api/v1")["routes"]:
        if route["method"] == "GET":
            assert route["command"].startswith(("SHOW ", "HELP")), route
            assert admin("HEAD", route["path"].format(id=1, uuid="u", vtgate="v")[1:]).body == b""
    answer = admin("GET", "migrations/u/cancel")
    assert answer.status == 405 and answer.headers["Allow"] == "POST"
    assert admin("POST", "sessions").headers["Allow"] == "GET"
    assert admin("PUT", "holds").status in (405, 501) and admin("OPTIONS", "holds").status in (405, 501)


@pytest.mark.parametrize("body, text", [
    (b"", "missing parameter 'scope'"), (b"{", "no JSON object"), (b"[]", "no JSON object"), (b"7", "no JSON object"),
    (b'{"scope": "all", "scope": "all"}', "no JSON object"), (b'{"scope": "all\\u0000"}', "no JSON object"),
    (b'{"scope": "everything"}', "syntax"), (b'{"scope": "all", "bogus": 1}', "unknown parameter 'bogus'"),
    (b'{"scope": "table", "keyspace": "a"}', "syntax"), (b'{"scope": "all", "reason": 5}', "must be a string"),
    (b'{"scope": "all", "seconds": 1e99}', "must be a number"), (b'{"scope": "all", "seconds": 999999999}', "max_ttl_s"),
    (b'\xff\xfe', "no JSON object")])
def test_bad_bodies(guarded, operator, body, text):
    """400, and what is wrong."""
    answer = operator("POST", "holds", raw=body)
    assert answer.status == 400 and text in answer.message, answer.body
    assert guarded.admin("SHOW HOLDS") == []


def test_large_bodies_and_many_rows(guarded, operator, viewer):
    with socket.create_connection(guarded.http_address, timeout=10) as client:  # what is too large is not waited for
        client.sendall(b"POST /api/v1/plans HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1100000\r\n\r\n{")
        assert b" 413 " in client.recv(100)
    limited = viewer("GET", "config?limit=3")
    assert len(limited.json) == 3 and int(limited.headers["X-Total-Count"]) == len(viewer.get("config")) > 50
    for query in ("limit=0", "limit=x", "limit=-1", "bogus=1", "limit=99999999999999999999"):
        assert viewer("GET", "config?" + query).status == 400, query


def test_vtgates(guarded, operator, viewer, bed):
    """Drained and resumed by name."""
    name = viewer.get("vtgates")[0]["vtgate"]
    assert operator("POST", f"vtgates/{name}/drain").status == 200
    assert "drain" in [row["health"] for row in viewer.get("vtgates") if row["vtgate"] == name][0]
    assert operator("POST", f"vtgates/{name.replace(':', '%3A')}/resume").status == 200
    assert operator("POST", "vtgates/10.0.0.1:1/drain").status == 422


def test_what_needs_the_console(viewer):
    """FOLLOW sends row by row: the API says so."""
    answer = viewer("POST", "commands", {"command": "SHOW MIGRATION 'a' FOLLOW"})
    assert answer.status == 422
    assert viewer("POST", "commands", {"command": ""}).status == 400
    assert viewer("POST", "commands", {"command": "FLUSH TABLES"}).status == 400


def test_waiting_ends_with_the_process(guarded, operator):
    """A request whose answer is still to come does not keep the shim from ending."""
    with guarded.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT COUNT(*) FROM demo")
        hold = operator("POST", "holds", {"scope": "table", "keyspace": "commerce", "table": "demo", "seconds": 60}).json[0]
        waiting = threading.Thread(target=lambda: pytest.raises(Exception, operator, "POST", f"holds/{hold['id']}/wait",
                                                                {"seconds": 60}))
        waiting.start()
        until(lambda: waiting.is_alive(), "it waits")
        guarded.terminate()
        guarded.wait()
        waiting.join(10)
        assert not waiting.is_alive()


def test_leaving_before_the_answer(guarded, operator):
    """Clients that go away while their command runs."""
    hold = operator("POST", "holds", {"scope": "table", "keyspace": "commerce", "table": "demo", "seconds": 60}).json[0]
    with guarded.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        for _ in range(3):
            with socket.create_connection(guarded.http_address) as client:
                body = b'{"seconds": 2}'
                client.sendall(b"POST /api/v1/holds/%d/wait HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                               b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                               % (hold["id"], TOKENS["works"].encode(), len(body), body))
        assert operator.get("version")
    assert operator("DELETE", "holds").status == 200


def test_changes_are_audited(start_shim, tmp_path):
    """With the token's name, as sent; refusals too; looking is not."""
    shim = start_shim(SETTINGS | {"audit": {"file": str(tmp_path / "audit.log")}})
    shim.secret(*TOKENS.values())
    works, looks = Api(shim, TOKENS["works"]), Api(shim, TOKENS["looks"])
    hold = works("POST", "holds", {"scope": "all", "seconds": 20, "reason": "backfill"}).json[0]["id"]
    looks("POST", "holds", {"scope": "all"})
    looks.get("sessions")
    works("DELETE", f"holds/{hold}")
    def lines() -> list[dict]:
        return [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    until(lambda: len(lines()) >= 3, "three lines")
    assert [(line["user"], line["outcome"], line["event"]) for line in lines()] == [
        ("works", "ok", "api"), ("looks", "error", "api"), ("works", "ok", "api")]
    assert [line["statement"].split(" STICKY")[0] for line in lines()] == [
        "HOLD all FOR 20 REASON 'backfill'", "HOLD all", f"RELEASE {hold}"]


def test_without_tokens(start_shim):
    """Whoever is on this host may look and nothing else, and only by a name that nobody can point here."""
    shim = start_shim({})
    local = Api(shim)
    port = shim.http_address[1]
    assert local.get("/api/v1")["caller"] == {"name": "local", "role": "viewer"}
    assert local.get("sessions") == [] and local("POST", "holds", {"scope": "all"}).status == 403
    for host in (f"localhost:{port}", "127.0.0.1", "[::1]:80"):
        assert local("GET", "version", Host=host).status == 200
    for host in ("evil.example", f"127.0.0.1.evil.example:{port}", "127.1", " "):
        assert local("GET", "version", Host=host).status in (400, 403)


def test_without_tokens_but_users(start_shim):
    """Where the console asks for a password, HTTP does not show the same without."""
    shim = start_shim({"admin_users": {"ops": token_hash("a-console-password")}})
    assert Api(shim)("GET", "sessions").status == 403 and Api(shim)("GET", "/metrics").status == 200


def test_tls(start_shim, certificates):
    """The HTTP port with tls.cert, to clients without a certificate; in the clear it says nothing."""
    shim = start_shim(SETTINGS | {"http_tls": True, "tls": {"cert": str(certificates.path("server.pem")),
                                                            "key": str(certificates.path("server-key.pem")),
                                                            "ca": str(certificates.path("ca.pem"))}})
    shim.secret(*TOKENS.values())
    api = Api(shim, TOKENS["works"], certificates.context())
    assert api.get("version") and api("DELETE", "holds").status == 200
    with pytest.raises(Exception):
        Api(shim, TOKENS["works"])("GET", "version")
