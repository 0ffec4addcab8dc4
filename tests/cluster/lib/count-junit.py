"""Prints `passed failed skipped` of a JUnit file.

A cmocka program is one test to ctest but many to us: where a test's output has cmocka's totals,
those count.
"""
import re
import sys
import xml.etree.ElementTree as tree


def main(path):
    passed = failed = skipped = 0
    for case in tree.parse(path).iter("testcase"):
        # pytest: child elements; ctest: the attribute as well.
        is_failed = case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail"
        output = case.findtext("system-out") or ""
        ok = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", output)))
        bad = sum(map(int, re.findall(r"\[  FAILED  \] (\d+) test", output)))
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
        elif ok or bad:
            passed += ok
            # Failed without a failed case: a sanitizer's report or a crash at the end.
            failed += bad or int(is_failed)
        elif is_failed:
            failed += 1
        else:
            passed += 1
    print(passed, failed, skipped)


main(sys.argv[1])
