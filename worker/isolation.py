"""Child processes that run a module of ours, isolated from the folder and the environment that they are started in.

A child may have more rights than whoever can write into the working folder: no file there takes a module's place.
"""

import contextlib
import os
import sys
from pathlib import Path

_BESIDE = str(Path(__file__).resolve().parents[1])
"""Where our packages lie."""

# The standard library comes first, then our packages; only then what else this process would find.
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


def isolated(module: str, *arguments: str, others: bool = True) -> list[str]:
    """The command that runs `module` of one of our packages as a program, in Python's isolated mode.

    It finds the standard library and our packages, and the packages of `others` that this process finds.
    """
    places = [_BESIDE, *(_places_of_others() if others else ())]
    bytecode = ["-B"] if sys.dont_write_bytecode else []
    flags = ["-I", "-S", *bytecode, "-c", _START]
    return [sys.executable, *flags, ":".join(places), "site" if others else "", module, *arguments]


def _places_of_others() -> list[str]:
    """This process's search path without the working folder, which comes last where PYTHONPATH names it in full."""
    found = [place for place in sys.path if Path(place).is_absolute()]
    named = [place for place in os.environ.get("PYTHONPATH", "").split(":") if Path(place).is_absolute()]
    elsewhere = [place for place in found if not _is_working_folder(place)]
    return [*elsewhere, *filter(_is_working_folder, named)]


def _is_working_folder(place: str) -> bool:
    # Either may have been deleted.
    with contextlib.suppress(OSError):
        return Path(place).samefile(os.curdir)
    return False
