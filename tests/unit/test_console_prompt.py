"""The prompt: completion from what the console knows, hints, keys, and pasted lines."""

from collections.abc import Callable, Sequence

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from cli.console.completer import LexiconCompleter
from cli.console.hints import Hint, hint
from cli.console.keeping import LexiconKeeper
from cli.console.lexicon import Lexicon, table_of
from cli.console.names_heard import NamesHeard
from cli.console.node_names import NodeNames
from cli.console.own_commands import OwnCommand, OwnCommands, switched
from cli.console.prompt import Pasted, Prompt, PromptState, Typed
from eccmgr.commands.table import Table, command_facts
from eccmgr.config.live.store import Store
from eccmgr.control.client.session import Client
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import UsageError
from eccmgr.manager import Manager
from eccmgr.settings import ManagerSettings
from eccmgr.text.target_words import last_operand

FLEET = [*(f"east{n}" for n in (*range(1, 9), *range(10, 77))), "West1", "west2"]


@pytest.fixture(scope="module")
def table() -> Table:
    """A manager's commands, as a console reads them."""
    listed = Manager(ManagerSettings(redis="redis://127.0.0.1:1/0"), Store()).table.listed()
    read = table_of({"commands": [command_facts(command) for command in listed]})
    assert read is not None
    return read


def own(handler: Callable[[str], None] = lambda _text: None) -> OwnCommands:
    return OwnCommands(
        [
            OwnCommand("\\watch", "[S] [COMMAND]", "again and again", handler, takes_command=True),
            OwnCommand("\\fold", "on|off", "identical answers once", handler, ("on", "off")),
        ]
    )


def words(
    lexicon: Lexicon | None, line: str, ask: Callable[[str], Sequence[str]] = lambda _line: pytest.fail("it asked")
) -> list[str]:
    """The line after each of the completions of `line`."""
    completer = LexiconCompleter(lambda: lexicon, ask, own())
    found = completer.get_completions(Document(line), CompleteEvent())
    return [line[: len(line) + completion.start_position] + completion.text for completion in found]


@pytest.fixture(scope="module")
def lexicon(table: Table) -> Lexicon:
    return Lexicon(table, NodeNames(FLEET), ("east", "west"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("unica", ["unicast "]),
        ("unicast W", ["unicast West1 ", "unicast west2 "]),
        ("unicast east7", ["unicast east7 ", *(f"unicast east{n} " for n in range(70, 77))]),
        ("gather @e", ["gather @east "]),
        ("gather @west,@e", ["gather @west,@east "]),
        ("gather @east!w", ["gather @east!West1 ", "gather @east!west2 "]),
        ("gather west2 upt", ["gather west2 uptime "]),
        ("json unicast west2 upt", ["json unicast west2 uptime "]),
        ("preview east[", ["preview east[1-8,10-76] ", "preview east[1-8", "preview east[10-76"]),
        ("preview east[1-8,", ["preview east[1-8,10-76"]),
        ("preview east[70", ["preview east[70] ", "preview east[70"]),
        ("preview east[3-", ["preview east[3-8", "preview east[3-76"]),
        ("preview nobody[", []),
        ("\\fo", ["\\fold"]),
        ("\\fold o", ["\\fold on ", "\\fold off "]),
        ("\\watch unica", ["\\watch unicast "]),
        ("\\watch 5 unica", ["\\watch 5 unicast "]),
    ],
)
def test_completion_comes_from_what_is_known(lexicon: Lexicon, line: str, found: list[str]) -> None:
    assert [word.rstrip() for word in words(lexicon, line)] == [word.rstrip() for word in found]


def test_names_are_completed_in_natural_order(lexicon: Lexicon) -> None:
    assert words(lexicon, "unicast ea") == [f"unicast {name} " for name in FLEET if name.startswith("east")]


def test_ten_thousand_names_are_all_reached(table: Table) -> None:
    fleet = Lexicon(table, NodeNames(f"node{n}" for n in range(1, 10_001)))
    reached, open_lines = set[str](), ["unicast n"]
    while open_lines:
        for line in words(fleet, open_lines.pop()):
            if line.endswith(" "):
                reached.add(line.split()[1])
            else:
                open_lines.append(line)
    assert len(reached) == 10_000
    assert words(fleet, "unicast n") == ["unicast node"]
    assert len(words(fleet, "unicast node1")) == 11


def test_only_the_daemon_completes_its_configuration(lexicon: Lexicon) -> None:
    asked = list[str]()

    def ask(line: str) -> list[str]:
        asked.append(line)
        return ["lease", "lag"]

    assert words(lexicon, "config set cluster le", ask) == ["config set cluster lease "]
    assert asked == ["config set cluster "]


