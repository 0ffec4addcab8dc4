"""Makes the tools' section of docs/COMPATIBILITY.md of the results of a whole run."""

from __future__ import annotations

import re

from drivers.table import one_line
from tools.matrix import LONG_SECONDS, STEPS, Result

COLUMNS = {"first": "first run", "long": "long ALTER", "lock": "lock held", "rerun": "re-run", "undo": "back",
           "killed": "killed, re-run", "fails": "failure"}
MARKS = {"fails": "**FAILS**", "refused": "vtgate refuses the same", "better": "works +", "works": "works", "none": "–"}

HEAD = """\
## Migration tools

Every tool goes the same way straight on vtgate and through the shim ({versions}),
in a keyspace of one shard, from an empty database. The ALTER takes {seconds} seconds: longer than vttablet's timeouts. What the steps are:
`tests/e2e/tools/README.md`.

- **works**: as straight on vtgate. **works +**: straight it fails, see below.
- **vtgate refuses the same**: fails straight, too. **FAILS**: a defect of the shim.
- –: the tool has no such thing.

"""

TAIL = """\
### Remarks

- **Straight**, an ALTER is direct DDL, and vttablet ends it after its query timeout of 30 seconds, on each shard for
  itself; a lock of GET_LOCK ends after 30 seconds without a statement on its own connection. A tool that is killed
  leaves its ALTER running, too, but the next run starts another.
- **Killed**: the shim's default is `ddl.on_disconnect` detach: the ALTER goes on, and the same statement, when it comes
  again, waits for it instead of starting another. What a tool needs before it runs again is its own affair:
  golang-migrate `force`, Flyway `repair`, Liquibase `release-locks`, knex `migrate:unlock`.
- **Locks in tables** (Liquibase, knex) and no locks at all (Django, Alembic, GORM) ask nothing of the shim.
- **information_schema** shows MySQL's names of the databases (`vt_commerce`), straight and through the shim. GORM looks
  there whether a table or column exists, finds none and creates it again (`AutoMigrate`, `HasTable`, `HasColumn`); so does
  Liquibase by way of Connector/J, unless the URL has `useInformationSchema=false`, as here.
- **Flyway** has no way back in this edition. In a keyspace that has other tables it needs `baselineOnMigrate`.
- **A sharded keyspace** needs vindexes for the tools' own tables, and values for them: ids that MySQL counts up need a
  sequence, and Alembic updates its only column, which a vindex does not allow. Keep the books in an unsharded keyspace.
"""


def render(results: list[Result], versions: str) -> str:
    lines = ["| tool | version | its lock | " + " | ".join(COLUMNS.values()) + " |", "|" + "---|" * (len(COLUMNS) + 3)]
    for result in results:
        cells = [f"not run: {result.missing}"] + [""] * (len(COLUMNS) - 1) if result.missing else [
            MARKS[result.verdict(step)[0]] for step in STEPS]
        lines.append(f"| {result.tool.title} | {result.version} | {result.tool.lock} | " + " | ".join(cells) + " |")
    text = HEAD.format(versions=versions, seconds=LONG_SECONDS) + "\n".join(lines) + "\n"
    remarks = remarks_of([result for result in results if not result.missing])
    if remarks:
        text += "\n### What does not simply work\n\n" + "\n".join(remarks) + "\n"
    return text + "\n" + TAIL


def remarks_of(results: list[Result]) -> list[str]:
    """A line for each thing that is not plain "works", with the tools that share it."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        for step in STEPS:
            verdict, detail = result.verdict(step)
            if verdict in ("better", "refused", "fails") or (verdict == "none" and step != "lock"):
                found.setdefault((step, verdict, tidy(detail)), []).append(result.tool.title)
    said = {"better": "works; straight: ", "none": "– "}
    return [f"- {COLUMNS[step]} ({', '.join(titles)}): {said.get(verdict, MARKS[verdict] + ': ')}{detail}"
            for (step, verdict, detail), titles in sorted(found.items(), key=lambda entry: list(STEPS).index(entry[0][0]))]


def tidy(detail: str) -> str:
    """The server's error without what each tool says around it, and what is different every time."""
    detail = re.sub(r"^.*?((target|vtshim): )", r"\1", detail.replace("\\'", "'"))
    detail = re.sub(r"( during query:|,? elapsed time| \(CallerID| \(straight).*", "", detail)
    return one_line(re.sub(r"migration [0-9a-f_]{36}", "migration N", detail))
