"""A headless Chromium, driven by chromedriver's own protocol (W3C WebDriver); both come from tests/cluster/browser."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lib.bed import REPOSITORY
from lib.poll import until
from lib.ports import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Space": " "}


@cache
def programs() -> Path:
    """The folder of chromium and chromedriver. Where they cannot be had, the test is skipped."""
    done = subprocess.run([str(REPOSITORY / "tests" / "cluster" / "browser")], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no browser: {done.stderr.strip().splitlines()[-1:]}")
    return Path(done.stdout.strip())


class Browser:
    """One window. Use it in a `with`."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 900, dark: bool = False, phone: bool = False):
        self.folder, self.width, self.height, self.dark, self.phone = folder, width, height, dark, phone
        self.port = free_port()

    def __enter__(self) -> "Browser":
        self.driver = subprocess.Popen([str(programs() / "chromedriver"), f"--port={self.port}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(self._answers, "chromedriver answers", 30)
            self.session = self._start()
        except BaseException:
            self.driver.kill()
            self.driver.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(20)

    def _answers(self) -> bool:
        try:
            return self._send("GET", "/status")["ready"]
        except OSError:
            return False

    def _start(self) -> str:
        # Its sandbox needs rights that a container does not have; the page is ours.
        arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
                     f"--user-data-dir={self.folder / 'profile'}", f"--window-size={self.width},{self.height}",
                     "--force-prefers-reduced-motion", *(["--force-dark-mode"] if self.dark else [])]
        options: dict = {"binary": str(programs() / "chromium"), "args": arguments}
        if self.phone:
            options["mobileEmulation"] = {"deviceMetrics": {"width": self.width, "height": self.height, "pixelRatio": 2}}
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        return answer["sessionId"]

    def _send(self, method: str, path: str, body: dict | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=json.dumps(body or {}).encode() if method == "POST" else None,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:600]}") from None

    def ask(self, method: str, path: str, body: dict | None = None) -> Any:
        return self._send(method, f"/session/{self.session}{path}", body)

    # What a test does.

    def open(self, url: str) -> None:
        self.ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs a function's body; its `return` comes back."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> dict:
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})

    def text(self, selector: str) -> str:
        """What is to be seen of the first such element; empty if there is none."""
        return self.run("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector)

    def wait(self, selector: str, text: str = "", seconds: float = 20) -> None:
        until(lambda: self.seen(selector) and text in self.text(selector), f"{selector} shows {text!r}", seconds)

    def seen(self, selector: str) -> bool:
        return self.run("const e = document.querySelector(arguments[0]); return !!e && e.checkVisibility()", selector)

    def click(self, selector: str) -> None:
        self.ask("POST", f"/element/{self.find(selector)[ELEMENT]}/click")

    def type(self, selector: str, text: str) -> None:
        self.ask("POST", f"/element/{self.find(selector)[ELEMENT]}/value", {"text": text})

    def keys(self, *names: str) -> None:
        """Pressed one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": KEYS.get(name, name)} for name in names for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def focused(self) -> str:
        """The element that has the focus: its name for a screen reader, as far as it is easy to tell."""
        return self.run("const e = document.activeElement; return e.getAttribute('aria-label') || e.id || e.innerText || e.tagName")

    def complaints(self) -> list[str]:
        """What the console says: errors of the script, breaches of the policy, failed requests."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def picture(self, path: Path, whole: bool = True) -> Path:
        if whole:
            height = self.run("return Math.max(document.documentElement.scrollHeight, innerHeight)")
            self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
                "width": self.width, "height": min(height, 6000), "deviceScaleFactor": 1, "mobile": self.phone}})
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))
        if whole:
            self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})
        return path