def test_old_daemon_is_asked_itself() -> None:
    assert table_of({"body": "no table"}) is None
    assert table_of({"commands": [{"name": 7}]}) is None
    assert words(None, "uni", lambda line: ["unicast"] if line == "uni" else []) == ["unicast "]


@pytest.mark.parametrize(
    ("target", "parts"),
    [("east[1,2", ("", "east[1,2")), ("@a&(b!c", ("@a&(b!", "c")), ("a[1-2],", ("a[1-2],", "")), ("", ("", ""))],
)
def test_last_operand_of_a_target(target: str, parts: tuple[str, str]) -> None:
    assert last_operand(target) == parts


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("preview", "preview TARGET"),
        ("prev", "preview TARGET"),
        ("json preview @al", "preview TARGET"),
        ("subcluster ", "broadcast  retrieve"),
        ("prewiev", "Did you mean preview?"),
        ("subcluster brodcast", "Did you mean subcluster broadcast?"),
        ("shutdwon", ""),
        ("cluster duravip", "cluster commands run on nodes: gather cluster …"),
        ("sieve:s1 flush", ""),
        ("\\wat", "\\watch"),
        ("\\watch 5", "\\watch [S] [COMMAND]"),
        ("\\watch preview", "preview TARGET"),
        ("\\watch 5 preview", "preview TARGET"),
        ("\\flod", "Did you mean \\fold?"),
        ("", ""),
    ],
)
def test_hint_says_usage_or_what_was_meant(table: Table, line: str, first: str) -> None:
    assert hint(line, table, own()).first == first


def test_cut_off_prompt_has_a_question_mark() -> None:
    def shown(state: PromptState) -> str:
        return "".join(text for _, text, *_ in state.fragments())

    assert shown(PromptState("12:41:10", "/tmp/2025")) == "12:41:10 /tmp/2025> "
    assert shown(PromptState("12:41:10", "/tmp/2025", cut_off=True)) == "12:41:10 /tmp/2025? "


def test_mistyped_own_command_says_what_is_right() -> None:
    def handler(text: str) -> None:
        switched(text, now=False)

    with pytest.raises(UsageError, match=r"^Unknown: '\\wacht'. Did you mean \\watch\? "):
        own().run("\\wacht 5")
    with pytest.raises(UsageError, match=r"^Usage: \\fold on\|off$"):
        own(handler).run("\\fold sideways")


def typed(keys: str, editor: str = "emacs") -> Typed:
    """What the prompt reads of `keys`."""
    with create_pipe_input() as terminal:
        prompt = Prompt(
            lambda: PromptState("12:41:10", "/tmp/2025"),
            lambda _line: Hint("usage", "brief"),
            LexiconCompleter(lambda: None, lambda _line: (), own()),
            InMemoryHistory(),
            terminal_input=terminal,
            output=DummyOutput(),
        )
        prompt.edit_like(editor)
        terminal.send_text(keys)
        return prompt.read()


def pasted(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


def test_pasted_lines_are_handed_on_unrun() -> None:
    assert typed(f"gather {pasted(chr(10).join(['pid', '', ' uptime ', '']))}") == Pasted(("gather pid", "uptime"))
    assert typed(pasted("pid\r\nuptime\r\n")) == Pasted(("pid", "uptime"))


def test_one_pasted_line_waits_for_enter() -> None:
    assert typed(f"{pasted('gather pid' + chr(10))} \r") == "gather pid"


def test_keys_are_those_of_the_chosen_editor() -> None:
    assert typed("pid x\x17\x15uptime\r") == "uptime"
    assert typed("pid\x1bbcwuptime\r", "vi") == "uptime"


@pytest.mark.parametrize(
    "event",
    [
        {"event": "feed"},
        {"event": "feed", "topic": "members", "full": True, "gone": 7, "items": [{}]},
        {"event": "resync"},
    ],
)
def test_strange_feed_harms_nobody(event: dict[str, object]) -> None:
    keeper = LexiconKeeper(Client(Endpoint(path="/nowhere")).twin)
    keeper._hear(event)
    assert keeper.lexicon is None
    keeper.close()


def test_names_follow_the_feed(table: Table) -> None:
    heard = NamesHeard()
    item = {"name": "East1", "subcluster": "east", "tags": {"role": "mta"}}
    later = {**item, "name": "east2", "lease_age_ms": 7}
    for full, items, gone in ((True, [item], []), (False, [later], []), (False, [], ["east1"])):
        heard.take({"event": "feed", "topic": "members", "full": full, "items": items, "gone": gone})
    lexicon = heard.lexicon(table)
    assert words(lexicon, "unicast ") == ["unicast east2 "]
    assert words(lexicon, "gather @r") == ["gather @role:mta "]
    heard.take(
        {"event": "feed", "topic": "members", "full": False, "items": [{**later, "lease_age_ms": 8}], "gone": []}
    )
    assert heard.lexicon(table) is lexicon
