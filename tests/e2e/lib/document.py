"""docs/COMPATIBILITY.md, of which each suite makes the section between its own two marks."""

from __future__ import annotations

import fcntl
import os

from lib.bed import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "COMPATIBILITY.md"
TITLE = "# Compatibility\n"
# In the order in which they stand in the document.
SECTIONS = ("drivers", "tools")


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: made by tests/e2e/{name}/run, which replaces this section -->\n", f"<!-- end of {name} -->\n"


def section_of(document: str, name: str) -> str | None:
    begin, end = marks(name)
    return document.split(begin, 1)[1].split(end, 1)[0] if begin in document else None


def put_section(document: str, name: str, text: str) -> str:
    """The document with this text for the section `name`; the others stay as they are."""
    sections = {other: section_of(document, other) for other in SECTIONS} | {name: text.strip() + "\n"}
    return TITLE + "".join("\n" + marks(each)[0] + text + marks(each)[1] for each, text in sections.items()
                           if text is not None)


def write_section(name: str, text: str) -> None:
    """In the file itself; two suites may end at the same time."""
    DOCUMENT.touch()
    with open(DOCUMENT, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        new = put_section(file.read(), name, text)
        file.seek(0)
        file.write(new)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
