"""The prompt of `ec_console` on terminals of three widths: completion, hints, its own commands, pasted lines, a manager
that goes and comes back."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.screens import PROMPT, OnTerminal, Terminal
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

WIDTHS = pytest.mark.parametrize("columns", [60, 80, 160])
CTRL_C, CTRL_D, CTRL_U, CTRL_Z = "\x03", "\x04", "\x15", "\x1a"


def pasted(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


def small(terminals: OnTerminal, manager: Process, columns: int = 80) -> Terminal:
    """A console on a terminal of 24 lines that shows a prompt."""
    terminal = terminals(manager.endpoint, columns=columns, lines=24)
    terminal.wait_prompt()
    return terminal


def last_lines(terminal: Terminal) -> list[str]:
    """The lines from the last prompt on."""
    lines = terminal.text.split("\n")
    begins = [number for number, line in enumerate(lines) if PROMPT.match(line)]
    return lines[begins[-1] :] if begins else lines


@WIDTHS
def test_hint_stands_under_the_line(terminals: OnTerminal, processes: Processes, columns: int) -> None:
    terminal = small(terminals, processes.manager(), columns)
    terminal.type("preview @a")
    terminal.wait_for("sends nothing")
    assert "preview TARGET" in last_lines(terminal)[1]
    terminal.type(CTRL_C + "prewiev")
    terminal.wait_for("Did you mean preview?")
    terminal.type("\r")
    terminal.wait_for("Unknown command: 'prewiev'")
    wait_until_sync(lambda: len(last_lines(terminal)) == 1, "the hint is gone")


@WIDTHS
def test_new_nodes_are_completed_unasked(terminals: OnTerminal, processes: Processes, columns: int) -> None:
    manager = processes.manager()
    terminal = small(terminals, manager, columns)
    for name in ("east2", "east10", "east1"):
        processes.node(name, "east")

    def offered() -> list[str]:
        terminal.type(f"{CTRL_U}unicast \t")
        wait_until_sync(lambda: len(last_lines(terminal)) > 1, "a menu or a hint")
        return re.findall(r"\beast\d+", "\n".join(last_lines(terminal)[1:]))

    wait_until_sync(lambda: offered() == ["east1", "east2", "east10"], "the nodes are offered in natural order")

    def offers_ranges() -> bool:
        terminal.type(f"{CTRL_U}preview east[\t")
        wait_until_sync(lambda: len(last_lines(terminal)) > 1, "a menu or a hint")
        return "1-2,10]" in terminal.text

    wait_until_sync(offers_ranges, "the ranges are offered")
    terminal.type(f"{CTRL_U}preview east[1-2,10]\r")
    terminal.wait_for("(3 nodes)")


def test_prompt_shows_when_it_is_cut_off(terminals: OnTerminal, processes: Processes) -> None:
    manager = processes.manager()
    terminal = small(terminals, manager, 160)
    terminal.type("preview @all")
    manager.end()
    terminal.wait_for(f"{manager.endpoint}? preview @all")
    terminal.wait_for("Cut off. Cannot connect")
    processes.manager()
    terminal.wait_for(f"{manager.endpoint}> preview @all")
    assert f"Connected again to {manager.endpoint}" in terminal.text
    processes.node("east1")
    terminal.type("\r")
    terminal.wait_for("east1  (1 node)")


def test_prompt_names_the_next_manager(terminals: OnTerminal, processes: Processes) -> None:
    first, second = processes.manager("barca"), processes.manager("genua")
    terminal = terminals(EC_CONSOLE_ENDPOINT=f"{first.endpoint},{second.endpoint}")
    terminal.wait_for(f"{first.endpoint}>")
    terminal.type("help versi")
    first.end()
    terminal.wait_for(f"{second.endpoint}> help versi")
    terminal.type("on\r")
    terminal.wait_for("Usage: version")


@WIDTHS
def test_pasted_lines_run_only_on_request(terminals: OnTerminal, processes: Processes, columns: int) -> None:
    terminal = small(terminals, processes.manager(), columns)
    terminal.type(pasted("help version\nfrobnicate\nhelp pid\n"))
    terminal.wait_for("Run these 3 lines one by one? [y/N]")
    terminal.type("n\r")
    terminal.wait_for("Nothing was run")
    assert "Usage: version" not in terminal.text
    terminal.type(pasted("help version\nfrobnicate\nhelp pid\n"))
    wait_until_sync(lambda: terminal.text.count("[y/N]") == 2, "it asks again")
    terminal.type("y\r")
    terminal.wait_for("Not run after that: 1 line")
    assert "Usage: version" in terminal.text
    assert "Usage: pid" not in terminal.text
    terminal.type("\x1b[A")
    terminal.wait_for("> frobnicate")


def test_last_gather_goes_anew_to_failed_nodes(terminals: OnTerminal, processes: Processes, folder: Path) -> None:
    (folder / "east2.conf").write_text('exec "t" { commands = [ run = "/bin/false" ] }\n')
    (folder / "east1.conf").write_text('exec "t" { commands = [ run = "/bin/true" ] }\n')
    for name in ("east1", "east2"):
        processes.node(name, "east", "-c", str(folder / f"{name}.conf"))
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    assert terminal.say("\\again") == "No gather was sent from here yet"
    terminal.say("gather --timeout 20 @east exec:t run")
    assert terminal.say("\\again lost").startswith("Nothing to send anew: of the 2 nodes of ")
    assert terminal.say("\\again some") == "Usage: \\again [failed|lost|silent|skipped]"
    shown, line, *answers = terminal.say("\\again failed").splitlines()
    assert re.fullmatch(r"Anew, under a new id, to 1 of 2 nodes of \w{12} \(1 failed\):", shown)
    assert line == "gather --timeout 20 east2 -- exec:t run"
    assert any(answer.startswith("east2: failed: ") for answer in answers)
    [header] = (answer for answer in answers if answer.startswith("# "))
    assert re.match(r"# \w{12}  exec:t run  \S+  1 of 1 answered, 1 failed", header)
    assert header.split()[1] not in shown


def test_changed_answers_are_found(terminals: OnTerminal, processes: Processes, folder: Path) -> None:
    said = folder / "said"
    said.write_text("one\n")
    (folder / "node.conf").write_text(f'exec "t" {{ commands = [ run = "/bin/cat {said}" ] }}\n')
    for name in ("east1", "east2"):
        processes.node(name, "east", "-c", str(folder / "node.conf"))
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    terminal.say("gather exec:t run")
    assert re.fullmatch(r"No run of the same command before \w{12} is kept", terminal.say("\\compare"))
    said.write_text("two\n")
    terminal.say("gather exec:t run")
    head, change = terminal.say("\\compare").splitlines()
    assert re.fullmatch(r"\w{12} against \w{12}: 2 of 2 nodes changed", head)
    assert change == "east[1-2]: one  →  two"


@WIDTHS
def test_watch_redraws_in_place(terminals: OnTerminal, processes: Processes, columns: int) -> None:
    processes.node("east1")
    terminal = small(terminals, processes.manager(), columns)
    terminal.type("\\watch 0.5 gather uptime\r")
    terminal.wait_for("* east1: up ")
    wait_until_sync(lambda: "  1 changed" in terminal.text, "it says how much changed")
    assert terminal.text.count("east1: up ") == 1
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.wait_prompt()
    terminal.type("\\watch broadcast shutdown\r")
    terminal.wait_for("\\watch repeats nothing that asks before it runs")


def test_own_commands_change_what_is_shown(terminals: OnTerminal, processes: Processes) -> None:
    for name in ("east1", "east2"):
        processes.node(name)
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    assert re.search(r"\n\(\d+\.\d{3} s\)$", terminal.say("\\timing") and terminal.say("version"))
    assert terminal.say("\\timing off") == "Timing is off"
    terminal.say("\\fold on")
    assert "\neast[1-2]: No modules are loaded" in terminal.say("gather module list")
    terminal.say("\\json")
    assert terminal.say("preview @all").startswith('{"command": "preview @all", "status": "ok"')
    assert terminal.say("\\history MODULE") == "gather module list"
    assert terminal.say("\\histroy").startswith("Unknown: '\\histroy'. Did you mean \\history?")
    assert "\\again [failed|lost|silent|skipped]" in terminal.say("\\help")


def test_keys_of_vi_are_understood(terminals: OnTerminal, processes: Processes) -> None:
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    terminal.say("\\vi")
    terminal.type("version\x1b0ihelp ")
    terminal.wait_for("> help version")
    terminal.type("\r")
    terminal.wait_for("Usage: version")


def test_stopped_console_comes_back(terminals: OnTerminal, processes: Processes, folder: Path) -> None:
    manager = processes.manager()
    shell = Terminal(["bash", "--norc", "--noprofile", "-i"], 100, 24, PS1="shell# ", XDG_STATE_HOME=str(folder))
    try:
        shell.type(f"cd {ROOT}; {sys.executable} -m cli.ec_console {manager.endpoint}\r")
        shell.wait_for(f" {manager.endpoint}>")
        shell.type("help versi" + CTRL_Z)
        shell.wait_for("Stopped")
        shell.type("fg\r")
        wait_until_sync(lambda: last_lines(shell)[0].endswith("> help versi"), "the line is there again")
        shell.type("on\r")
        shell.wait_for("Usage: version")
        shell.wait_prompt()
        shell.type(CTRL_D)
        wait_until_sync(lambda: shell.text.endswith("shell#"), "the shell has the terminal")
        shell.type("exit\r")
    finally:
        shell.end()
    assert "Traceback" not in shell.raw.decode(errors="replace")


def test_interrupt_at_the_prompt_drops_the_line(terminals: OnTerminal, processes: Processes) -> None:
    manager = processes.manager()
    terminal = terminals(manager.endpoint)
    terminal.wait_prompt()
    terminal.type(f"broadcast shutdown{CTRL_C}")
    wait_until_sync(lambda: terminal.prompts == 2, "another prompt")
    terminal.wait_prompt()
    assert "Usage: version" in terminal.say("help version")
    assert "no command" in ask_sync(manager.endpoint, "history").lower()
    terminal.type(CTRL_D)
    assert terminal.end() == 0
