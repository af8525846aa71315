"""Audit series without a server: files of managers that ended, the choice of series, the tree of addresses."""

import pytest

from eccmgr.config.files.load import load_text
from eccmgr.config.live.effective import Overrides, ScopeView
from eccmgr.config.schema.known import SCHEMA
from eccmgr.errors import ConfigError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.series.counting import OTHER, PENDING_MAX, SeriesCounter
from eccmgr.series.counts import read_counts, tree
from eccmgr.series.options import logger_options
from eccmgr.series.window_files import HiddenFate, HiddenFile, fate_of

HIDDEN = HiddenFile("spam", 5000, 7)


def view(text: str) -> ScopeView:
    return ScopeView(load_text(text).root, (), Overrides(), SCHEMA)


@pytest.mark.parametrize(
    ("window", "written", "fate"),
    [
        ([b"5000", b"7"], [], HiddenFate.WAITS),
        ([b"5000", b"8"], [], HiddenFate.DROPPED),
        ([None, b"7"], [b"5000 7"], HiddenFate.NAMED),
        ([b"6000", b"9"], [b"5000 8", b"4000 6"], HiddenFate.DROPPED),
        ([None, None], [], HiddenFate.NAMED),
    ],
)
def test_hidden_file_has_one_fate(window: list[bytes | None], written: list[bytes], fate: HiddenFate) -> None:
    assert fate_of(HIDDEN, window, written) is fate
    assert (HIDDEN.name, HIDDEN.final) == (".spam.5000.7", "spam.5")


def test_series_are_chosen_by_whole_names() -> None:
    options = logger_options(view('as_logger { base_dir = "/x" series_exclude = ( "s.*" ) series_include = "spam" }'))
    assert options is not None
    assert [name for name in ("spam", "spam2", "ham") if options.chosen(name)] == ["spam", "ham"]
    assert logger_options(view("as_logger { }")) is None
    for wrong in ('base_dir = "x"', 'base_dir = "/x" series_include_default = "some"'):
        with pytest.raises(ConfigError, match="expected"):
            logger_options(view(f"as_logger {{ {wrong} }}"))


def test_addresses_are_a_tree_with_sums() -> None:
    scored = [
        (f"n{n}\t{key}".encode(), 2.0) for n in (1, 2) for key in ("10.0.0.1", "10.0.9.1", "2001:db8::1", "other")
    ]
    assert tree(read_counts(scored)) == [
        *((0, "10.0.0.0/16", 8), (1, "10.0.0.1", 4), (1, "10.0.9.1", 4)),
        *((0, "2001:db8::1", 4), (0, "other", 4)),
    ]
    assert tree(read_counts(scored, "N2"))[0] == (0, "10.0.0.0/16", 4)


def test_what_waits_is_bounded_and_complete() -> None:
    counter = SeriesCounter(Link("redis://127.0.0.1:1/0"), Keys("c"), "n1", view(""))
    spam = counter.series("spam")
    for number in range(PENDING_MAX + 10):
        spam.add(str(number))
    assert len(counter._pending) == PENDING_MAX + 1
    assert counter._pending["spam", OTHER] == 10
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="number of events"):
            spam.add("a", wrong)
    with pytest.raises(ValueError, match="no name of a series"):
        counter.series("../x")
