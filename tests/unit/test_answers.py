"""Answers and their three forms."""

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.commands.answer import Answer, Exit, Format, Status, xml_attribute, xml_text

# An XML parser keeps these characters. It would turn every other line end into a newline, so our text escapes those.
xml_characters = st.text(
    alphabet=st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r")
)
NODES = [
    {"node": "east1", "state": "ok", "seconds": 0.1, "text": "a < b"},
    {"node": "east2", "state": "pending", "seconds": 2.0, "text": ""},
]


def test_text_is_the_text() -> None:
    assert Answer("a <b>\n").render(Format.TEXT, "any") == "a <b>\n"


def test_json_is_one_object_with_command_status_text() -> None:
    shown = Answer("Grüße\n", Status.PARTIAL, facts={"expected": 2}).render(Format.JSON, 'gather "x"')
    assert json.loads(shown) == {"command": 'gather "x"', "status": "partial", "body": "Grüße\n", "expected": 2}
    assert "\n" not in shown


def test_xml_is_an_element_with_the_text() -> None:
    shown = Answer("a <b> & c\n").render(Format.XML, 'echo "<&>"')
    element = ET.fromstring(shown)
    assert element.tag == "Answer"
    assert element.attrib == {"Command": 'echo "<&>"', "Status": "ok"}
    assert element.text == "a <b> & c\n"


def test_xml_of_nodes_has_a_response_for_each() -> None:
    element = ET.fromstring(Answer("header", Status.PARTIAL, facts={"nodes": NODES}).render(Format.XML, "x"))
    assert [response.attrib for response in element] == [
        {"Node": "east1", "State": "ok"},
        {"Node": "east2", "State": "pending"},
    ]
    assert [response.text for response in element] == ["a < b", None]


def test_xml_answer_is_wrapped_in_json_only() -> None:
    answer = Answer("<A/>", is_xml=True, facts={"members": []})
    assert answer.render(Format.XML, "show") == "<A/>"
    assert json.loads(answer.render(Format.JSON, "show"))["body"] == "<A/>"


def test_an_error_keeps_the_shape() -> None:
    answer = Answer("no", Status.ERROR)
    assert json.loads(answer.render(Format.JSON, "x"))["status"] == "error"
    assert ET.fromstring(answer.render(Format.XML, "x")).attrib["Status"] == "error"


@given(xml_characters)
def test_xml_returns_any_text_it_can_hold(text: str) -> None:
    element = ET.fromstring(f"<a b={xml_attribute(text)}>{xml_text(text)}</a>")
    assert (element.text or "") == text
    assert element.attrib["b"] == text


@given(st.text())
def test_any_text_at_all_makes_well_formed_xml(text: str) -> None:
    ET.fromstring(Answer(text).render(Format.XML, text))


def test_what_xml_cannot_hold_is_replaced() -> None:
    assert xml_text("a\0b\x1b[0m\ud800") == "a\ufffdb\ufffd[0m\ufffd"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer("", Status.OK), Exit.OK),
        (Answer("", Status.ERROR), Exit.FAILED),
        (Answer("", Status.ERROR, usage=True), Exit.USAGE),
        (Answer("", Status.PARTIAL), Exit.PARTIAL),
        (Answer("", Status.DENIED), Exit.DENIED),
    ],
)
def test_how_it_ended_is_an_exit_code(answer: Answer, code: Exit) -> None:
    assert answer.exit is code
