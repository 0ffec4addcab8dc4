"""Makes the drivers' section of docs/COMPATIBILITY.md of the results of a whole run."""

from __future__ import annotations

import re

from drivers.matrix import PLAIN, STRAIGHT, TLS, Result

GROUPS = {
    "login": ("login", "wrong_password", "ping"),
    "text": ("text", "big", "rows"),
    "prepared": ("prepared", "prepared_big", "prepared_rows"),
    "several statements": ("multi", "multi_error"),
    "transactions": ("transaction",),
    "errors": ("error",),
    "reset": ("reset",),
    "change user": ("change_user",),
    "DDL": ("create", "ddl_text", "drop"),
    "prepared DDL": ("ddl_prepared",),
}
# The worst of a group is its mark.
RANK = ("fails", "refused", "needs TLS", "better", "works", "none")
MARKS = {"fails": "**FAILS**", "refused": "vtgate refuses the same", "needs TLS": "needs TLS", "better": "works +",
         "works": "works", "none": "–"}
TLS_ONLY = "works with TLS"
WAYS = {PLAIN: "without TLS", TLS: "with TLS"}

HEAD = """\
## Drivers

Every driver runs the same checks straight on vtgate, through
the shim, and through the shim with TLS ({versions}).
What the checks are: `tests/e2e/drivers/README.md`.

- **works**: the same answers as straight on vtgate, without and with TLS.
- **works +**: works through the shim; straight vtgate refuses it or the driver cannot log in.
- **vtgate refuses the same**: fails with the same error straight.
- **works with TLS**: the client has no mysql_native_password. Straight it cannot log in; without TLS the shim
  refuses it with error 1251.
- **FAILS**: straight it works, or fails otherwise: a defect of the shim.
- –: the driver has no such thing.

"""


def render(results: list[Result], versions: str) -> str:
    lines = ["| driver | version | " + " | ".join(GROUPS) + " |", "|" + "---|" * (len(GROUPS) + 2)]
    for result in results:
        if result.missing:
            cells = [f"not run: {result.missing}"] + [""] * (len(GROUPS) - 1)
        else:
            cells = [cell(result, checks) for checks in GROUPS.values()]
        lines.append(f"| {result.driver.title} | {result.version} | " + " | ".join(cells) + " |")
    text = HEAD.format(versions=versions) + "\n".join(lines) + "\n"
    remarks = [remark for result in results if not result.missing for remark in remarks_of(result)]
    if remarks:
        text += "\n### What does not simply work\n\n" + "\n".join(remarks) + "\n"
    return text + "\n" + TAIL


def cell(result: Result, checks: tuple[str, ...]) -> str:
    plain, tls = (mark(result, mode, checks) for mode in (PLAIN, TLS))
    if plain == tls:
        return plain
    if plain == MARKS["needs TLS"] and tls in (MARKS["works"], MARKS["better"]):
        return TLS_ONLY
    if plain == MARKS["needs TLS"] and tls == MARKS["none"]:
        return tls
    return f"{WAYS[PLAIN]}: {plain}; {WAYS[TLS]}: {tls}"


def mark(result: Result, mode: str, checks: tuple[str, ...]) -> str:
    return MARKS[min((result.verdict(mode, check)[0] for check in checks), key=RANK.index)]


def remarks_of(result: Result) -> list[str]:
    """A line for each check that is neither plain "works" nor missing in the driver."""
    login = result.answers.get(STRAIGHT, {}).get("login")
    if login and not login.ok:
        return [f"- {result.driver.title}: straight on vtgate: {one_line(login.detail)}"] + [
            f"- {result.driver.title}, {WAYS[mode]}: {one_line(failure)}" for mode in WAYS
            for failure in result.failures(mode)]
    found: dict[tuple[str, str, str], list[str]] = {}
    for mode in WAYS:
        for check in (check for checks in GROUPS.values() for check in checks):
            verdict, detail = result.verdict(mode, check)
            if verdict not in ("works", "none"):
                found.setdefault((check, verdict, one_line(detail)), []).append(WAYS[mode])
    said = {"better": "works; straight: "}
    return [f"- {result.driver.title}, `{check}`{'' if len(ways) == 2 else ' ' + ways[0]}: "
            f"{said.get(verdict, MARKS[verdict] + ': ')}{detail}" for (check, verdict, detail), ways in found.items()]


def one_line(detail: str) -> str:
    """For a document: on one line, and without what is different every time or is this machine's."""
    detail = re.sub(r"\s+", " ", detail).replace("|", "\\|")
    return re.sub(r"conn:\d+", "conn:N", re.sub(r"/\S*/(\S+)", r"\1", detail))[:220]


TAIL = """\
### Remarks

- **MySQL 9's client programs and libraries** have mysql_native_password as a plug-in in a folder of its own, if at all.
  Where it is found they log in straight and through the shim like older clients; where it is not, only through the shim
  and with TLS.
- **Reset** (COM_RESET_CONNECTION): vtgate rolls back, but keeps user variables; so does the shim.
- **Command line clients** have only `PREPARE ... FROM` and `EXECUTE`, statements of the text protocol. DDL that is run
  so becomes an online schema change, too.
- **sqlx** needs `pipes_as_concat(false)`: vtgate does not support that SQL mode, which sqlx sets otherwise.
- **mariadb (node)** has a change of user for MariaDB's servers only.
"""
