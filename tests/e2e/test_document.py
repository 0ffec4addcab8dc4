"""The parts of docs/COMPATIBILITY.md are made apart, and none takes away another's."""

from __future__ import annotations

from lib.document import DOCUMENT, SECTIONS, marks, put_section, section_of


def test_sections_are_apart():
    first = put_section("", "tools", "tools 1")
    both = put_section(first, "drivers", "drivers 1")
    assert both.index("drivers 1") < both.index("tools 1")
    again = put_section(both, "tools", "tools 2\n\n")
    assert "drivers 1" in again and "tools 1" not in again and again.count("tools 2") == 1
    assert put_section(again, "tools", "tools 2") == again
    assert put_section(put_section(again, "drivers", "drivers 2"), "drivers", "drivers 1") == again


def test_document_has_all():
    text = DOCUMENT.read_text()
    for name in SECTIONS:
        assert all(text.count(mark) == 1 for mark in marks(name)), name
    assert all(put_section(text, name, section_of(text, name)) == text for name in SECTIONS)
