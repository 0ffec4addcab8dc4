"""What each vtgate serves with: seen on its web pages, compared, told of."""

from __future__ import annotations

import json
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Iterator

import pytest

from lib.bed import scratch_name
from lib.poll import until
from lib.ports import free_port


@pytest.fixture
def web(bed) -> list[str]:
    return [bed.environment[f"BED_VTGATE{number + 1}_HTTP"] for number in range(len(bed.gates))]


@contextmanager
def page_server(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """A web server whose pages are what `answer(path)` says."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield "127.0.0.1:%d" % server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(address: str, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as page:
        return page.read()


def vtgates(shim) -> list[dict]:
    return shim.admin("SHOW VTGATES")


def test_without_web_addresses(shim):
    """Nothing is known, and nothing pretends to be."""
    for row in vtgates(shim):
        assert row["web"] == "off" and row["vschema"] is None and row["plans"] is None and row["health"] == "up"
    assert shim.admin("SHOW VSCHEMAS") == []
    assert shim.metric("vtshim_vtgate_vschemas") == 0


def test_a_change_from_outside_is_seen(start_shim, bed, web, vschema_alone):
    """A vindex made straight on one vtgate: both show a new digest, and the old one when it is gone."""
    shim = start_shim({"vtgate_web": {"addresses": web, "interval_ms": 100}})
    until(lambda: all(row["web"] == "up" and row["vschema"] for row in vtgates(shim)), "all pages are read")
    before = {row["vschema"] for row in vtgates(shim)}
    assert len(before) == 1 and shim.metric("vtshim_vtgate_vschemas") == 1
    rows = [row for row in shim.admin("SHOW VSCHEMAS") if row["keyspace"] == bed.keyspace]
    assert len(rows) == len(web) and len({row["vschema"] for row in rows}) == 1
    name = scratch_name()
    bed.run(f"ALTER VSCHEMA CREATE VINDEX `{name}` USING hash")
    try:
        until(lambda: len({row["vschema"] for row in vtgates(shim)} - before) == 1
              and not {row["vschema"] for row in vtgates(shim)} & before, "both vtgates show it")
        seen = shim.events("vtgate_vschema")
        assert {event["vtgate"] for event in seen} == set(bed.endpoints)
        assert all(float(row["vschema_age_s"]) < 20 for row in vtgates(shim))
    finally:
        bed.run(f"ALTER VSCHEMA DROP VINDEX `{name}`")
    until(lambda: {row["vschema"] for row in vtgates(shim)} == before, "it is as it was")
    assert all(int(row["reloads"]) > 0 and int(row["plan_misses"]) > 0 for row in vtgates(shim))


def test_drift_is_told(start_shim, web):
    """One vtgate that stays behind: a metric, a line in the log, and the end of both."""
    behind = threading.Event()
    behind.set()

    def answer(path: str) -> tuple[int, bytes]:
        page = fetch(web[1], path)
        if behind.is_set() and path == "/debug/vschema":
            vschema = json.loads(page)
            vschema["routing_rules"]["left_behind"] = ["commerce.demo"]
            page = json.dumps(vschema).encode()
        if not behind.is_set() and path == "/debug/vars":
            counters = json.loads(page)
            counters["VtgateVSchemaCounts"]["Reload"] += 1
            page = json.dumps(counters).encode()
        return 200, page

    with page_server(answer) as address:
        shim = start_shim({"vtgate_web": {"addresses": [web[0], address], "interval_ms": 100}})
        until(lambda: shim.metric("vtshim_vtgate_vschemas") == 2, "the drift is seen")
        assert shim.wait_event("vtgates_differ", vschemas=2)
        behind.clear()
        until(lambda: shim.metric("vtshim_vtgate_vschemas") == 1, "its end, too")
        assert shim.wait_event("vtgates_agree")


@pytest.mark.parametrize("status, body, word", [
    (500, b"", "status"), (200, b"<html>", "JSON"), (200, b"{}", "not that of a vtgate"),
    (200, b"[" * 100_000, "JSON"), (200, b'"' + b"a" * (17 << 20) + b'"', "too long"),
], ids=["500", "html", "empty", "deep", "long"])
def test_bad_pages(start_shim, web, status, body, word):
    """Said once, asked less often, and everything else goes on."""
    with page_server(lambda path: (status, body)) as address:
        shim = start_shim({"vtgate_web": {"addresses": [web[0], address], "interval_ms": 100}})
        assert word in shim.wait_event("vtgate_web_failed")["error"]
        until(lambda: [row["web"] for row in vtgates(shim)] == ["up", "down"], "one is up, one is down")
        assert shim.run("SELECT 1 AS one") == [{"one": 1}]
        assert len(shim.events("vtgate_web_failed")) == 1


def test_nobody_there(start_shim, bed):
    """A port for all on which nobody listens: the vtgates are up, their pages are not."""
    shim = start_shim({"vtgate_web": {"port": free_port(), "interval_ms": 100}})
    shim.wait_event("vtgate_web_failed")
    assert {row["web"] for row in vtgates(shim)} == {"down"} and {row["health"] for row in vtgates(shim)} == {"up"}
    assert shim.metric("vtshim_vtgate_web_failures_total") >= len(bed.gates)


def test_cold_plan_caches(start_shim, bed, web):
    """Statements that are all different: few hits, which is said when there were enough of them."""
    counters = json.loads(fetch(web[0], "/debug/vars"))

    def answer(path: str) -> tuple[int, bytes]:
        if path != "/debug/vars":
            return 200, fetch(web[0], path)
        counters["QueryPlanCacheMisses"] += 50
        counters["QueryPlanCacheHits"] += 10
        return 200, json.dumps(counters).encode()

    with page_server(answer) as address:
        shim = start_shim({"vtgate": bed.endpoints[0], "vtgate_web": {"addresses": address, "interval_ms": 100}})
        shim.wait_event("vtgate_plans_cold", vtgate=bed.endpoints[0])
        assert shim.metric("vtshim_vtgate_plan_cache_cold") == 1
        assert 0.1 < shim.metric("vtshim_vtgate_plan_cache_hit_ratio") < 0.25
