"""Strategies for trees, values and texts of files, and a form in which documents can be compared."""

from typing import Any

from hypothesis import strategies as st

from eccmgr.config.syntax.document import IncludeNode, Node, OptionNode
from eccmgr.config.syntax.lexer import is_name
from eccmgr.config.syntax.tree import Scope, Setting
from eccmgr.config.syntax.values import Dictionary, ItemList, Text, content

texts = st.text(
    st.one_of(
        st.sampled_from(list("abZ09 \t\n\r\"'\\#/={}[](),:.-_*é€\U0001f600")),
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"),
    ),
    max_size=12,
)
"""Any text that a configuration may hold."""

names = st.one_of(
    st.sampled_from(["a", "B", "Listen", "listen", "Binding", "uri", "x-1", "é", "a,b", "a\\"]),
    st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Z"), exclude_characters="\ufeff"), min_size=1, max_size=6
    ).filter(is_name),
)
plain = st.builds(Text, texts, st.booleans())
values = st.one_of(
    plain,
    st.lists(plain, max_size=3).map(lambda items: ItemList(tuple(items))),
    st.lists(st.tuples(plain, plain), max_size=3).map(lambda pairs: Dictionary(tuple(pairs))),
)


def _scope(kind: str, name: str | None, options: dict[str, Any], scopes: list[Scope]) -> Scope:
    return Scope(
        kind,
        name,
        {option.lower(): Setting(option, value) for option, value in options.items()},
        {scope.step().key: scope for scope in scopes},
    )


_options = st.dictionaries(names, values, max_size=3)
trees = st.recursive(
    st.builds(_scope, names, st.none() | texts, _options, st.just([])),
    lambda inner: st.builds(_scope, names, st.none() | texts, _options, st.lists(inner, max_size=3)),
    max_leaves=8,
).map(lambda scope: _scope("", None, {s.name: s.value for s in scope.options.values()}, list(scope.scopes.values())))
"""A global scope with every kind of item that may be in it."""

pieces = st.sampled_from(
    [
        *"{}[]()=,#\"'/\\\n \t",
        "\r\n",
        "\r",
        "/*",
        "*/",
        "# note\n",
        "/* note */",
        "include ",
        "readonly_include ",
        "Include",
        "a",
        "B",
        "a b",
        "Listen ",
        '"name"',
        '"q\\"\\\\"',
        " = ",
        " { ",
        " }\n",
        "( x y )",
        "[ k = v ]",
        "x=1\n",
        "uri",
        "\x00",
        "é",
        "﻿",
    ]
)
soup = st.lists(pieces, max_size=25).map("".join)
"""Texts that look much like configurations."""

well_formed = st.recursive(
    st.sampled_from(
        [
            "a = 1\n",
            "B two\n",
            'c="x y" # why\n',
            "l = ( a, b )\n",
            "d = [ k = v  k2 v2 ]\n",
            "/* c */ e=f",
            "\n",
            "\r\n",
        ]
    ),
    lambda inner: st.builds(
        lambda kind, name, items, tail: f"{kind}{name}{{{''.join(items)}}}{tail}",
        st.sampled_from(["S ", "Listen ", "t\n"]),
        st.sampled_from(["", '"n" ', "bare ", '"a:b\\\\" ']),
        st.lists(inner.map(lambda text: text + "\n"), max_size=4),
        st.sampled_from(["\n", " # end\n", "\n\n", " "]),
    ),
    max_leaves=12,
)
"""Texts of files without a fault, with comments and blank lines."""


def plain_form(items: list[Node]) -> list[Any]:
    """The content of items, without their places."""
    found: list[Any] = []
    for node in items:
        if isinstance(node, OptionNode):
            found.append(("option", node.name, content(node.value)))
        elif isinstance(node, IncludeNode):
            found.append(("include", node.readonly, node.path))
        else:
            found.append(("scope", node.kind, node.name, plain_form(node.items)))
    return found
