"""The grammar: the items of a text, their places, and their faults."""

from pathlib import Path

import lark
import pytest
from hypothesis import example, given

import eccmgr.config
from eccmgr.config.syntax.document import Document, OptionNode, ScopeNode
from eccmgr.config.syntax.parse import parse_bytes, parse_text, parse_value
from eccmgr.config.syntax.values import Dictionary, ItemList, Text, format_value
from tests.unit.config.trees import plain_form, soup, values, well_formed


def parsed(text: str) -> Document:
    document, faults = parse_text("f", text)
    assert faults == []
    return document


def faults_of(text: str) -> list[str]:
    return [str(fault) for fault in parse_text("f", text)[1]]


def value_of(text: str) -> object:
    (node,) = parsed(text).items
    assert isinstance(node, OptionNode)
    return node.value


@pytest.mark.parametrize("text", ["a = b", "a=b", "a b", "a\n=\n\tb", "a /* = c */ = # d\n b", 'a="b"', 'a"b"'])
def test_space_comments_and_sign_make_no_difference(text: str) -> None:
    assert plain_form(parsed(text).items) == [("option", "a", ("text", "b"))]


def test_lone_carriage_return_ends_comments_and_lines() -> None:
    assert plain_form(parsed("# note\ra = b # note\r\r").items) == [("option", "a", ("text", "b"))]
    assert faults_of("# note\ra = 1\r  }") == ["f:3:3: '}' closes no scope, expected the name of an option or a scope"]


def test_comments_are_not_nested_and_may_hold_anything() -> None:
    assert plain_form(parsed('/* { " /* */ a = 1 # } "\n/**/b = 2 /***/').items) == [
        ("option", "a", ("text", "1")),
        ("option", "b", ("text", "2")),
    ]


def test_only_quote_and_backslash_are_escaped_in_quotes() -> None:
    assert value_of(r'a = "x\"y\\z\d\n # { } \w\\"') == Text('x"y\\z\\d\\n # { } \\w\\', quoted=True)


def test_a_bare_backslash_stands_for_itself() -> None:
    assert value_of("a = \\d\\") == Text("\\d\\")


def test_lists_and_dictionaries_tolerate_commas() -> None:
    assert value_of('a = ( x, y,z "w,v" )') == ItemList((Text("x"), Text("y"), Text("z"), Text("w,v", quoted=True)))
    pairs = ((Text("k"), Text("v")), (Text("k2"), Text("v 2", quoted=True)), (Text("k3"), Text("v3")))
    assert value_of('a = [ k = v,  k2 = "v 2" k3 v3 ]') == Dictionary(pairs)
    assert value_of("a = ()") == ItemList(())
    assert value_of("a = [ ]") == Dictionary(())


def test_comma_outside_brackets_belongs_to_the_word() -> None:
    assert value_of("a = x,y") == Text("x,y")


def test_scopes_nest_named_in_anonymous_and_the_reverse() -> None:
    assert plain_form(parsed('a { B "n" { c { } x = 1 } } d bare { }').items) == [
        ("scope", "a", None, [("scope", "B", "n", [("scope", "c", None, []), ("option", "x", ("text", "1"))])]),
        ("scope", "d", "bare", []),
    ]


def test_an_empty_name_is_a_name() -> None:
    assert plain_form(parsed('a "" { }').items) == [("scope", "a", "", [])]


def test_word_before_a_scope_is_an_options_value() -> None:
    assert plain_form(parsed("a b\nc { }").items) == [("option", "a", ("text", "b")), ("scope", "c", None, [])]


def test_includes_work_in_any_scope_without_case() -> None:
    assert plain_form(parsed('a { Include "x" READONLY_INCLUDE y }').items) == [
        ("scope", "a", None, [("include", False, "x"), ("include", True, "y")])
    ]


def test_every_item_knows_its_line_and_column() -> None:
    document = parsed('# one\r\na = é\r\n\tB "n" {\r\n    c = "x\r\ny" }')
    first, scope = document.items
    assert isinstance(scope, ScopeNode)
    (inner,) = scope.items
    assert isinstance(first, OptionNode)
    assert isinstance(inner, OptionNode)
    assert document.position(first.start) == (2, 1)
    assert document.position(first.value_start) == (2, 5)
    assert document.position(scope.start) == (3, 2)
    assert document.position(scope.close) == (5, 4)
    assert document.place(inner.start) == "f:4:5"


def test_byte_order_mark_and_missing_newline_are_accepted() -> None:
    assert plain_form(parsed("﻿a = 1").items) == [("option", "a", ("text", "1"))]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "/* only\na comment */", "﻿"])
