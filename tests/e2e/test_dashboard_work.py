"""The dashboard while there is work: transitions of every outcome, a vtgate that lags behind, migrations that copy and wait, a transaction
in the way, sessions behind holds. All of it is real; the pictures are to be looked at (VTSHIM_PICTURES keeps them)."""

from __future__ import annotations

import threading

import pymysql
import pytest

from lib import vschema
from lib.bed import scratch_name
from lib.browser import Browser
from lib.clients import add_column
from lib.ddl import POSTPONED
from lib.poll import until
from test_dashboard import SETTINGS, TOKENS, is_png, pictures, sign_in
from test_vtgate_watch import fetch, page_server


class Laggard:
    """A vtgate's pages, as they were when it was frozen."""

    def __init__(self, address: str):
        self.address, self.frozen, self.pages = address, False, {}

    def __call__(self, path: str) -> tuple[int, bytes]:
        if not self.frozen or path not in self.pages:
            self.pages[path] = fetch(self.address, path)
        return 200, self.pages[path]


@pytest.fixture
def web(bed):
    laggard = Laggard(bed.environment["BED_VTGATE2_HTTP"])
    with page_server(laggard) as address:
        yield laggard, [bed.environment["BED_VTGATE1_HTTP"], address]


@pytest.fixture
def shim(start_shim, bed, web):
    settings = vschema.settings(bed) | SETTINGS | POSTPONED | {"transition": {"drain_ms": 600000}}
    settings["vtgate_web"] = {"addresses": web[1], "interval_ms": 200}
    shim = start_shim(settings)
    shim.secret(*TOKENS.values())
    return shim


@pytest.fixture
def before(bed):
    with vschema.kept(bed) as kept:
        yield kept


def deploy(shim, bed, value: dict, options: str = "") -> threading.Thread:
    text = vschema.json.dumps(value).replace("'", "''")

    def run() -> None:
        try:
            shim.admin(f"DEPLOY VSCHEMA {bed.keyspace} FROM '{text}' {options}")
        except pymysql.Error:
            pass
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def statuses(shim) -> list[str]:
    return [row["status"] for row in shim.admin("SHOW MIGRATIONS")]


def many_transitions(shim, bed, before: dict, table: str) -> None:
    """Done, refused, rolled back, and a dry run."""
    wanted = vschema.with_table(before, table)
    deploy(shim, bed, wanted, "DRY RUN").join()
    deploy(shim, bed, vschema.with_table(before, table, vindex="hsah")).join()
    deploy(shim, bed, wanted, f"PROBE 'SELECT nothing FROM {table}'").join()
    deploy(shim, bed, wanted, f"PROBE 'SELECT count(*) FROM {table}'").join()
    assert {row["outcome"] for row in shim.admin("SHOW TRANSITIONS")} >= {"done", "refused", "rolled back"}


def check_transitions(browser: Browser, table: str) -> None:
    """Each with its outcome in words, the newest first; the one under way says where it is, and its steps can be looked at."""
    browser.wait("#transitions-list li:nth-child(1)", "drain")
    seen = browser.text("#transitions-list")
    assert seen.index("done") < seen.index("rolled back") < seen.index("refused")
    browser.run("document.querySelector('#transitions-list li:nth-child(2) summary').focus()")
    browser.keys("Enter")
    browser.wait("#transitions-list li:nth-child(2) details[open]", "probe")
    assert f"tables.{table}" in browser.text("#transitions-list li:nth-child(2) details")


def wide(browser: Browser) -> list[str]:
    return browser.run("return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1"
                       " && getComputedStyle(e).clipPath === 'none' && !e.closest('thead')).map(e => e.outerHTML.slice(0, 80))")


@pytest.mark.long
def test_work_is_shown(shim, bed, before, web, tmp_path):
    with bed.scratch_table() as table, bed.scratch_table() as held, bed.scratch_table() as copied:
        many_transitions(shim, bed, before, table)
        alters = [add_column(shim, held, "w")]
        until(lambda: [row for row in shim.admin("SHOW MIGRATIONS") if row["ready"] == "2"], "one waits for its completion", 60)
        alters.append(add_column(shim, copied, "w"))
        until(lambda: statuses(shim) == ["running"] * 2, "both run", 60)
        web[0].frozen = True
        bed.run(f"ALTER VSCHEMA CREATE VINDEX `{scratch_name()}` USING hash")
        until(lambda: shim.metric("vtshim_vtgate_vschemas") == 2, "they differ")

        with shim.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM demo")
            changed = vschema.json.loads(vschema.json.dumps(vschema.current(bed)))
            changed["tables"]["demo"]["column_list_authoritative"] = False
            changed["tables"]["demo"]["columns"] = [{"name": "id", "type": "INT64"}]
            running = deploy(shim, bed, changed)
            until(lambda: shim.admin("SHOW TRANSITIONS")[-1]["step"] == "drain", "it drains")
            hold = shim.hold("TABLE commerce.customer FOR 600 REASON 'backfill of e-mail addresses'")
            waiting = [threading.Thread(target=shim.run, args=(sql,)) for sql in
                       ("SELECT count(*) FROM demo", "SELECT count(*) FROM customer", "UPDATE customer SET email = NULL WHERE id = -1")]
            for thread in waiting:
                thread.start()
            until(lambda: shim.parked() == 3, "three are parked")

            with Browser(tmp_path) as browser:
                sign_in(browser, shim, TOKENS["operator"])
                browser.wait("#migrations-list", "80-")
                check_transitions(browser, table)
                browser.wait("#vschemas-rows", "differs")
                assert len(set(browser.run("return [...document.querySelectorAll('#migrations-list progress')].map(e => e.closest('article').ariaLabel + e.ariaLabel)"))) == 4
                browser.wait("#parked-rows", f"hold {hold}")
                assert is_png(browser.picture(pictures(tmp_path) / "work.png"), 50_000)
                assert wide(browser) == []
                # By keyboard: a migration is postponed, then told to complete.
                browser.run(f"document.querySelector('[aria-label^=\"Complete migration\"]').focus()")
                browser.keys("Tab")
                assert browser.focused().startswith("Postpone migration")
                assert [text for text in browser.complaints() if "401" not in text] == []
            with Browser(tmp_path / "phone", 390, 844, phone=True) as browser:
                sign_in(browser, shim, TOKENS["viewer"])
                browser.wait("#vschemas-rows", "differs")
                browser.wait("#migrations-list", "80-")
                browser.picture(pictures(tmp_path) / "work-phone.png")
                assert wide(browser) == [] and not browser.seen("#migrations-list button")
            blocker.rollback()
        shim.admin("RELEASE ALL")
        web[0].frozen = False
        for thread in (running, *waiting):
            thread.join(60)
            assert not thread.is_alive()
        for name in (held, copied):
            bed.run(f"ALTER VITESS_MIGRATION '{bed.migrations(name)[0]['migration_uuid']}' CANCEL")
        for alter in alters:
            assert isinstance(alter.wait(60), pymysql.Error)
