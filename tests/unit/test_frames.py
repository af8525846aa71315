"""Frames arrive as they were sent, however the bytes are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.control import frames
from eccmgr.control.frames import Decoder, Frame
from eccmgr.errors import FrameError

KINDS = (frames.SHORT, frames.LONG, frames.AUTH, frames.REQUEST, frames.CHUNK, frames.RESULT)
any_frames = st.lists(st.builds(Frame, st.sampled_from(KINDS), st.binary(max_size=300)), max_size=8)


def encoded(some: list[Frame]) -> bytes:
    return b"".join(frames.encode(*frame) for frame in some)


@given(any_frames, st.data())
def test_frames_cut_anywhere_arrive_as_sent(sent: list[Frame], data: st.DataObject) -> None:
    stream = encoded(sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=10)))
    decoder, got = Decoder(), []
    for start, end in itertools.pairwise([0, *cuts, len(stream)]):
        got += list(decoder.feed(stream[start:end]))
    assert got == sent
    assert decoder.pending == 0


@given(any_frames)
def test_frames_arrive_byte_by_byte_too(sent: list[Frame]) -> None:
    decoder = Decoder()
    got = [frame for byte in encoded(sent) for frame in decoder.feed(bytes([byte]))]
    assert got == sent


@given(st.binary(max_size=500))
def test_random_bytes_are_frames_or_a_clear_error(data: bytes) -> None:
    decoder, fault = Decoder(limit=64), "none"
    decoder.push(data)
    try:
        while (frame := decoder.pull()) is not None:
            assert frame.kind in KINDS
            assert len(frame.payload) <= 64
    except FrameError as error:
        fault = str(error)
    assert fault == "none" or fault.startswith(("Unknown frame type ", "Command too long ("))
    assert fault != "none" or decoder.pending < 64 + 6


@pytest.mark.parametrize(
    ("length", "kind", "head"), [(0, 1, 4), (65_535, frames.SHORT, 4), (65_536, frames.LONG, 6), (70_000, 2, 6)]
)
def test_text_takes_the_smallest_frame_that_holds_it(length: int, kind: int, head: int) -> None:
    data = frames.encode_text("x" * length)
    assert len(data) == head + length
    assert list(Decoder().feed(data)) == [Frame(kind, b"x" * length)]


def test_it_is_bytes_that_count_not_characters() -> None:
    (frame,) = Decoder().feed(frames.encode_text("é" * 40_000))
    assert frame == Frame(frames.LONG, "é".encode() * 40_000)


@given(st.text(max_size=200))
def test_any_text_is_a_valid_utf_8_frame(text: str) -> None:
    (frame,) = Decoder().feed(frames.encode_text(text))
    assert frame.payload.decode() == text


def test_half_a_character_becomes_a_question_mark() -> None:
    (frame,) = Decoder().feed(frames.encode_text("a\udcffb"))
    assert frame.payload == b"a?b"


@pytest.mark.parametrize("behind", [b"", b"\x00", frames.encode(frames.SHORT, b"pid")])
def test_lone_short_frame_is_recognized(behind: bytes) -> None:
    whole = frames.encode(frames.SHORT, b"version")
    assert frames.only_frame(whole + behind) == (None if behind else b"version")
    assert all(frames.only_frame(whole[:cut]) is None for cut in range(len(whole)))
    assert frames.only_frame(frames.encode(frames.LONG, b"version")) is None


def test_the_worked_examples() -> None:
    assert frames.encode_text("version").hex(" ") == "00 01 00 07 76 65 72 73 69 6f 6e"
    assert frames.encode_text("x" * 70_000)[:6].hex(" ") == "00 02 00 01 11 70"


def test_a_long_frame_may_hold_little() -> None:
    assert list(Decoder().feed(bytes.fromhex("0002 00000003 706964"))) == [Frame(frames.LONG, b"pid")]


@pytest.mark.parametrize("header", ["0001 0065", "0002 00000065", "0011 ffffffff"])
def test_frame_too_long_is_refused_at_its_header(header: str) -> None:
    length = int(header.split()[1], 16)
    with pytest.raises(FrameError, match=rf"Command too long \({length} bytes, limit 100\)"):
        list(Decoder(limit=100).feed(bytes.fromhex(header)))


def test_what_is_just_not_too_long_is_taken() -> None:
    assert list(Decoder(limit=100).feed(frames.encode(frames.LONG, bytes(100)))) == [Frame(frames.LONG, bytes(100))]


@pytest.mark.parametrize("kind", [0, 3, 15, 20, 0x4745, 0xFFFF])
def test_unknown_type_is_refused_before_its_length_arrives(kind: int) -> None:
    with pytest.raises(FrameError, match=f"Unknown frame type {kind}$"):
        list(Decoder().feed(kind.to_bytes(2)))


def test_frames_before_a_broken_one_come_first() -> None:
    decoder = Decoder()
    decoder.push(frames.encode_text("pid") + b"\xff\xff")
    assert decoder.pull() == Frame(frames.SHORT, b"pid")
    with pytest.raises(FrameError):
        decoder.pull()


def test_bytes_are_accepted_whether_frames_are_pulled() -> None:
    decoder = Decoder()
    decoder.push(frames.encode_text("pid"))
    assert decoder.pending == 7
    decoder.push(frames.encode_text("version"))
    assert [decoder.pull(), decoder.pull(), decoder.pull()] == [
        Frame(frames.SHORT, b"pid"),
        Frame(frames.SHORT, b"version"),
        None,
    ]
