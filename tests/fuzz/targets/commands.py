"""Command lines: their words, their normal form, and the secrets in them."""

from eccmgr.commands.normal_form import NormalForm, normal_form
from eccmgr.commands.secrets import without_secrets
from eccmgr.errors import UsageError
from eccmgr.text.words import fold, join, quote, split
from tests.fuzz.target import fuzzed, in_two, text_of

_SECRET = "s3cret9"
_WORDS = (
    *(b"config set ", b"Datasource:x: ", b"cluster ", b"uri ", b"broadcast ", b"gather --timeout 5 @all ", b"json "),
    *(b"unicast east1 ", b"subcluster broadcast east ", b"sched in 5 ", b"sched every '1 2 3 4 5' ", b"retrieve "),
    *(
        b'"',
        b"'",
        b"\\",
        b"\\ ",
        b"=",
        b" -- ",
        b"exec:t x --password=s3cret9",
        b"redis://u:s3cret9@h",
        b"\t",
        b"\xc2\xa0",
    ),
)


@fuzzed(UsageError, words=(b'"', b"'", b"\\", b" ", b"\\\\", b'\\"', "\u2028".encode(), b"\x85", b"\t"))
def command_words(data: bytes) -> None:
    """Words that are quoted are split into the same words, and folding changes nothing that is folded."""
    line = text_of(data)
    words = [word.text for word in split(line)]
    assert [word.text for word in split(" ".join(map(quote, words)))] == words
    folded = fold(line)
    assert [word.text for word in split(folded)] == words
    assert fold(folded) == folded
    if len(words) > 1:
        assert [word.text for word in split(join(words))] == words


@fuzzed(UsageError, words=_WORDS)
def command_normal_form(data: bytes) -> None:
    """A normal form is one line, and its own normal form."""
    form = str(normal_form(text_of(data)))
    assert len(form.splitlines()) <= 1
    assert str(normal_form(form)) == form


@fuzzed(words=_WORDS)
def command_secrets(data: bytes) -> None:
    """Whatever stands around a command that sets a secret: its masked line is one line, and holds no secret."""
    before, behind = map(text_of, in_two(data))
    line = f"{before}config set Datasource:x: password {_SECRET}{behind}"
    masked = without_secrets(line)
    assert len(masked.splitlines()) == 1
    try:
        form: NormalForm | None = normal_form(line)
    except UsageError:
        return
    while form is not None and form.carried is not None:
        form = form.carried
    if form is not None and form.name == "config set" and form.arguments[1:] == ("password", _SECRET):
        assert _SECRET not in masked, masked
