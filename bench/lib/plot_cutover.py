"""The picture of bench/cutover: how long operations on the table took, over the time of one change.

usage: plot_cutover.py CUTOVER.json FOLDER        (matplotlib is needed)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

KINDS = (("statement", "autocommit statements", "#4c78a8"), ("first_in_transaction", "first statement of a transaction", "#f2a541"),
         ("in_transaction", "later statements of a transaction", "#c0392b"))
TITLES = {"straight": "straight on vtgate", "vtshim": "through vtshim"}


def typical(changes: list[dict]) -> dict:
    """The change whose longest wait is the median."""
    return sorted(changes, key=lambda c: max(c["autocommit_ms"], c["first_in_transaction_ms"], c["in_transaction_ms"]))[len(changes) // 2]


def main(result: str, folder: str) -> None:
    ways = json.loads(Path(result).read_text())
    figure, axes = plt.subplots(len(ways), 1, figsize=(11, 3.2 * len(ways)), sharex=True, sharey=True, layout="constrained", squeeze=False)
    for (axis,), (way, changes) in zip(axes, ways.items()):
        one = typical(changes)
        for kind, label, colour in KINDS:
            values = one["timeline"].get(kind, [])
            axis.plot([i / 10 for i in range(len(values))], [v / 1000 for v in values], color=colour, lw=1.2, label=label)
        axis.axvline(3, color="#888888", lw=0.8, ls=":")
        errors = sum(c["errors"] for c in changes)
        axis.set_title(f"{TITLES[way]}: {len(changes)} changes, {errors} errors; the one of median", loc="left", fontsize=10)
        axis.set_ylabel("longest, s")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_xlim(0, 25)  # a change straight on vtgate may go on for minutes, without anything new to see
    axes[0][0].legend(frameon=False, fontsize=8)
    axes[-1][0].set_xlabel("seconds; ALTER TABLE begins at the dotted line")
    figure.savefig(Path(folder) / "cutover.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
