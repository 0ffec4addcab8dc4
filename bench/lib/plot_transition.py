"""The picture of bench/transition: the longest operation of each tenth of a second, a row for each kind, a column for each way.

usage: plot_transition.py TRANSITION.json FOLDER        (matplotlib is needed)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

TITLES = {"straight": "straight on vtgate", "one": "through one shim", "two": "through two shims"}
KINDS = {"vschema": "VSchema: table\ndropped and added", "vindex": "primary vindex\nexchanged", "rules": "routing rules",
         "rules_deployed": "routing rules,\nDEPLOY", "move": "MoveTables\nSwitchTraffic",
         "move_held": "MoveTables,\nSWITCH TRAFFIC", "reparent": "planned reparent", "reparent_held": "planned reparent,\nREPARENT",
         "ddl": "online DDL"}
STRAIGHT = {"rules_deployed": "rules", "move_held": "move", "reparent_held": "reparent"}  # what there is to compare with
COLOURS = {"straight": "#c0392b", "one": "#4c78a8", "two": "#3d8b5f"}
BEFORE, SPAN = 2, 40  # seconds that are drawn: so long before the first transition, and from there


def main(result: str, folder: str) -> None:
    ways = json.loads(Path(result).read_text())
    kinds = [kind for kind in KINDS if any(one["kind"] == kind for of in ways.values() for one in of)]
    plt.rcParams["svg.fonttype"] = "none"  # letters as letters: half the size
    figure, axes = plt.subplots(len(kinds), len(ways), figsize=(5 * len(ways), 2.1 * len(kinds)), sharey="row", layout="constrained",
                                squeeze=False)
    for column, (way, of) in enumerate(ways.items()):
        axes[0][column].set_title(TITLES[way], fontsize=11)
        for row, kind in enumerate(kinds):
            axis = axes[row][column]
            axis.spines[["top", "right"]].set_visible(False)
            shown = STRAIGHT.get(kind, kind) if way == "straight" else kind
            one = next((one for one in of if one["kind"] == shown), None)
            if column == 0:
                axis.set_ylabel(f"{KINDS[kind]}\nlongest, s", fontsize=8)
            if one is None:
                continue
            begin = max(0, one["moments"][0] - BEFORE) if one["moments"] else 0
            values = one["timeline"][int(begin * 10):][:SPAN * 10]
            axis.plot([i / 10 for i in range(len(values))], [v / 1000 for v in values], color=COLOURS[way], lw=1)
            for moment in one["moments"]:
                if moment - begin < SPAN:
                    axis.axvline(moment - begin, color="#bbbbbb", lw=0.7, ls=":")
            longest = max(one["longest_ms"], one["other_longest_ms"]) / 1000
            axis.text(0.99, 0.97, f"{one['transitions']} transitions: {one['errors']} errors, {one['wrong']} wrong rows, longest {longest:.2f} s",
                      transform=axis.transAxes, ha="right", va="top", fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("seconds; a transition begins at each dotted line", fontsize=8)
    figure.savefig(Path(folder) / "transition.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
