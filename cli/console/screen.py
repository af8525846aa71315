"""The terminal as prompt_toolkit writes to it: prompt, line, menus and full-screen views cannot be steered."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator

from prompt_toolkit.application import create_app_session
from prompt_toolkit.output.vt100 import Vt100_Output

from eccmgr.text.unseen import unseen_marked

_LINE_BREAKS = re.compile(r"([\r\n]+)")


class HarmlessOutput(Vt100_Output):
    """An output whose texts cannot steer the terminal. The library's own escapes take another way, `write_raw`."""

    def write(self, data: str) -> None:
        """Write `data` with a sign in place of each unseen character, so that it keeps its length."""
        # The library moves to the next line by these characters.
        pieces = _LINE_BREAKS.split(data)
        super().write("".join(piece if number % 2 else unseen_marked(piece) for number, piece in enumerate(pieces)))


@contextlib.contextmanager
def harmless_screen() -> Iterator[None]:
    """Let everything that prompt_toolkit shows within this context be harmless."""
    with create_app_session(output=HarmlessOutput.from_pty(sys.stdout, term=os.environ.get("TERM"))):
        yield
