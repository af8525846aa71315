"""Runs a module of ours in a child process that is isolated from its working folder and its environment.

A child may have more rights than a user who can write into the working folder. So no file there may take the place of a
module.
"""

import contextlib
import os
import sys
from pathlib import Path

from eccmgr.host.log_lines import FORMAT

CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
"""The whole environment of a program that has other rights than we have, or that an operator names."""

_OF_THIS_PROCESS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY")
_BESIDE = str(Path(__file__).resolve().parents[1])
"""The folder of our packages."""

# The search path: first the standard library, then our packages, then the packages that only this process finds.
_START = """\
import sys
places, with_site, module = sys.argv[1:4]
del sys.argv[1:4]
sys.path += [place for place in places.split(":") if place not in sys.path]
if with_site:
    import site
    site.main()
from runpy import run_module
run_module(module, run_name="__main__", alter_sys=True)
"""


def without_settings() -> dict[str, str]:
    """This process's environment for a child that gets its settings in another way. It lacks our settings but the form
    of the log, and the variables that concern this process alone."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == FORMAT or not (name.upper().startswith("ECCMGR_") or name in _OF_THIS_PROCESS)
    }


def isolated(module: str, *arguments: str, others: bool = True) -> list[str]:
    """The command that runs `module` of one of our packages as a program, in Python's isolated mode.

    The program finds the standard library, our packages, and with `others` the packages that this process finds.
    """
    places = [_BESIDE, *(_places_of_others() if others else ())]
    bytecode = ["-B"] if sys.dont_write_bytecode else []
    flags = ["-I", "-S", *bytecode, "-c", _START]
    return [sys.executable, *flags, ":".join(places), "site" if others else "", module, *arguments]


def _places_of_others() -> list[str]:
    """This process's search path without the working folder. If PYTHONPATH names that folder in full, it comes last."""
    found = [place for place in sys.path if Path(place).is_absolute()]
    named = [place for place in os.environ.get("PYTHONPATH", "").split(":") if Path(place).is_absolute()]
    elsewhere = [place for place in found if not _is_working_folder(place)]
    return [*elsewhere, *filter(_is_working_folder, named)]


def _is_working_folder(place: str) -> bool:
    # Either folder may have been deleted.
    with contextlib.suppress(OSError):
        return Path(place).samefile(os.curdir)
    return False
