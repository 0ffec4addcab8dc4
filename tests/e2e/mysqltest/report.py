"""What the runs came to: tables, and the line at the end."""

from __future__ import annotations

from collections import Counter
from typing import Sequence

from mysqltest.known import KNOWN
from mysqltest.lane import DIFFERENT, SAME, UNUSABLE, Verdict
from mysqltest.modes import Mode


def explained(suite: str, verdict: Verdict) -> str:
    """Why that difference is known and stays, or nothing."""
    return KNOWN.get((suite, verdict.test, verdict.mode)) or KNOWN.get((suite, verdict.test, "*")) or ""


def report(suite: str, modes: Sequence[Mode], verdicts: Sequence[Verdict], failures: Sequence[str],
           left_out: Counter[str]) -> int:
    """Prints it; returns the number of differences without an explanation, and of failures of the runs themselves."""
    print()
    for reason, n in left_out.most_common():
        print(f"left out: {n} tests: {reason}")
    for reason, n in Counter(v.why for v in verdicts if v.verdict == UNUSABLE).most_common():
        print(f"unusable: {n} runs: {reason}")
    unexplained = 0
    for verdict in sorted((v for v in verdicts if v.verdict == DIFFERENT), key=lambda v: (v.test, v.mode)):
        known = explained(suite, verdict)
        unexplained += not known
        print(f"different: {verdict.test}, {verdict.mode}: {verdict.why}; {known or 'NOT EXPLAINED'}")
    print()
    for mode in modes:
        count = Counter(v.verdict for v in verdicts if v.mode == mode.name)
        whole = sum(v.whole for v in verdicts if v.mode == mode.name)
        print(f"{mode.name:9} {count[SAME]} same ({whole} of them to the test's end), {count[DIFFERENT]} different,"
              f" {count[UNUSABLE]} unusable")
    for failure in failures:
        print(f"FAILURE: {failure}")
    total = Counter(v.verdict for v in verdicts)
    tests = len({v.test for v in verdicts})
    print(f"{tests} tests, {unexplained} differences not explained")
    print(f"{total[SAME]} same, {total[DIFFERENT]} different, {total[UNUSABLE]} unusable")
    return unexplained + len(failures)
