"""The node finds a module in its own distribution by the entry point, and the module's faults affect nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import ROOT, Process, Processes, ask_sync

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def node(processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A node with the sample distribution installed."""
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    source = folder / "source"
    source.mkdir()
    for each in (ROOT / "tests" / "sample_distribution").glob("*.*"):
        (source / each.name).write_bytes(each.read_bytes())
    subprocess.run([*pip, "--target", target, source], check=True)
    monkeypatch.setenv("PYTHONPATH", str(target))
    main = folder / "acme.conf"
    main.write_text('acme "one" { }\nacme "two" { greeting = "good day" }\n')
    return processes.node("east1", "east", "-c", str(main))


def test_it_is_found_configured_and_isolated(node: Process) -> None:
    def ask(command: str) -> str:
        return ask_sync(node.endpoint, command)

    assert ask("acme:one greet ann") == "hello ann"
    assert ask("acme:two greet") == "good day you"
    assert "Name: acme_eccmgr.Acme\n  Description: greets whoever is named" in ask("module list")
    assert "greeting  the word that it greets with" in ask("help config acme")
    assert "Usage: acme:one greet [WHO]" in ask("help acme:one greet")

    assert ask("config set acme one greeting hi") == "greeting = hi"
    assert ask("acme:one greet ann") == "hi ann"
    refused = ask("config set acme one greeting boo")
    assert "acme:one: RuntimeError: that is not kind (see the log)" in refused
    assert ask("acme:one greet ann") == "hi ann"

    assert ask("acme:one crash") == "Internal error: KeyError (see the log)"
    assert "KeyError: 'missing'" in node.log
    assert ask("acme:two greet") == "good day you"
    assert "Module acme-broken cannot be loaded: AttributeError" in ask("acme-broken:x y")
