"""The pager for long answers."""

import os
import shlex
import shutil
import subprocess

from eccmgr.text.unseen import visible_lines

_PAGER = "less -FRX"


class Pager:
    """A program that shows answers which are longer than the screen; off at first."""

    def __init__(self) -> None:
        self.program = ""

    def turn(self, program: str) -> str:
        """Use `program`, or turn the pager on or off without one; answers what holds now."""
        turned_off = bool(self.program) and not program
        self.program = "" if turned_off else program or os.environ.get("PAGER") or _PAGER
        return f"Long answers go through {self.program}" if self.program else "No pager"

    def takes(self, text: str) -> bool:
        """Whether `text` is to be shown by the pager."""
        return bool(self.program) and text.count("\n") >= shutil.get_terminal_size().lines - 1

    def show(self, text: str) -> None:
        """Show `text`. Raises OSError and ValueError if the program does not run."""
        try:
            # A pager passes control characters on, at least the escapes of colours.
            shown = visible_lines(text)
            subprocess.run(shlex.split(self.program), input=shown, text=True, errors="replace", check=False)  # noqa: S603
        except KeyboardInterrupt:
            pass
