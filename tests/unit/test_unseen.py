"""Invisible characters: all of Unicode's are found, and made visible without loss."""

import json
import unicodedata
from xml.dom.minidom import parseString

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.commands.answer import Answer, Format, Status
from eccmgr.text import unseen

INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Cs")
# Halves of surrogate pairs are left out: two halves in a row are one character in JSON.
UNSEEN = st.sampled_from(
    [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zl", "Zp")]
)
TEXT = st.lists(st.one_of(st.text(max_size=3), UNSEEN, st.sampled_from(["\n", "\t", "\r"]))).map("".join)


def test_every_control_and_format_character_is_unseen() -> None:
    every = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in INVISIBLE]
    assert [found for found in every if found != "\t" and unseen.first_unseen(found) != found] == []


@given(TEXT)
def test_what_is_shown_holds_nothing_unseen(text: str) -> None:
    shown = unseen.visible_lines(text)
    assert not unseen.first_unseen(shown.replace("\n", ""))
    assert shown.count("\n") == text.count("\n")
    assert unseen.visible_line(text).isascii() or not unseen.first_unseen(unseen.visible_line(text))
    assert "\n" not in unseen.visible_line(text)
    assert "\t" not in unseen.visible_line(text)
    assert len(unseen.unseen_marked(text)) == len(text)
    assert not unseen.first_unseen(unseen.unseen_marked(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07", "^[[2J^G"),
        ("a\r\nb\tc", "a^M\nb\tc"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"),
        ("\U000e0041", "\\U000e0041"),
        ("caf\u00e9 \u4e2d", "caf\u00e9 \u4e2d"),
        ("east1\u3164\u115f\uffa0", "east1\\u3164\\u115f\\uffa0"),
        ("x\ufe0f\U000e0100", "x\\ufe0f\\U000e0100"),
        ("\ud800\udc80", "\\ud800\\udc80"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    assert unseen.visible_lines(text) == shown


@given(TEXT, TEXT)
def test_forms_for_machines_hold_nothing_unseen(text: str, command: str) -> None:
    answer = Answer(text, Status.OK, facts={"nodes": [{"node": command, "state": "ok", "text": text}]})
    found = answer.render(Format.JSON, command)
    assert not unseen.first_unseen(found)
    assert json.loads(found)["body"] == text
    xml = answer.render(Format.XML, command)
    parseString(xml.encode())
    assert not unseen.first_unseen(xml.replace("\n", "").replace("\r", ""))


def test_letters_drawn_as_nothing_are_unseen() -> None:
    letters = "\u3164\u115f\u17b4\u034f"
    assert [unseen.first_unseen(f"east1{letter}") for letter in letters] == list(letters)
    assert unseen.first_unseen("\u26a0\ufe0f down") == ""


def test_xml_of_others_always_parses() -> None:
    parseString(Answer("<a>\x1b[2J\x00\u202e</a>", is_xml=True).render(Format.XML, "x"))
