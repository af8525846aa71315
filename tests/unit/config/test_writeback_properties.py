"""Properties of every written-back file: it loses no item, and only the changed items differ."""

import asyncio
from itertools import takewhile

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eccmgr.config.files.load import load
from eccmgr.config.live.store import Store
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.printing import walk
from eccmgr.config.schema.spec import ScopeSpec
from eccmgr.config.syntax.changes import Action, Change, apply_all, difference
from eccmgr.config.syntax.tree import Scope, Step, same
from eccmgr.config.syntax.values import format_value
from tests.unit.config.console import Console
from tests.unit.config.memory import MemoryFiles
from tests.unit.config.trees import names, texts, trees, values, well_formed


def in_memory(text: str) -> tuple[Console, MemoryFiles]:
    memory = MemoryFiles({"/a": text.encode()})
    store = Store("/a", files=memory)
    store.load()
    return Console(store), memory


@given(well_formed)
@example("a = 1\n")
def test_file_written_back_unchanged_keeps_its_bytes(text: str) -> None:
    console, memory = in_memory(text)
    live = console.store.live
    for name in [setting.name for setting in live.options.values()]:
        value = format_value(live.options[name.lower()].value)
        console.ok(f"config unset {name}")
        console.ok(f"config set {name} = {value}")
    assert console.ok("config writeback") == "Nothing to write back"
    assert memory.contents["/a"] == text.encode()


_steps = st.builds(Step, names, st.none() | texts)
_sets = st.builds(
    lambda path, option, value: Change(Action.SET, tuple(path), option, value),
    st.lists(_steps, max_size=2),
    names,
    values,
)


@given(well_formed, st.lists(_sets, max_size=4))
def test_every_value_written_back_is_read_again(text: str, changes: list[Change]) -> None:
    schema = ScopeSpec("", "", options=SCHEMA.options)
    memory = MemoryFiles({"/a": f'Local_Changes_File = "/l"\n{text}'.encode()})
    store = Store("/a", files=memory, schema=schema)
    store.load()
    store.live = apply_all(store.live, changes)
    live = store.live
    Console(store).ok("config writeback")
    again = load("/a", memory, schema=schema)
    assert again.faults == []
    assert difference(again.root, live) == []


@given(well_formed, well_formed)
def test_replaced_configuration_written_back_is_read_again(one: str, other: str) -> None:
    console, memory = in_memory(one)
    console.store.live = load("/b", MemoryFiles({"/b": other.encode()})).root
    asyncio.run(console.store.write_back())
    again = load("/a", memory)
    assert again.faults == []
    left = {change.where for change in console.store.unsaved()}
    assert {change.where for change in difference(again.root, console.store.live)} == left


@given(trees)
def test_an_exported_tree_is_read_again(tree: Scope) -> None:
    schema = ScopeSpec("", "")
    memory = MemoryFiles({"/a": b""})
    store = Store("/a", files=memory, schema=schema)
    store.live = tree
    asyncio.run(store.export("/b"))
    assert same(tree, load("/b", memory, schema=schema).root)


def _alike(one: str, other: str) -> int:
    """The number of characters that two texts have in common from their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _kept(before: str, now: str) -> int:
    """The numbers of characters of `before` that are before and behind the one place where `now` differs."""
    head = _alike(before, now)
    return head + _alike(before[head:][::-1], now[head:][::-1])


@given(well_formed, st.data())
def test_replaced_value_keeps_every_other_byte(text: str, data: st.DataObject) -> None:
    console, memory = in_memory(text)
    places = [
        (path, setting)
        for path, scope in [((), console.store.live), *walk(console.store.live)]
        for setting in scope.options.values()
    ]
    if not places:
        return
    path, setting = data.draw(st.sampled_from(places))
    value = data.draw(values)
    assert setting.node is not None
    console.store.live = apply_all(console.store.live, [Change(Action.SET, path, setting.name, value)])
    asyncio.run(console.store.write_back())
    now = memory.contents["/a"].decode()
    assert now.startswith(text[: setting.node.value_start])
    assert now.endswith(text[setting.node.end :])


@given(well_formed, _sets)
def test_new_option_changes_one_place_only(text: str, change: Change) -> None:
    schema = ScopeSpec("", "", options=SCHEMA.options)
    memory = MemoryFiles({"/a": text.encode()})
    store = Store("/a", files=memory, schema=schema)
    store.load()
    scope = store.live.find(change.path)
    if scope is None or scope.option(change.option):
        return
    store.live = apply_all(store.live, [change])
    assert asyncio.run(store.write_back()).files
    assert _kept(text, memory.contents["/a"].decode()) == len(text)


@given(well_formed, st.data())
def test_removing_an_item_removes_nothing_else(text: str, data: st.DataObject) -> None:
    console, memory = in_memory(text)
    live = console.store.live
    drops = [Change(Action.DROP, path) for path, scope in walk(live) if len(scope.places) == 1]
    if not drops:
        return
    change = data.draw(st.sampled_from(drops))
    scope = live.find(change.path)
    assert scope is not None
    node = scope.places[0].node
    assert node is not None
    console.store.live = apply_all(live, [change])
    asyncio.run(console.store.write_back())
    now = memory.contents["/a"].decode()
    assert [line.strip() for line in now.split()] == [*text[: node.start].split(), *text[node.end :].split()]


_with_includes = st.lists(
    st.one_of(
        well_formed,
        st.sampled_from(
            ['include "b"\n', 'readonly_include "c"\n', 'S { include "d" }\n', "S {\n readonly_include d\n}\n"]
        ),
    ),
    min_size=1,
    max_size=5,
).map("\n".join)


@given(
    main=_with_includes,
    others=st.tuples(well_formed, well_formed, well_formed),
    local=st.sampled_from(["", 'Local_Changes_File = "l"\n', 'Local_Changes_File = "l"\nLocal_Changes_Only = on\n']),
    sets=st.lists(_sets, max_size=3),
    data=st.data(),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_warned_files_are_those_not_read_again(
    main: str, others: tuple[str, str, str], local: str, sets: list[Change], data: st.DataObject
) -> None:
    schema = ScopeSpec("", "", options=SCHEMA.options)
    contents = {"/a": local + main, "/b": others[0], "/c": others[1], "/d": others[2]}
    memory = MemoryFiles({path: text.encode() for path, text in contents.items()})
    store = Store("/a", files=memory, schema=schema)
    store.load()
    written = [*walk(store.live)]
    unsets = [Change(Action.UNSET, path, name) for path, scope in written for name in scope.options]
    changes = [*sets, *(Change(Action.DROP, path) for path, _ in written), *unsets]
    chosen = data.draw(st.lists(st.sampled_from(changes), max_size=4)) if changes else []
    store.live = apply_all(store.live, chosen)
    live = store.live
    result = asyncio.run(store.write_back())
    warned = {change.where for change in (*result.unsaved, *(change for change, _ in result.overridden))}
    again = load("/a", memory, schema=schema)
    assert again.faults == []
    assert {change.where for change in difference(again.root, live)} <= warned
    assert memory.contents["/c"] == contents["/c"].encode()
    assert same(store.live, live)
