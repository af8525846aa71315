"""Writes the programs of pyproject.toml for an interpreter: `python -m ops.release.programs FOLDER INTERPRETER`."""

import sys
import tomllib
from pathlib import Path

_PROGRAM = """#!{interpreter}
import sys

from {module} import {function}

sys.exit({function}())
"""


def programs() -> dict[str, str]:
    """The place of each program's function, `MODULE:FUNCTION`, by the program's name."""
    with (Path(__file__).resolve().parents[2] / "pyproject.toml").open("rb") as file:
        return dict(tomllib.load(file)["project"]["scripts"])


def write_programs(folder: Path, interpreter: str) -> None:
    """Write a file for each program."""
    for name, place in programs().items():
        module, _, function = place.partition(":")
        program = folder / name
        program.write_text(_PROGRAM.format(interpreter=interpreter, module=module, function=function))
        program.chmod(0o755)


if __name__ == "__main__":
    write_programs(Path(sys.argv[1]), sys.argv[2])
