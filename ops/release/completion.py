"""Writes the completions of all programs, as the shells look for them: `python -m ops.release.completion FOLDER`.

FOLDER is a `share` folder. Each completion asks its program, so it is always as new as that.
"""

import os
import subprocess
import sys
from pathlib import Path

from ops.release.programs import programs

_PLACES = {
    "bash": "bash-completion/completions/{name}",
    "zsh": "zsh/vendor-completions/_{name}",
    "fish": "fish/vendor_completions.d/{name}.fish",
}


def completion(name: str, place: str, shell: str) -> str:
    """The script by which `shell` completes the words of a program."""
    module, _, function = place.partition(":")
    code = f"import sys; sys.argv = ['{name}']; from {module} import {function}; {function}()"
    variable = f"_{name.upper()}_COMPLETE"
    environment = {**os.environ, variable: f"source_{shell}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if variable not in done.stdout:
        raise SystemExit(f"{name} gave no completion for {shell}: {done.stderr}")
    return done.stdout.lstrip("\n")


if __name__ == "__main__":
    for name, place in programs().items():
        for shell, form in _PLACES.items():
            target = Path(sys.argv[1]) / form.format(name=name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(completion(name, place, shell))
