"""Differences that are known, each with the reason why it stays, and the short selection of tests.

A difference is explained for one test in one mode; "*" is every mode."""

from __future__ import annotations

KNOWN: dict[tuple[str, str, str], str] = {}

QUICK: dict[str, tuple[str, ...]] = {
    "mysql": ("null", "type_decimal", "ps_1general"),
    "mariadb": ("null",),
}
