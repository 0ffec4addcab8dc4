"""What documents show works: each fenced block says by its mark how it is tried, on the real cluster.

  json        settings: --check takes them (test_document.py)
  json plan   a plan: judged by a dry run
  sql         statements through the shim, as an application's user
  sql admin   commands of the admin port, one after the other on one connection
  sql admin, not run   the same, where it would turn the cluster upside down: they have to be commands that there are
  console     $ commands of a shell, and what a client is then told at its prompt; what they print is compared, where
              numbers and ids may be others, and "..." stands for anything
  sh          commands of a shell: run, or (what builds or takes minutes) asked for --help, which has to know their options
  text        a picture, a grammar, an excerpt: not tried

Ports, the tables demo and orders, and a migration's id are exchanged for the test's own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pymysql
import pytest

from lib import vschema
from lib.api import token_hash
from lib.bed import REPOSITORY
from lib.ddl import UUID
from lib.poll import until

MARKS = ("json", "json plan", "sql", "sql admin", "sql admin, not run", "console", "sh", "text")
FILES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), REPOSITORY / "tests/fuzz/README.md"]
TOKEN = "examples-5b1e0c77"
# What takes minutes, and is tried by other means: run-tests runs them all.
HELP_ONLY = ("quickstart", "run-tests", "run", "transition", "long", "bed")


def blocks(file: Path) -> list[tuple[int, str, str]]:
    """(line, mark, text) of each fenced block."""
    found, begin, mark, lines = [], 0, "", []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.lstrip().startswith("```"):
            lines.append(line)
        elif begin:
            found.append((begin, mark, "\n".join(lines) + "\n"))
            begin = 0
        else:
            begin, mark, lines = number, line.strip().strip("`"), []
    assert not begin, f"{file.name}:{begin}: the block has no end"
    return found


def all_blocks(*marks: str) -> list:
    return [pytest.param(file, text, id=f"{file.name}:{line}") for file in FILES for line, mark, text in blocks(file) if mark in marks]


def test_blocks_are_marked():
    assert [f"{file.name}:{line}: {mark!r}" for file in FILES for line, mark, _ in blocks(file) if mark not in MARKS] == []
    assert all(len(all_blocks(mark)) > 0 for mark in MARKS)


# --- what runs on the cluster ----------------------------------------------------------------------

@pytest.fixture
def shim(start_shim, bed, tmp_path):
    shim = start_shim(vschema.settings(bed) | {"plans": {"sample": 1}})
    shim.secret(TOKEN)
    return shim


@pytest.fixture
def tables(bed):
    """A table in the place of demo, with its column and its vindex; and a name for one that is still to be."""
    with vschema.kept(bed) as before, bed.scratch_table("id bigint NOT NULL PRIMARY KEY, status varchar(32)") as demo:
        vschema.apply(bed, vschema.with_table(before, demo))
        yield {"demo": demo, "orders": demo + "_orders"}


def ours(text: str, shim, tables: dict[str, str]) -> str:
    for name, table in tables.items():
        text = re.sub(rf"\b{name}\b", table, text)
    for port, address in ((13306, shim.listen), (13307, shim.admin_address), (13308, shim.http_address)):
        text = re.sub(rf"\b{port}\b", str(address[1]), text)
    return text.replace(" -p ", " ").replace(f"-P {shim.listen[1]} ", f"-P {shim.listen[1]} --skip-ssl ")


def statements(text: str) -> list[str]:
    text = re.sub(r"--\s.*", "", text)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def shell(command: str, shim, folder: Path, typed: str = "") -> str:
    (folder / "bin").mkdir(exist_ok=True)
    for name, target in (("vtshim", shim.program), ):
        if not (folder / "bin" / name).exists():
            (folder / "bin" / name).symlink_to(target)
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "TOKEN": TOKEN, "MYSQL_PWD": shim.bed.password}
    done = subprocess.run(["bash", "-c", command], input=typed, capture_output=True, text=True, timeout=120, check=False,
                          cwd=folder, env=environment)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def told(text: str) -> str:
    """Output without what differs each time: numbers, ids, rulers, widths."""
    text = re.sub(r"( \(\d+\.\d+ sec\)|, \d+ warnings?)$", "", text, flags=re.MULTILINE)  # shown on a terminal; the table's own
    text = re.sub(r"\$sha2\$\w+|\$sha2\$\.\.\.", "HASH", UUID.sub("ID", text))
    text = re.sub(r"\+[-+]+\+", "", re.sub(r"\d+(\.\d+)?", "N", text))
    return re.sub(r"\s+", " ", text.replace("|", " ")).strip()


def assert_shown(shown: str, printed: str) -> None:
    """Each line of a document stands in what was printed, in that order."""
    at, rest = 0, told(printed)
    for line in shown.splitlines():
        pattern = re.escape(told(line)).replace(re.escape("..."), ".*?")
        match = re.search(pattern, rest[at:])
        assert match, f"{line!r} is not in {printed}"
        at += match.start()


def sessions(text: str) -> list[tuple[str, list[str], str]]:
    """(shell command, what is typed into it, what is shown) of a console block."""
    found: list[tuple[str, list[str], list[str]]] = []
    continued = False
    for line in text.splitlines():
        prompt = re.match(r"(?:MariaDB|MySQL|mysql) ?(?:\[[^]]*\])?> (.*)", line)
        if continued:
            found[-1] = (found[-1][0].removesuffix("\\") + line, *found[-1][1:])
        elif line.startswith("$ "):
            found.append((line[2:], [], []))
        elif prompt:
            found[-1][1].append(prompt[1])
        elif line.strip():
            found[-1][2].append(line)
        continued = line.endswith("\\")
    return [(command, typed, "\n".join(shown)) for command, typed, shown in found]


def columns_only(shown: str) -> str:
    """Of a table of EXPLAIN's: section and item, for what they say of a table depends on the table."""
    lines = [line for line in shown.splitlines() if not re.match(r"\| (shard|estimate|plan +\| way)", line)]
    return "\n".join(lines)


