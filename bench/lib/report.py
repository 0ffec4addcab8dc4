"""The table of a run, for people, and its JSON, for everything else."""

from __future__ import annotations

import json
from pathlib import Path


def number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown, and straight columns in a terminal."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |"
             for row in [head, *rows]]
    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def workload_table(workload: dict) -> str:
    connects = "answer_bytes" not in workload
    what = "connection" if connects else "query"
    head = ["", f"CPU us/{what}", "x relay", f"{what[:-1]}ies/s" if what == "query" else "connections/s", "x relay"]
    if not connects:
        head += ["p50 us", "x relay", "p99 us", "CPU us/MB"]
    rows = []
    for name, of in workload["targets"].items():
        row = [name, number(of["cpu_us"]), ratio(of.get("cpu_us_ratio")),
               number(of["rate"], 0), ratio(of.get("rate_ratio"))]
        if not connects:
            row += [number(of["p50_us"], 0), ratio(of.get("p50_us_ratio")), number(of["p99_us"], 0),
                    number(of.get("cpu_us_per_mb"), 0)]
        rows.append(row)
    size = "" if connects else f" ({workload['answer_bytes']:,.0f} bytes an answer)"
    return f"### {workload['title']}{size}\n\n{table(head, rows)}\n"


def idle_table(idle: dict) -> str:
    counts = sorted({p["connections"] for of in idle["targets"].values() for p in of["points"]})
    head = ["", *(f"PSS KiB at {n:,}" for n in counts), "PSS bytes/connection", "RSS bytes/connection"]
    rows = []
    for name, of in idle["targets"].items():
        points = {p["connections"]: p for p in of["points"]}
        rows.append([name, *(number(points[n]["pss"] / 1024, 0) if n in points else "-" for n in counts),
                     number(of["per_connection"].get("pss"), 0), number(of["per_connection"].get("rss"), 0)])
    return f"### {idle['title']}\n\n{table(head, rows)}\n"


def sessions_table(sessions: dict) -> str:
    rows = [[name, number(pss / 1024, 0)] for name, pss in sessions["points"].items()]
    return (f"### {sessions['sessions']:,} sessions at once, {sessions['answers']:,} answers, all right\n\n"
            f"{table(['', 'PSS KiB'], rows)}\n\n{number(sessions['bytes_each'], 0)} bytes a session.\n")


def heading(run: dict) -> str:
    machine = run["machine"]
    names = ", ".join(f"{name} {number}" for name, number in run["programs"].items())
    return (f"{run['rounds']} rounds of {run['seconds']} s in front of {run['server']}; {names}; "
            f"{machine['cpus']} cores ({machine['model']}), Linux {machine['kernel']}; "
            f"load average {run['load'][0]:.1f} before, {run['load'][1]:.1f} after\n")


def text(run: dict) -> str:
    return "\n".join([heading(run), *(workload_table(w) for w in run["workloads"]), *(idle_table(i) for i in run["idle"]),
                      *([sessions_table(run["sessions"])] if run["sessions"] else [])])


def save(run: dict, folder: Path) -> Path:
    path = folder / "result.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    (folder / "result.md").write_text(text(run))
    return path
