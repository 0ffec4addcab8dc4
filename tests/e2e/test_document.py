"""Documents: the parts of docs/COMPATIBILITY.md are made apart; what the program has is documented; examples work."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess

import pytest

from lib.bed import REPOSITORY
from lib.document import DOCUMENT, SECTIONS, marks, put_section, section_of


def test_sections_are_apart():
    first = put_section("", "tools", "tools 1")
    both = put_section(first, "drivers", "drivers 1")
    assert both.index("drivers 1") < both.index("tools 1")
    again = put_section(both, "tools", "tools 2\n\n")
    assert "drivers 1" in again and "tools 1" not in again and again.count("tools 2") == 1
    assert put_section(again, "tools", "tools 2") == again
    assert put_section(put_section(again, "drivers", "drivers 2"), "drivers", "drivers 1") == again


def test_document_has_all():
    text = DOCUMENT.read_text()
    for name in SECTIONS:
        assert all(text.count(mark) == 1 for mark in marks(name)), name
    assert all(put_section(text, name, section_of(text, name)) == text for name in SECTIONS)


# What the program has is written down.

DOCS = REPOSITORY / "docs"


def table(name: str, macro: str) -> list[str]:
    """The first string of each row of a table of the program."""
    return re.findall(macro + r'\(\s*(?:\w+,\s*)*"([^"]+)"', (REPOSITORY / name).read_text())


def test_options_are_documented():
    text = (DOCS / "CONFIG.md").read_text()
    keys = table("config/options.def", "OPTION")
    assert len(keys) > 60 and [key for key in keys if f"| `{key}` |" not in text] == []


def test_commands_are_documented():
    """Each word that a command begins with is in CONSOLE.md."""
    text = (DOCS / "CONSOLE.md").read_text()
    words = table("proxy/admin_commands.def", "ADMIN_COMMAND")
    assert len(words) > 40 and [word for word in words if f"`{word.split()[0]}" not in text] == []


def test_errors_are_documented():
    """ERRORS.md has each text; the GUIDE, which says what to do, each code."""
    rows = re.findall(r'SHIM_ERROR\(\w+,\s*(\d+),\s*"(\w+)",', (REPOSITORY / "protocol/errors.def").read_text())
    errors, guide = (DOCS / "ERRORS.md").read_text(), (DOCS / "GUIDE.md").read_text()
    assert len(rows) > 30
    assert [row for row in rows if f"| {row[0]} | {row[1]} |" not in errors] == []
    assert [code for code, _ in rows if not re.search(rf"^\|[^|]*\b{code}\b[^|]*\|", guide, re.MULTILINE)] == []


def test_states_are_drawn():
    """The picture in ARCHITECTURE.md has each state of the table, and no other."""
    states = set(re.findall(r"^\s+X\(([A-Z]+), \"", (REPOSITORY / "proxy/session.h").read_text(), re.MULTILINE))
    picture = next(block for block in re.findall(r"```text\n(.*?)```", (DOCS / "ARCHITECTURE.md").read_text(), re.DOTALL) if "IDLE" in block)
    drawn = {name for line in picture.splitlines() for name in re.findall(r"\b[A-Z]{4,}\b", re.split(r" {3,}(?=\S)", line.strip())[0])}
    assert len(states) > 10 and drawn == states


def test_files_are_named():
    """ARCHITECTURE.md names each source and table of the four folders (its header will do), and none that there is not."""
    files = [path.name for folder in ("config", "planner", "protocol", "proxy") for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    named = set(re.findall(r"`(?:[\w-]+/)*([\w.*-]+\.(?:c|h|def|proto|cmake))`", (DOCS / "ARCHITECTURE.md").read_text()))
    assert [name for name in sorted(named) if not fnmatch.filter(files, name)] == []
    sources = [name for name in files if name.endswith((".c", ".def"))]
    assert len(sources) > 200 and [name for name in sorted(sources) if not any(
        fnmatch.fnmatch(name, each) or fnmatch.fnmatch(re.sub(r"\.c$", ".h", name), each) for each in named)] == []


def test_metrics_are_documented(shim):
    """Each that /metrics has is in METRICS.md, and the other way round but for those that have no value yet."""
    shown = set(re.findall(r"^# TYPE (\w+)", shim.http("/metrics")[1], re.MULTILINE))
    written = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "METRICS.md").read_text(), re.MULTILINE))
    assert len(shown) > 40 and shown == written


def blocks() -> list[tuple[str, str]]:
    """The settings that documents show."""
    files = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
    return [(file.name, block) for file in files for block in re.findall(r"```json\n(.*?)```", file.read_text(), re.DOTALL)]


@pytest.mark.parametrize("name, block", blocks(), ids=lambda value: value if value.endswith(".md") else "")
def test_settings_in_documents_are_valid(program, certificates, tmp_path, name, block):
    """--check takes them, with files of ours in the place of those that they name."""
    block = block.replace("$sha2$...", "$sha2$" + "0" * 64)
    for path in set(re.findall(r'"(/etc/vtshim/[\w.-]+\.pem)"', block)):
        ours = "server-key.pem" if "key" in path else "ca.pem" if "ca" in path else "server.pem"
        block = block.replace(path, str(certificates.path(ours)))
    settings = json.loads(block)
    settings.setdefault("vtgate", "127.0.0.1:15306")
    if "certificate" in block and "tls" not in settings:
        settings["tls"] = {key: str(certificates.path(file)) for key, file in
                           (("cert", "server.pem"), ("key", "server-key.pem"), ("ca", "ca.pem"))}
    (tmp_path / "vtshim.json").write_text(json.dumps(settings))
    done = subprocess.run([str(program), "--check", "--config", str(tmp_path / "vtshim.json")], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode == 0, (name, done.stderr)


def test_installed_settings_are_valid(program):
    done = subprocess.run([str(program), "--check", "--config", str(REPOSITORY / "config/packaging/vtshim.json")],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
