"""The picture of a run, result.svg and result.png.

usage: plot.py RESULT.json FOLDER        (matplotlib is needed)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HIGHEST = 2.5  # ratios above are cut off, and written down
COLOURS = {"relay": "#8c8c8c", "haproxy": "#4c78a8", "haproxy-tls": "#9ecae9", "router": "#f2a541",
           "vtshim": "#2a9d5c", "vtshim-cores": "#8fd3ae", "direct": "#d0d0d0"}


def ratios(axes, run: dict, field: str, title: str) -> None:
    """Bars for each workload: the target's value over the relay's, with the quartiles of the rounds."""
    shown = [w for w in run["workloads"] if not w["encrypted"] and "vtshim-cores" not in w["targets"]
             and any(of.get(f"{field}_ratio") for of in w["targets"].values())]
    names = [n for n in COLOURS if any(n in w["targets"] and w["targets"][n].get(f"{field}_ratio") for w in shown)]
    width = 0.8 / max(1, len(names))
    for i, name in enumerate(names):
        for j, workload in enumerate(shown):
            of = workload["targets"].get(name) or {}
            value = of.get(f"{field}_ratio")
            if not value:
                continue
            low, high = of.get(f"{field}_quartiles") or (value, value)
            x = j + (i - (len(names) - 1) / 2) * width
            axes.bar(x, min(value, HIGHEST), width * 0.9, color=COLOURS[name], label=name if j == 0 else None)
            if value > HIGHEST:
                axes.annotate(f"{value:.1f}", (x, HIGHEST), ha="center", va="bottom", fontsize=8)
            else:
                axes.errorbar(x, value, [[max(0, value - low)], [max(0, min(high, HIGHEST) - value)]],
                              ecolor="#555555", elinewidth=0.8)
    axes.set_ylim(0, HIGHEST * 1.12)
    axes.axhline(1, color="#333333", lw=0.8)
    axes.axhline(1.1, color="#c0392b", lw=0.8, ls=":")
    axes.set_xticks(range(len(shown)), [w["key"].replace("_", "\n") for w in shown])
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylabel("ratio to the relay")
    axes.legend(fontsize=8, frameon=False, ncols=len(names))


def values(axes, run: dict, keys: tuple[str, ...], title: str) -> None:
    shown = [w for w in run["workloads"] if w["key"] in keys]
    names = [n for n in COLOURS if any((w["targets"].get(n) or {}).get("cpu_us") for w in shown)]
    width = 0.8 / max(1, len(names))
    for i, name in enumerate(names):
        for j, workload in enumerate(shown):
            value = (workload["targets"].get(name) or {}).get("cpu_us")
            if value:
                axes.bar(j + (i - (len(names) - 1) / 2) * width, value, width * 0.9, color=COLOURS[name],
                         label=name if j == 0 else None)
    axes.set_xticks(range(len(shown)), [w["key"].replace("_", "\n") for w in shown])
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylabel("CPU us a query")
    axes.legend(fontsize=8, frameon=False)


def memory(axes, run: dict) -> None:
    bars = [(f"{name}\n{'TLS' if idle['key'] == 'tls_idle' else 'plain'}", name, of["per_connection"]["pss"] / 1024)
            for idle in run["idle"] for name, of in idle["targets"].items() if of["per_connection"]]
    for j, (_, name, value) in enumerate(bars):
        axes.bar(j, value, 0.8, color=COLOURS[name])
        axes.annotate(f"{value:.1f}", (j, value), ha="center", va="bottom", fontsize=8)
    axes.axhline(3, color="#c0392b", lw=0.8, ls=":")
    axes.set_xticks(range(len(bars)), [label for label, _, _ in bars], fontsize=8)
    axes.set_title("Memory of the proxy for an idle connection", loc="left", fontsize=10)
    axes.set_ylabel("KiB (PSS)")


def main(result: str, folder: str) -> None:
    run = json.loads(Path(result).read_text())
    figure, axes = plt.subplots(2, 2, figsize=(14, 9), layout="constrained")
    ratios(axes[0][0], run, "cpu_us", "CPU time of the proxy, lower is better")
    ratios(axes[0][1], run, "p50_us", "Median latency, lower is better")
    values(axes[1][0], run, ("tls_point", "tls_range"), "With TLS from the client (haproxy, relay: passed on to the server)")
    memory(axes[1][1], run)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"vtshim in front of {run['server']}: medians of {run['rounds']} rounds of {run['seconds']} s")
    for kind in ("svg", "png"):
        figure.savefig(Path(folder) / f"result.{kind}", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
