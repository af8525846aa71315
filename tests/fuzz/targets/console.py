"""The data that a console may send: frames, requests, command lines."""

from eccmgr.commands.secrets import without_secrets
from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.request import BadRequest, ConsoleRequest
from eccmgr.errors import EccmgrError, FrameError, UsageError
from eccmgr.hostport import read_host_port
from eccmgr.patterns import Pattern, PatternError
from eccmgr.redis.address import RedisAddress
from eccmgr.words import fold, join, quote, split
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


@fuzzed(UsageError, words=(b'"', b"'", b"\\", b" ", b"\\\\", b'\\"', "\u2028".encode(), b"\x85", b"\t"))
def command_words(data: bytes) -> None:
    """Splitting quoted words gives the same words again, and folding a folded line changes nothing."""
    line = text_of(data)
    words = [word.text for word in split(line)]
    assert [word.text for word in split(" ".join(map(quote, words)))] == words
    folded = fold(line)
    assert [word.text for word in split(folded)] == words
    assert fold(folded) == folded
    if len(words) > 1:
        assert [word.text for word in split(join(words))] == words


@fuzzed(
    words=(b"config set ", b"cluster", b"uri", b"Datasource:x:", b"=", b"broadcast ", b"gather --timeout 5 @all ", b'"')
)
def command_secrets(data: bytes) -> None:
    """Masking takes any line."""
    without_secrets(text_of(data))


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
