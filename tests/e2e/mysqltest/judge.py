"""What is compared of two outputs, and how the differences are shown.

Only what has to differ between two runs is taken out; each line below says why."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mysqltest.client import Output, Target

PATTERNS = (
    # Time that passed.
    (re.compile(r"\(\d+(\.\d+)? sec\)"), "(N sec)"),
    (re.compile(r"Total execution time: \d+ SECS"), "Total execution time: N SECS"),
    # InnoDB's own columns, about which SHOW COLUMNS with a WHERE warns in one order or the other.
    (re.compile(r"^(Warning\t1292\t.*'DB_(?:ROLL_PTR|TRX_ID)'\n){2}", re.M),
     "Warning\t1292\tTruncated incorrect DOUBLE value: 'DB_ROLL_PTR' and 'DB_TRX_ID'\n"),
)


def normalise(text: str, target: "Target") -> str:
    # The client was told another socket and port, and may print them.
    text = text.replace(str(target.socket), "SOCKET")
    text = re.sub(rf"\b{target.port}\b", "PORT", text)
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def difference(straight: "Output", through: "Output", lines: int = 60) -> str:
    """A unified diff, and the exit statuses where these differ."""
    head = [] if straight.status == through.status else [f"exit status {straight.status} -> {through.status}"]
    body = difflib.unified_diff(straight.text.splitlines(), through.text.splitlines(), "straight", "through the shim",
                                n=4, lineterm="")
    found = [line[:400] for _, line in zip(range(lines), body)]
    return "\n".join(head + found)
