"""The data that a console may send: frames and requests. Also endpoints, URLs and patterns of operators."""

from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.request import BadRequest, ConsoleRequest
from eccmgr.errors import EccmgrError, FrameError
from eccmgr.redis.address import RedisAddress
from eccmgr.text.hostport import read_host_port
from eccmgr.text.patterns import Pattern, PatternError
from tests.fuzz.target import fuzzed, text_of


@fuzzed(FrameError, words=(b"\0\1", b"\0\2", b"\0\20", b"\0\21", b"\0\22", b"\0\23", b"\377\377\377\377"))
def control_frames(data: bytes) -> None:
    """However a stream is cut into pieces, the same frames come out, and encoding each gives the same bytes."""
    size = 1 + (data[0] if data else 0)
    whole, pieces = _decoded([data[1:]]), _decoded([data[at : at + size] for at in range(1, len(data), size)])
    assert whole == pieces
    for frame in whole:
        again = list(frames.Decoder().feed(frames.encode(frame.kind, frame.payload)))
        assert again == [frame]
    frames.only_frame(data)


def _decoded(pieces: list[bytes]) -> list[frames.Frame]:
    decoder, found = frames.Decoder(limit=1 << 16), []
    for piece in pieces:
        try:
            found += decoder.feed(piece)
        except FrameError:
            break
    return found


@fuzzed(BadRequest, words=(b'"id":', b'"command":', b'"format":"json"', b'"stream":true', b'"width":', b"\\ud800"))
def request_json(data: bytes) -> None:
    """An accepted request can be answered: its id fits into a frame, and its command can go to Redis."""
    try:
        request = ConsoleRequest.parse(data)
    except BadRequest as error:
        frames.encode(frames.RESULT, repr(error.id).encode())
        raise
    request.command.encode()


@fuzzed(words=(b"redis://", b"rediss+sentinel://", b"unix://", b"tls://", b"ssh://", b"[::1]:", b"%00", b"?db=", b"@"))
def addresses(data: bytes) -> None:
    """Texts that an operator types: an endpoint, a host with its port, a URL of Redis, a pattern."""
    text = text_of(data)
    for read in (Endpoint.parse, read_host_port, RedisAddress.parse, Pattern.parse):
        try:
            read(text)
        except (EccmgrError, PatternError):
            continue
        except ValueError:
            if read is not read_host_port:
                raise
