"""`ec_console` on a terminal: prompt, completion, history, and an operator's mistakes."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.daemons import OWN_USER, Processes, ask_sync
from tests.screens import OnTerminal
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")


def test_it_greets_prompts_answers_and_leaves(terminals: OnTerminal, processes: Processes) -> None:
    endpoint = processes.manager().endpoint
    terminal = terminals(endpoint)
    terminal.wait_for("# eccmgr version: ")
    terminal.wait_for(f" {endpoint}>")
    assert terminal.say("foo") == "Unknown command: 'foo'. Type help for a list."
    assert terminal.say("broadcast") == "Usage: broadcast COMMAND"
    assert terminal.say("help").endswith("leave the console (so does Ctrl-D); Ctrl-C ends a wait")
    terminal.type("quit\r")
    assert terminal.end() == 0


@pytest.mark.parametrize("term", ["weird-9000", "dumb", ""])
def test_a_strange_terminal_does_not_break_it(terminals: OnTerminal, processes: Processes, term: str) -> None:
    terminal = terminals(processes.manager().endpoint, TERM=term)
    terminal.wait_for("# eccmgr version: ")
    terminal.wait_prompt()
    assert "Usage: version" in terminal.say("help version")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_tab_completes_commands_nodes_and_subclusters(terminals: OnTerminal, processes: Processes) -> None:
    processes.node("pono7", "oahu")
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    for typed, shown in [
        ("unica\t", "unicast"),
        ("po\t", "unicast pono7"),
        ("upt\t", "unicast pono7 uptime"),
    ]:
        terminal.type(typed)
        terminal.wait_for(f"> {shown}")
    terminal.type("\x03")
    terminal.wait_prompt()
    terminal.type("gather @oa\t")
    terminal.wait_for("> gather @oahu")
    terminal.type("\x03")
    terminal.wait_prompt()
    terminal.type("\x04")
    assert terminal.end() == 0


def test_gather_shows_nodes_once_and_header_last(terminals: OnTerminal, processes: Processes) -> None:
    for name in ("east1", "east2"):
        processes.node(name)
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    first, *lines, header, last = terminal.say("gather cluster nodename").splitlines()
    assert first == f"{header.split()[1]} for 2 nodes"
    assert sorted(lines) == ["east1: east1", "east2: east2"]
    assert last.startswith("= 2 ok, no two alike; median ")
    assert header.endswith("2 of 2 answered")
    assert terminal.say("retrieve cluster nodename").splitlines() == [header, "east1: east1", "east2: east2"]


def test_what_was_typed_is_there_the_next_time(terminals: OnTerminal, processes: Processes) -> None:
    endpoint = processes.manager().endpoint
    first = terminals(endpoint)
    first.wait_prompt()
    first.say("help version")
    first.type("\x04")
    assert first.end() == 0
    second = terminals(endpoint)
    second.wait_prompt()
    second.type("\x1b[A")
    second.wait_for("> help version")


HOSTILE = "\x1b]0;pwned\x07 \x1b[2J \x9b2J \u202etxt \u2066x \u200b \u2028west1 \U000e0041 \b\b"
SEQUENCES = [each.encode() for each in HOSTILE.split(" ")]


def test_no_answer_steers_the_terminal(terminals: OnTerminal, processes: Processes, folder: Path) -> None:
    program, pager, paged = folder / "hostile", folder / "pager", folder / "paged"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{HOSTILE}'\nseq 1 \"$1\"\n")
    pager.write_text(f"#!/bin/sh\ncat > {paged}.new; mv {paged}.new {paged}\n")
    for each in (program, pager):
        each.chmod(0o755)
    (folder / "node.conf").write_text(
        f'exec "t" {{ commands = [ run = "{program}" ] arguments = [ run = "[0-9]+" ] }}\n'
    )
    node = processes.node("east1", "default", "-c", str(folder / "node.conf"))
    manager = processes.manager()
    for endpoint, paging, forms in (
        (
            manager.endpoint,
            "retrieve exec:t run 1000",
            ["gather exec:t run 1", "retrieve exec:t run 1", "xml gather exec:t run 1"],
        ),
        (node.endpoint, "exec:t run 1000", ["exec:t run 1", "json exec:t run 1"]),
    ):
        terminal = terminals(endpoint)
        terminal.wait_prompt()
        for line in forms:
            assert "pwned" in terminal.say(line)
        terminal.say(f"\\pager {pager}")
        ask_sync(manager.endpoint, "gather exec:t run 1000")
        terminal.type(f"{paging}\r")
        wait_until_sync(paged.exists, "the pager has the answer")
        terminal.wait_prompt()
        terminal.type("\x04")
        assert terminal.end() == 0
        batches = [terminals(option, endpoint, forms[0]) for option in ("--fold", "--json")]
        assert [batch.end() for batch in batches] == [0, 0]
        shown = b"".join((paged.read_bytes(), terminal.raw, *(batch.raw for batch in batches)))
        assert [sequence for sequence in SEQUENCES if sequence in shown] == []
        assert b"^[]0;pwned^G" in paged.read_bytes()
        paged.unlink()


def test_no_secret_reaches_the_history_file(terminals: OnTerminal, processes: Processes, folder: Path) -> None:
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    for line in ("con\\fig 'set' a_password = S3CR3T", "broadcast config set Datasource d uri S3CR3T", "help version"):
        terminal.say(line)
    terminal.type("\x04")
    assert terminal.end() == 0
    kept = (folder / "state" / "eccmgr" / "console_history").read_text()
    assert "S3CR3T" not in kept
    assert "+broadcast config set Datasource d uri ********" in kept
    assert "+help version" in kept


def test_restarted_manager_is_found_again(terminals: OnTerminal, processes: Processes) -> None:
    manager = processes.manager()
    terminal = terminals(manager.endpoint)
    terminal.wait_prompt()
    manager.end()
    assert "Cannot connect to" in terminal.say("help version")
    processes.manager()
    assert "Usage: version" in terminal.say("help version")


def test_interrupt_ends_the_wait_not_the_console(terminals: OnTerminal, processes: Processes) -> None:
    processes.node("east1")
    paused = processes.node("east2")
    terminal = terminals(processes.manager().endpoint)
    terminal.wait_prompt()
    paused.popen.send_signal(signal.SIGSTOP)
    try:
        terminal.type("gather pid\r")
        terminal.wait_for("east1: ")
        os.killpg(terminal.process.pid, signal.SIGINT)
        terminal.wait_for("Waiting no longer")
        assert re.search(r"^(\w{12}) goes on: attach \1, retrieve \1, abort \1$", terminal.text, re.MULTILINE)
    finally:
        paused.popen.send_signal(signal.SIGCONT)
    terminal.wait_prompt()
    assert "Usage: version" in terminal.say("help version")


def test_long_answers_use_a_pager_on_request(terminals: OnTerminal, processes: Processes) -> None:
    terminal = terminals(processes.manager().endpoint, LINES="5")
    terminal.wait_prompt()
    assert terminal.say("\\pager head -n 1") == "Long answers go through head -n 1"
    assert terminal.say("help").count("\n") == 0
    assert terminal.say("help pod") == "Unknown command: 'pod'. Type help for a list."
    assert terminal.say("\\pager /no/such/program") == "Long answers go through /no/such/program"
    assert "The pager does not run: " in terminal.say("help")
    assert terminal.say("\\pager") == "No pager"
    assert terminal.say("\\frob").startswith("Unknown: '\\frob'")


def test_without_a_manager_it_says_so_and_ends(terminals: OnTerminal, folder: Path) -> None:
    terminal = terminals(folder / "nobody")
    terminal.wait_for("Cannot connect to")
    assert terminal.end() == 4


def test_console_whose_user_may_do_little_works(terminals: OnTerminal, processes: Processes, folder: Path) -> None:
    main = folder / "main.conf"
    role = f'Authorization {{ Role "{OWN_USER}" {{ allow = ( "^pid$" ) }} }}'
    main.write_text(f"Control_Listener {{ Enable_Authorization = true }}\n{role}\n")
    terminal = terminals(processes.manager("barca", "-c", str(main)).endpoint)
    terminal.wait_prompt()
    assert "Not Authorized" not in terminal.text
    terminal.type("pi\t")
    terminal.wait_for("> pi")
    terminal.type("d\r")
    wait_until_sync(lambda: terminal.prompts == 2, "an answer")
    assert re.search(r"\n\d+\n", terminal.text)
    assert terminal.say("uptime") == "Not Authorized for this command"
    terminal.type("quit\r")
    assert terminal.end() == 0
