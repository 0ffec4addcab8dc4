"""Plans on the dashboard: steps and their states while one runs, a pause with its reason, resumed and given up by keyboard."""

from __future__ import annotations

import threading

import pymysql
import pytest

from lib import vschema
from lib.api import token_hash
from lib.bed import scratch_name
from lib.browser import Browser
from lib.ddl import INSTANT
from lib.poll import until
from lib.shim import merge
from test_dashboard import SETTINGS, TOKENS, is_png, pictures, sign_in
from test_dashboard_work import wide
from test_plans import create, plan

ADMIN = "dashboard-admin-77"


@pytest.fixture
def shim(start_shim, bed):
    users = merge(SETTINGS, {"http_tokens": {"admin": {"password": token_hash(ADMIN), "role": "admin"}}})
    shim = start_shim(merge(vschema.settings(bed), merge(INSTANT, merge(users, {"transition": {"drain_ms": 300}}))))
    shim.secret(ADMIN, *TOKENS.values())
    return shim


@pytest.fixture
def name(bed):
    name = scratch_name()
    with vschema.kept(bed):
        yield name
    bed.forget(name)


def run(shim, command: str) -> None:
    try:
        shim.admin(command)
    except pymysql.Error:
        pass


def states(shim) -> list[str]:
    return [row["state"] for row in shim.admin("SHOW PLANS")]


def test_plans(shim, bed, name, tmp_path):
    """The first plan is done, the second pauses at a transaction that does not end: resumed, and the next one given up."""
    add = {"alter_vschema": [f"ALTER VSCHEMA ON {name} ADD VINDEX hash(id)"]}
    drop = {"alter_vschema": [f"ALTER VSCHEMA DROP TABLE {name}"]}
    with Browser(tmp_path) as browser:
        sign_in(browser, shim, ADMIN)
        browser.wait("#plans-empty", "No plan")
        watched = plan(bed, create(name), add, watch={"seconds": 3, "breach": "alert"})  # so that the page sees it run
        running = threading.Thread(target=run, args=(shim, f"DEPLOY PLAN {watched}"))
        running.start()
        browser.wait("#plans-list", "running")
        running.join()
        browser.wait("#plans-list h3", "done")
        assert [browser.text(f"#plans-list .steps li:nth-child({i}) .badge") for i in (1, 2)] == ["done", "done"]
        assert "migration " in browser.text("#plans-list li:nth-child(1)") and "transition 1" in browser.text("#plans-list li:nth-child(2)")
        assert not browser.seen("#plans-list button")
        with shim.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {name}")
            run(shim, f"DEPLOY PLAN {plan(bed, drop, {'ddl': f'DROP TABLE {name}'})}")
            run(shim, f"DEPLOY PLAN {plan(bed, drop)}")
        assert states(shim) == ["done", "paused", "paused"]
        browser.wait("#plans-list article:nth-child(2) h3", "paused")
        assert "did not end" in browser.text("#plans-list article:nth-child(2) .facts")
        assert is_png(browser.picture(pictures(tmp_path) / "plans.png"), 20_000) and wide(browser) == []
        browser.wait("[aria-label='Give up plan 3']")  # its card is as old as the page's last look
        browser.run("document.querySelector('[aria-label=\"Give up plan 3\"]').focus()")
        browser.keys("Enter")
        browser.wait("#confirm", "plan 3")
        browser.keys("Tab", "Enter")
        until(lambda: states(shim)[2] == "cancelled", "plan 3 is given up")
        browser.wait("#plans-list article:nth-child(1) h3", "cancelled")
        assert browser.text("#plans-list article:nth-child(1) .facts").endswith("given up")
        browser.wait("[aria-label='Resume plan 2']")
        browser.run("document.querySelector('[aria-label=\"Resume plan 2\"]').focus()")
        browser.keys("Enter")
        browser.wait("#confirm", "at step 1")
        browser.keys("Tab", "Enter")
        until(lambda: states(shim)[1] == "done", "plan 2 is done", 60)
        browser.wait("#plans-list article:nth-child(2) h3", "done")
        until(lambda: not browser.seen("#plans-list button"), "nothing is left to do")
        assert [text for text in browser.complaints() if "401" not in text] == []
    with Browser(tmp_path / "phone", 360, 740, phone=True) as browser:
        sign_in(browser, shim, TOKENS["operator"])
        browser.wait("#plans-list article:nth-child(3) .steps", "done")
        browser.picture(pictures(tmp_path) / "plans-phone.png")
        assert wide(browser) == []
