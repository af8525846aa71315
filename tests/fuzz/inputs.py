"""Inputs for a target if no engine watches its branches: kept inputs, words of its grammar, and any other bytes."""

from hypothesis import strategies as st

from tests.fuzz.target import LONGEST, FuzzTarget

_ANYTHING = (
    b"\0",
    b"\xff",
    b"\n",
    b"\r\n",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"9" * 30,
    b"9" * 5000,
    b"-1",
    b"nan",
    b"",
)


def inputs(target: FuzzTarget) -> st.SearchStrategy[bytes]:
    """Kept inputs with pieces cut out, put in or repeated; sequences of words; any bytes; any text."""
    kept = [path.read_bytes() for path in target.corpus] or [b""]
    piece = st.sampled_from((*target.words, *_ANYTHING)) | st.binary(max_size=6)
    words = st.lists(piece, max_size=12).map(b"".join)
    return _changed(kept, piece) | words | st.binary(max_size=200) | st.text(max_size=60).map(str.encode)


@st.composite
def _changed(draw: st.DrawFn, kept: list[bytes], piece: st.SearchStrategy[bytes]) -> bytes:
    data = bytearray(draw(st.sampled_from(kept)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data[start:end] = draw(piece | st.just(bytes(data[start:end]) * 2))
    return bytes(data[: 4 * LONGEST])
