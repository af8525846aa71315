"""The fields of an answer as XML."""

from xml.etree import ElementTree as ET

from eccmgr.commands.answer import Answer, Format
from eccmgr.commands.structured import attributes, elements


def test_scalars_are_attributes_and_lists_elements() -> None:
    fields = {"view": 17, "members": [{"name": "east1", "vips": ["10.1.1.1"], "tags": {"dc": "a<b"}, "late": False}]}
    assert attributes(fields) == ' View="17"'
    (member,) = ET.fromstring(f"<A>{elements(fields)}</A>")
    assert (member.tag, member.attrib) == ("Member", {"Name": "east1", "Late": "false"})
    assert [(each.tag, each.get("Name"), each.text) for each in member] == [
        ("Vip", None, "10.1.1.1"),
        ("Tag", "dc", "a<b"),
    ]


def test_fields_of_a_module_cannot_break_xml() -> None:
    facts = {"1x": 1, "a b": 2, "status": "forged", "command": "forged", "é": 3, "lines": "a\nb", "ok": '"<&\x00'}
    answer = ET.fromstring(Answer("text", facts=facts).render(Format.XML, "do"))
    assert answer.attrib == {"Command": "do", "Status": "ok", "Ok": '"<&\ufffd'}
    assert answer.text == "text"
