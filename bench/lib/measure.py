"""What is measured, and the rounds in which it is: every target once a round, so that what else the
machine does meets all of them, and ratios are taken within a round."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Callable, Sequence

from drive import Load, Sample, answer_bytes, drive
from idle import measure_idle
from process import Failure
from servers import Server
from targets import DIRECT, HAPROXY, HAPROXY_TLS, RELAY, ROUTER, VTSHIM, VTSHIM_CORES, Bench, Target, start

PLAIN = (RELAY, HAPROXY, ROUTER, VTSHIM, DIRECT)
# How the client speaks to each when the traffic is encrypted; all but the first two end TLS.
ENCRYPTED = {RELAY: "mysql", HAPROXY: "mysql", HAPROXY_TLS: "plain", ROUTER: "mysql", VTSHIM: "mysql", DIRECT: "mysql"}
ENDS_TLS = (HAPROXY_TLS, ROUTER, VTSHIM)
WORKERS = (RELAY, VTSHIM, VTSHIM_CORES)


@dataclass
class Workload:
    key: str
    title: str
    load: Load
    targets: Sequence[str] = PLAIN

    @property
    def encrypted(self) -> bool:
        return self.targets is ENCRYPTED


def workloads(server: Server) -> list[Workload]:
    bulk = server.bulk_rows
    return [
        Workload("point", "point selects, text, 8 connections", Load(8)),
        Workload("point_prepared", "point selects, prepared, 8 connections", Load(8, prepared=True)),
        Workload("single", "point selects, text, 1 connection", Load(1)),
        Workload("range", "1,000-row ranges, text, 8 connections", Load(8, 1000)),
        Workload("range_prepared", "1,000-row ranges, prepared, 8 connections", Load(8, 1000, prepared=True)),
        Workload("bulk", f"{bulk:,}-row results, text, 2 connections", Load(2, bulk)),
        Workload("connect", "log in and out, 8 at a time", Load(8, connects=True)),
        Workload("tls_point", "TLS: point selects, text, 8 connections", Load(8), ENCRYPTED),
        Workload("tls_range", "TLS: 1,000-row ranges, text, 8 connections", Load(8, 1000), ENCRYPTED),
        Workload("tls_connect", "TLS: log in and out, 8 at a time", Load(8, connects=True), ENCRYPTED),
        Workload("workers_point", "a worker for each core: point selects, text, 16 connections", Load(16), WORKERS),
        Workload("workers_range", "a worker for each core: 1,000-row ranges, text, 16 connections", Load(16, 1000), WORKERS),
    ]


# For who asks before there is a server.
KEYS = [w.key for w in workloads(Server("", 0, "", 0))]

Say = Callable[[str], None]


def run(bench: Bench, chosen: Sequence[Workload], rounds: int, seconds: int, say: Say) -> list[dict]:
    results = []
    for names in (PLAIN, ENCRYPTED, WORKERS):
        group = [w for w in chosen if w.targets is names]
        if not group:
            continue
        targets = start_all(bench, names, names is ENCRYPTED)
        try:
            for workload in group:
                results.append(run_workload(bench, workload, targets, rounds, seconds, say))
        finally:
            for target in targets:
                target.stop()
    return results


def start_all(bench: Bench, names: Sequence[str], encrypted: bool) -> list[Target]:
    targets: list[Target] = []
    try:
        for name in names:
            target = start(bench, name, encrypted)
            if target:
                targets.append(target)
    except BaseException:
        for target in targets:
            target.stop()
        raise
    return targets


def run_workload(bench: Bench, workload: Workload, targets: list[Target], rounds: int, seconds: int, say: Say) -> dict:
    say(f"- {workload.title}")
    samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
    order = list(targets)
    for number in range(rounds):
        for target in order:
            load = with_tls(workload, target)
            samples[target.name].append(drive(bench, target, load, seconds))
        # The one that ran first, when the caches were coldest, runs last in the next round.
        order = order[1:] + order[:1]
        say(f"  round {number + 1} of {rounds}: " + "  ".join(brief(t.name, samples[t.name][-1]) for t in targets))
    result = {"key": workload.key, "title": workload.title, "encrypted": workload.encrypted,
              "targets": {name: summary(list_, samples[RELAY]) for name, list_ in samples.items()}}
    if not workload.load.connects:
        result["answer_bytes"] = answer_bytes(bench, workload.load)
        for of in result["targets"].values():
            if of["cpu_us"] is not None:
                of["cpu_us_per_mb"] = of["cpu_us"] / (result["answer_bytes"] / 1e6)
    return result


def with_tls(workload: Workload, target: Target) -> Load:
    load = workload.load
    if not workload.encrypted:
        return load
    return Load(load.threads, load.range_rows, load.prepared, ENCRYPTED[target.name], load.connects)


def brief(name: str, sample: Sample) -> str:
    return f"{name} {sample.rate:.0f}/s" + (f" {sample.cpu_us:.1f} us" if sample.cpu_us is not None else "")


def summary(samples: Sequence[Sample], relay: Sequence[Sample]) -> dict:
    """Medians over the rounds; ratios to the relay's sample of the same round, and their quartiles."""
    result: dict = {"rounds": [vars(s) for s in samples]}
    for field in ("cpu_us", "rate", "p50_us", "p99_us"):
        values = [getattr(s, field) for s in samples]
        if None in values:
            result[field] = None
            continue
        ratios = [v / b for v, b in zip(values, (getattr(s, field) for s in relay)) if b]
        result[field] = statistics.median(values)
        result[f"{field}_ratio"] = statistics.median(ratios) if ratios else None
        result[f"{field}_quartiles"] = statistics.quantiles(ratios, n=4)[::2] if len(ratios) > 1 else None
    return result


def run_idle(bench: Bench, counts: Sequence[int], tls_counts: Sequence[int], say: Say) -> list[dict]:
    results = []
    for key, title, names, sizes in (
            ("idle", "idle connections", (RELAY, HAPROXY, ROUTER, VTSHIM), counts),
            ("tls_idle", "idle connections with TLS to the client", ENDS_TLS, tls_counts)):
        say(f"- {title}")
        targets = {}
        for name in names:
            tls = ENCRYPTED[name] if key == "tls_idle" else "none"
            try:
                measured = measure_idle(bench, name, sizes, tls)
            except Failure as failure:
                say(f"  {name}: left out: {failure}")
                continue
            if measured:
                targets[name] = measured
                pss = measured["per_connection"].get("pss", 0)
                say(f"  {name}: {measured['points'][-1]['connections']:,} connections, {pss:,.0f} bytes each")
        results.append({"key": key, "title": title, "targets": targets})
    return results
