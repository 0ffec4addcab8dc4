"""The dashboard in a real browser: what it shows and does, by mouse, by keyboard, on a phone; and what it may not."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lib.api import Api, token_hash
from lib.browser import Browser
from lib.poll import until

TOKENS = {"viewer": "dashboard-viewer-77", "operator": "dashboard-operator-77"}
SETTINGS = {"http_tokens": {name: {"password": token_hash(token), "role": name} for name, token in TOKENS.items()}}


@pytest.fixture
def guarded(start_shim):
    shim = start_shim(SETTINGS)
    shim.secret(*TOKENS.values())
    return shim


def pictures(tmp_path: Path) -> Path:
    """VTSHIM_PICTURES keeps them."""
    folder = Path(os.environ.get("VTSHIM_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def url(shim) -> str:
    return "http://%s:%d/" % shim.http_address


def sign_in(browser: Browser, shim, token: str) -> None:
    browser.open(url(shim))
    browser.wait("#token")
    until(lambda: browser.focused() == "token", "the token's field has the focus")
    browser.keys(*token, "Enter")
    browser.wait("#content")


def is_png(path: Path, at_least: int) -> bool:
    data = path.read_bytes()
    return data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > at_least


def test_headers(shim):
    """A strict policy, no cookies, no other site; the script asks nobody but its own host."""
    local = Api(shim)
    for path, type_ in (("/", "text/html"), ("/dashboard/app.js", "text/javascript"), ("/dashboard/style.css", "text/css")):
        answer = local("GET", path)
        assert answer.status == 200 and answer.headers["Content-Type"] == type_
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and not answer.headers["Set-Cookie"]
        assert not any(word in answer.body.replace(b"http://www.w3.org/", b"") for word in (b"http://", b"https://", b"innerHTML"))
    assert local("POST", "/").status == 405 and local("GET", "/dashboard/nosuch.js").status == 404


def test_sign_in_and_out(guarded, tmp_path):
    """By keyboard: a wrong token is refused, a right one shows the page; signing out forgets it."""
    with Browser(tmp_path) as browser:
        sign_in_wrong = "no-such-token"
        browser.open(url(guarded))
        browser.wait("#token")
        assert not browser.seen("#content")
        until(lambda: browser.focused() == "token", "the token's field has the focus")
        browser.keys(*sign_in_wrong, "Enter")
        browser.wait("#messages", "not known")
        assert not browser.seen("#content")
        sign_in(browser, guarded, TOKENS["viewer"])
        browser.wait("#who", "viewer, viewer")
        assert not browser.seen("#new-hold") and browser.run("return document.cookie") == ""
        browser.click("#sign-out")
        browser.wait("#sign-in")
        assert browser.run("return sessionStorage.length + localStorage.length") == 0


def test_what_is_shown_and_done(guarded, tmp_path, bed):
    """Sessions, traffic, a hold set and released by hand, a parked session, vtgates: as the API has them."""
    with Browser(tmp_path) as browser, guarded.connect() as connection, connection.cursor() as cursor:
        sign_in(browser, guarded, TOKENS["operator"])
        browser.wait("#ready", "ready")
        browser.wait("#sessions-rows", bed.user)
        assert len(bed.endpoints) == browser.run("return document.querySelectorAll('#vtgates-rows tr').length")
        for _ in range(50):
            cursor.execute("SELECT 1")
        browser.wait("#cards", "Commands")
        until(lambda: float(browser.text("#rate-now").replace(",", "").replace("…", "0") or 0) > 0, "the rate moves")
        browser.click("#new-hold summary")
        browser.type("#hold-keyspace", "commerce")
        browser.type("#hold-table", "demo")
        browser.type("#hold-reason", "seen by <b>hand</b>")
        browser.click("#hold-form button")
        browser.wait("#holds-rows", "commerce.demo")
        assert "<b>hand</b>" in browser.text("#holds-rows")
        waiting = threading.Thread(target=guarded.run, args=("SELECT COUNT(*) FROM demo",))
        waiting.start()
        browser.wait("#parked-rows", "hold")
        assert is_png(browser.picture(pictures(tmp_path) / "dashboard.png"), 20_000)
        browser.click("#holds-rows button")
        browser.wait("#holds-empty", "No hold")
        waiting.join(10)
        assert not waiting.is_alive() and guarded.admin("SHOW HOLDS") == []
        browser.type("#sessions-filter", "nobody-like-this")
        browser.wait("#sessions-empty")
        assert [text for text in browser.complaints() if "401" not in text] == []  # the first question is without a token


def test_rows_keep_the_focus(guarded, tmp_path):
    """By keyboard alone: the focus stays on a button while the page goes on looking; a dialog asks first."""
    hold = guarded.hold("KEYSPACE no_such_ks FOR 600")
    with Browser(tmp_path) as browser:
        sign_in(browser, guarded, TOKENS["operator"])
        browser.open(url(guarded))
        browser.wait("#holds-rows", "no_such_ks")
        order = []
        for _ in range(14):
            browser.keys("Tab")
            order.append(browser.focused())
            if order[-1] == f"Release hold {hold}":
                break
        assert order[-1] == f"Release hold {hold}" and order[:3] == ["To the content", "Traffic", "Holds"], order
        before = browser.text("#holds-rows")
        until(lambda: browser.text("#holds-rows") != before, "the row is updated")
        assert browser.focused() == f"Release hold {hold}"
        browser.keys("Enter")
        browser.wait("#holds-empty", "No hold")
        # Everything: asked first, and Escape is no.
        browser.click("#new-hold summary")
        browser.run("document.getElementById('hold-scope').value = 'all'; document.getElementById('hold-scope').dispatchEvent(new Event('change'))")
        assert not browser.seen("#hold-table")
        browser.click("#hold-form button")
        browser.wait("#confirm")
        assert browser.focused() == "Leave it"
        browser.keys("Escape")
        until(lambda: not browser.seen("#confirm"), "the dialog is closed")
        assert guarded.admin("SHOW HOLDS") == []


def test_names_for_screen_readers(guarded, tmp_path):
    """Every control has a name, every table column, every picture; headings and landmarks are there."""
    guarded.hold("KEYSPACE no_such_ks FOR 600")
    with Browser(tmp_path) as browser:
        sign_in(browser, guarded, TOKENS["operator"])
        browser.wait("#holds-rows", "no_such_ks")
        nameless = browser.run("""
            const named = e => e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length && e.labels[0].textContent.trim())
                || e.getAttribute('aria-labelledby');
            return [...document.querySelectorAll('button, input, select, a, th, svg, progress, dialog, nav, summary')].filter(e => !named(e)).map(e => e.outerHTML)""")
        assert nameless == []
        assert browser.run("return [document.querySelectorAll('h1').length, document.querySelectorAll('main').length, document.documentElement.lang]") == [1, 1, "en"]
        assert browser.run("return [...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone(guarded, tmp_path, dark):
    """360 pixels wide: nothing is cut off or has to be scrolled sideways, and buttons are large enough for a finger."""
    hold = guarded.hold("TABLE commerce.demo FOR 600 REASON 'a reason that is long enough to need more than one line of a phone'")
    with guarded.connect(), Browser(tmp_path, 360, 740, dark=dark, phone=True) as browser:
        sign_in(browser, guarded, TOKENS["operator"])
        browser.wait("#holds-rows", "commerce.demo")
        browser.wait("#sessions-rows", guarded.bed.user)
        wide = browser.run("return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1"
                           " && getComputedStyle(e).clipPath === 'none' && !e.closest('thead')).map(e => e.outerHTML.slice(0, 80))")
        assert wide == [] and browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.run("return [...document.querySelectorAll('main button')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 40).length") == 0
        contrast = browser.run("""
            const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4); return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
            const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c) && c !== 'transparent') return c; } return 'rgb(255,255,255)'; };
            return [...document.querySelectorAll('main td, main th, main dt, main dd, main p, main label, main button, h1, h2, nav a, .badge')].filter(e => e.checkVisibility() && e.innerText.trim()).map(e => {
                const a = light(getComputedStyle(e).color), b = light(ground(e)); return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.outerHTML.slice(0, 90)]; }).filter(([c]) => c < 4.5)""")
        assert contrast == []
        assert is_png(browser.picture(pictures(tmp_path) / f"phone-{'dark' if dark else 'light'}.png"), 20_000)
        browser.click(f"[aria-label='Release hold {hold}']")
        until(lambda: guarded.admin("SHOW HOLDS") == [], "released")
        assert [text for text in browser.complaints() if "401" not in text] == []  # the first question is without a token


def test_the_shim_goes_away(guarded, tmp_path):
    """Said on the page, which goes on when the shim is back is not asked here: a page of nobody shows nothing wrong."""
    with Browser(tmp_path) as browser:
        sign_in(browser, guarded, TOKENS["viewer"])
        browser.wait("#ready", "ready")
        guarded.terminate()
        guarded.wait()
        browser.wait("#ready", "no answer", 30)
