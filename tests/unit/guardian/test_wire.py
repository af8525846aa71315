"""A message between agent and guardian comes out as it went in."""

import pytest

from worker.guardian import wire

MESSAGES = [
    wire.Configure(
        (wire.Address("10.1.1.1", 32, "eth1"),), "exec /bin/x", "none", wire.Announcing(count=3, all_hosts=False), 1.5
    ),
    wire.Ending("return 1 -- ü", ("{a}:x", "{a}:y"), "redis.example.com", 6379),
    wire.Deadline("#ec0-1#east1", 12.25, ("a", "b")),
    wire.Plumb((wire.Grant("10.1.1.1", 4), wire.Grant("2001:db8::1", 5)), "#ec0-1#east1", 12.5),
    wire.Unplumb((), "7"),
    wire.Ready("nftables", "netlink", 0.0),
    wire.Kept("#ec0-1#east1", 12.25),
    wire.Plumbed("10.1.1.1", 4, 0.4),
    wire.NotPlumbed("10.1.1.1", 4, "it is the host's own address"),
    wire.Unplumbed("7", (("10.1.1.1", "busy"),)),
    wire.Down("#ec0-1#east1", "deadline passed"),
    wire.LinkState("eth1", up=False),
    wire.LinkState("eth1", up=False, there=False),
    wire.Unfit("it may not change addresses"),
]

ILL_TYPED = [
    b'["Deadline",{"session":7,"at":1.0}]',
    b'["Deadline",{"session":"s","at":"1"}]',
    b'["Deadline",{"session":"s","at":NaN}]',
    b'["Deadline",{"session":"s","at":1e999999,"arguments":"ab"}]',
    b'["Deadline",{"session":"\\ud800","at":1.0}]',
    b'["Deadline",{"session":"s","at":1' + 400 * b"0" + b"}]",
    b'["Plumb",{"grants":[["10.1.1.1",1]],"session":"s","at":1.0}]',
    b'["Plumb",{"grants":[{"address":"10.1.1.1","epoch":true}],"session":"s","at":1.0}]',
    b'["Configure",{"vips":[{"address":"10.1.1.1","prefix":"32","interface":"eth1"}]}]',
    b'["Configure",{"vips":' + 100_000 * b"[",
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_is_one_line_and_comes_back_equal(message: wire.Message) -> None:
    line = wire.encode(message)
    assert line.count(b"\n") == 1
    assert wire.decode(line) == message


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_messages_cut_anywhere_are_put_together_in_order(size: int) -> None:
    stream = b"".join(wire.encode(message) for message in MESSAGES)
    lines, seen = wire.Lines(), []
    for start in range(0, len(stream), size):
        seen += lines.feed(stream[start : start + size])
    assert seen == MESSAGES


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'["Kept",{}]', b'["Kept",{"no":1}]', b'["Other",{}]', b"7", b'["Kept",7]', *ILL_TYPED]
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode(line)


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LONGEST_LINE", 100)
    lines = wire.Lines()
    assert lines.feed(b"x" * 100) == []
    with pytest.raises(wire.WireError):
        lines.feed(b"x")
