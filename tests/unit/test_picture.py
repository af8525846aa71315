"""What a topic of the feed shows: a reader that follows the changes sees what a snapshot shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.errors import UsageError
from eccmgr.feed.picture import FeedChange, Picture
from eccmgr.feed.topics import EVERY_TOPIC, FeedTopic, read_topics

NAMES = st.sampled_from("abcdef")
STATES = st.dictionaries(NAMES, st.integers(0, 3), max_size=6)


def picture_of(states: list[dict[str, int]], kept: int = 40) -> Picture:
    picture = Picture(FeedTopic.MEMBERS, kept)
    for number, state in enumerate(states):
        show(picture, state, number)
    return picture


def show(picture: Picture, state: dict[str, int], at_ms: int = 0) -> None:
    picture.show({name: {"name": name, "value": value} for name, value in state.items()}, at_ms)


def applied(shown: dict[object, object], change: FeedChange) -> dict[object, object]:
    kept = {} if change.full else {name: value for name, value in shown.items() if name not in change.gone}
    return kept | {item["name"]: item["value"] for item in change.items}


@given(st.lists(STATES, min_size=1, max_size=12), st.data())
def test_missed_changes_lead_to_the_snapshot(states: list[dict[str, int]], data: st.DataObject) -> None:
    picture = Picture(FeedTopic.MEMBERS, kept=5)
    shown: dict[object, object] = {}
    seen = 0
    for state in states:
        show(picture, state)
        if data.draw(st.booleans()) and picture.serial != seen:
            change = (picture.since(seen) if seen else None) or picture.whole()
            shown, seen = applied(shown, change), change.serial
            assert shown == state


def test_unchanged_look_has_no_new_serial() -> None:
    picture = picture_of([{"a": 1}, {"a": 1}])
    assert picture.serial == 1
    show(picture, {"a": 2})
    assert picture.serial == 2


def test_change_that_no_item_shows_is_told() -> None:
    picture = picture_of([{"a": 1}])
    picture.amend({}, (), 7, stirred=True)
    assert picture.since(1) == FeedChange(FeedTopic.MEMBERS, 2, 7, False, ())


def test_an_empty_topic_has_a_snapshot() -> None:
    assert picture_of([{}]).whole() == FeedChange(FeedTopic.MEMBERS, 1, 0, True, ())


def test_reader_that_is_far_behind_begins_anew() -> None:
    picture = picture_of([{"a": value} for value in range(10)], kept=3)
    assert picture.since(7) is not None
    assert picture.since(6) is None


def test_parts_of_a_change_make_the_change() -> None:
    picture = picture_of([{}, {"a": 1, "b": 2, "c": 3}])
    parts = list(picture.whole().parts(2))
    assert [(part.full, part.more, len(part.items)) for part in parts] == [(True, True, 2), (False, False, 1)]
    assert tuple(item for part in parts for item in part.items) == picture.whole().items


def test_topics_are_named_in_any_case() -> None:
    assert read_topics(["VIPs", "members", "vips"]) == (FeedTopic.VIPS, FeedTopic.MEMBERS)
    assert read_topics(["all"]) == EVERY_TOPIC
    with pytest.raises(UsageError, match=r"^No topic 'nodes'; the topics are cluster, members"):
        read_topics(["nodes"])