def test_a_text_without_items_is_an_empty_configuration(text: str) -> None:
    assert parsed(text).items == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a {", "f:1:3: '{' is never closed, expected a '}' before the end of the file"),
        ("}", "f:1:1: '}' closes no scope, expected the name of an option or a scope"),
        ("a =", "f:1:4: found the end of the file, expected a value for 'a'"),
        ("a", "f:1:2: found the end of the file, expected a value, or a '{' that opens a scope, behind 'a'"),
        ("x { a = }", "f:1:9: found '}', expected a value for this name"),
        ("x {\n a = }", "f:2:6: found '}', expected a value for 'a'"),
        ('a = "b', "f:1:5: a string that never ends, expected a closing '\"'"),
        ("a = 1\n/* b", "f:2:1: a comment that never ends, expected a closing '*/'"),
        ("a = /b", "f:1:5: '/' outside of quotes, expected quotes around a value that holds it"),
        ("a = it's", 'f:1:7: "\'" outside of quotes, expected quotes around a value that holds it'),
        ("a = ( b", "f:1:5: '(' is not closed before the end of the file at 1:8, expected a ')' that ends a list"),
        ("a = [ b ]", "f:1:7: a key without a value, expected 'key = value'"),
        ("a = ( = c )", "f:1:7: found '=' in a list, expected an item or ')'"),
        ("a = ( ( b ) )", "f:1:7: found '(' within a list, expected an item or ')'"),
        ("include { }", "f:1:9: found '{', expected a path in quotes behind include"),
        ("a = 1\nb = \x00", "f:2:5: control character 0x00 (is this a binary file?), expected text"),
        ("x = 1\n\ufeffy = 2", "f:2:1: control character 0xfeff (is this a binary file?), expected text"),
        ("= 1", "f:1:1: found '=', expected the name of an option or a scope"),
    ],
)
def test_fault_says_its_place_finding_and_expectation(text: str, fault: str) -> None:
    assert fault in faults_of(text)


def test_all_faults_of_a_file_come_in_order() -> None:
    text = 'a = /x\nb { c = }\nd = [ e ]\nf = "ok"\n}\ng {\n'
    assert [(fault.line, fault.column) for fault in parse_text("f", text)[1]] == [
        (1, 5),
        (2, 9),
        (3, 7),
        (5, 1),
        (6, 3),
    ]


def test_forgotten_bracket_does_not_swallow_later_options() -> None:
    document, faults = parse_text("f", "a = ( x y\nb = 2\nc { d = 3 }")
    assert len(faults) == 1
    assert plain_form(document.items)[1:] == [
        ("option", "b", ("text", "2")),
        ("scope", "c", None, [("option", "d", ("text", "3"))]),
    ]


def test_faults_never_show_what_may_be_a_secret() -> None:
    assert not any(
        "s3cret" in fault for fault in faults_of('Password = "a" "s3cret"\nPassword = ( s3cret = )\n"s3cret')
    )


def test_bytes_outside_utf_8_are_one_fault() -> None:
    _, faults = parse_bytes("f", b"a = 1\n\xc3\xa9b \xff\xfe")
    assert [str(fault) for fault in faults] == ["f:2:4: byte 0xff (is this a binary file?), expected UTF-8 text"]


def test_endlessly_nested_scopes_are_a_fault_only() -> None:
    assert any("at most 64" in fault for fault in faults_of("a {" * 100_000))
    assert len(faults_of("(" * 100_000)) <= 100
    assert len(faults_of("a = [" * 50_000)) <= 100


@given(values)
def test_a_value_printed_parses_to_the_same_value(value: Text | ItemList | Dictionary) -> None:
    printed = format_value(value)
    again = parse_value(printed)
    assert again is not None
    assert format_value(again) == printed


_REFERENCE = lark.Lark(
    (Path(eccmgr.config.__file__).parent / "syntax" / "grammar.lark").read_text(),
    start="file",
    parser="earley",
    lexer="dynamic",
    maybe_placeholders=False,
)


@given(soup)
@example("a { include = { } }")
@example("include_x = 1")
@example("include ( x y )")
@example("a include b {}")
def test_the_parser_accepts_what_the_written_grammar_accepts(text: str) -> None:
    _, faults = parse_text("f", text)
    if "\x00" in text or "﻿" in text:
        return
    try:
        _REFERENCE.parse(text)
        accepted = True
    except lark.exceptions.LarkError:
        accepted = False
    assert accepted == (not faults), faults


@given(well_formed)
def test_texts_without_a_fault_parse(text: str) -> None:
    document, faults = parse_text("f", text)
    assert faults == []
    assert document.text == text