@pytest.mark.parametrize("file, text", all_blocks("console"))
def test_console(shim, tables, bed, tmp_path, file, text):
    (tmp_path / "commerce.json").write_text(json.dumps(vschema.current(bed)))
    if "Bearer" in text:  # as the document says: a hash into http_tokens
        shim.write_config({"http_tokens": {"deploy": token_hash(TOKEN)}})
        shim.admin("RELOAD")
    for command, typed, shown in sessions(ours(text, shim, tables)):
        printed = shell(command + (" -t" if typed and "-vv" not in command else ""), shim, tmp_path, "\n".join(typed) + "\n")
        assert_shown(columns_only(shown), printed)


@pytest.mark.parametrize("file, text", all_blocks("sql"))
def test_sql(shim, tables, file, text):
    with shim.connect() as connection, connection.cursor() as cursor:
        for statement in statements(ours(text, shim, tables)):
            cursor.execute(statement)


@pytest.mark.parametrize("file, text", all_blocks("sql admin"))
def test_admin(shim, tables, file, text):
    """The id of a hold is what the document calls `-- id 7`."""
    until(lambda: [shim.run(f"SELECT * FROM {tables['demo']}") for _ in range(10)] and shim.admin("SHOW SHAPES"), "a shape")
    said = re.search(r"-- id (\d+)", text)
    ids: dict[str, str] = {}
    with shim.admin_connect() as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        for statement in statements(ours(text, shim, tables)):
            cursor.execute(re.sub(r"\b\d+\b", lambda n: ids.get(n[0], n[0]), statement, count=1) if not statement.startswith("HOLD") else statement)
            if said and statement.startswith("HOLD"):
                ids[said[1]] = str(cursor.fetchone()["Id"])
        cursor.execute("RELEASE ALL") if "HOLD" in text and "RELEASE" not in text else None
    assert shim.admin("SHOW HOLDS") == []


@pytest.mark.parametrize("file, text", all_blocks("sql admin, not run"))
def test_commands_exist(file, text):
    words = re.findall(r'ADMIN_COMMAND\(\s*"([^"]+)"', (REPOSITORY / "proxy/admin_commands.def").read_text())
    assert [each for each in statements(text) if not any(re.match(rf"{word}\b", each) for word in words)] == []


@pytest.mark.parametrize("file, text", all_blocks("json plan"))
def test_plan(shim, tables, file, text):
    plan = json.dumps(json.loads(ours(text, shim, tables))).replace("'", "''")
    assert {row["state"] for row in shim.admin(f"DEPLOY PLAN '{plan}' DRY RUN")} == {"waiting"}


# --- the shell -------------------------------------------------------------------------------------

def lines(text: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", "", text)
    return [part for line in joined.splitlines() for part in re.split(r"\s&&\s", re.sub(r"\s+#.*", "", line).strip()) if part]


def knows_options(program: str, options: list[str]) -> None:
    done = subprocess.run([str(REPOSITORY / program), "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (program, done.stderr)
    assert [option for option in options if option not in done.stdout] == [], program


def presets() -> set[str]:
    document = json.loads((REPOSITORY / "CMakePresets.json").read_text())
    return {each["name"] for kind in ("configurePresets", "buildPresets", "testPresets") for each in document.get(kind, [])}


@pytest.mark.parametrize("file, text", all_blocks("sh"))
def test_shell(request, program, file, text):
    for line in lines(text):
        words = shlex.split(line)
        while re.match(r"[A-Z_]+=", words[0]):
            del words[0]  # a setting for the command
        name = Path(words[0]).name
        options = [word for word in words if word.startswith("--")]
        if name in ("cmake", "ctest"):
            assert words[words.index("--preset") + 1] in presets(), line
            for at, word in enumerate(words):
                if word == "--target":
                    assert any(words[at + 1] in file.read_text() for file in REPOSITORY.glob("*/CMakeLists.txt")), line
                if word.startswith("-D"):
                    assert word[2:].split("=")[0] in (REPOSITORY / "CMakeLists.txt").read_text(), line
        elif words[:3] == ["sudo", "apt-get", "install"]:
            done = subprocess.run(["apt-cache", "show", "--no-all-versions", *words[3:]], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        elif words[0] == "mariadb":
            shim, tables = request.getfixturevalue("shim"), request.getfixturevalue("tables")
            shim.run(f"ALTER TABLE {tables['demo']} ADD COLUMN example int")
            ours_now = UUID.sub(shim.admin("SHOW MIGRATIONS")[-1]["uuid"], ours(line, shim, tables))
            assert shell(ours_now, shim, request.getfixturevalue("tmp_path")).strip()
        elif name == "vtshim":
            done = subprocess.run([str(program), "--check", *words[1:]], capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 0, done.stderr
        elif words[0] == "cp":
            assert (REPOSITORY / words[-1]).exists(), line
        else:
            assert name in HELP_ONLY, f"{file.name}: it is not known how to try {line!r}"
            knows_options(words[0], options)
