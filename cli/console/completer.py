"""The Tab key: what may follow the line typed so far. It comes from what the console knows; no key press waits for the
daemon."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from cli.console.node_names import Offer
from cli.console.own_commands import OwnCommands
from eccmgr.cluster.names import natural
from eccmgr.text.target_words import last_operand
from eccmgr.text.words import quote

if TYPE_CHECKING:
    from cli.console.lexicon import Lexicon

Ask = Callable[[str], Sequence[str]]
"""Gives what the daemon says may follow a line; it may wait, so it is asked once for each place in a line."""


class LexiconCompleter(Completer):
    """Completes from the lexicon; a daemon that does not describe its commands is asked itself."""

    def __init__(self, lexicon: "Callable[[], Lexicon | None]", ask: Ask, own: OwnCommands) -> None:
        self._lexicon, self._ask, self._own = lexicon, ask, own

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """The words that fit at the cursor."""
        line = document.text_before_cursor
        for typed, offer in self._offers(line):
            if offer.text.isprintable():
                text = f"{offer.text} " if offer.whole else offer.text
                yield Completion(text, -typed, display=offer.shown or offer.text, display_meta=offer.remark or None)

    def _offers(self, line: str) -> Iterator[tuple[int, Offer]]:
        """The offers, each with the number of typed characters that it replaces."""
        own, command, behind = self._own.split(line)
        if not own:
            yield from self._of_daemon(line)
        elif not behind:
            yield from ((len(line), offer) for offer in self._own.offers(line))
        elif (carried := self._own.carried(line)) is not None:
            yield from self._of_daemon(carried)
        elif command is not None:
            typed = line.split()[-1] if not line[-1].isspace() else ""
            yield from ((len(typed), Offer(word)) for word in command.words if word.startswith(typed))

    def _of_daemon(self, line: str) -> Iterator[tuple[int, Offer]]:
        lexicon = self._lexicon()
        if lexicon is None:
            typed = "" if not line or line[-1].isspace() else line.split()[-1]
            yield from ((len(typed), Offer(word)) for word in self._ask(line))
            return
        # Imported only here: the console starts sooner without the table of commands.
        from eccmgr.commands.completion import ANY_NODE, expected

        part, words = expected(lexicon.table, line, lexicon.known(self._of_configuration))
        candidates = set(words)
        targets, nodes = "@all" in candidates, ANY_NODE in candidates
        if nodes and lexicon.nodes is None:
            yield from ((len(part), Offer(word)) for word in self._ask(line))
            return
        head, operand = last_operand(part) if targets else ("", part)
        if targets and lexicon.nodes is not None and "[" in operand:
            yield from ((len(operand), offer) for offer in lexicon.nodes.set_offers(operand))
            return
        if head:
            candidates = {*lexicon.tags, *(word for word in candidates if word.startswith("@"))}
        lower = operand.lower()
        fitting = sorted((word for word in candidates - {ANY_NODE} if word.lower().startswith(lower)), key=natural)
        yield from ((len(operand), Offer(word)) for word in fitting)
        if nodes and lexicon.nodes is not None:
            yield from ((len(operand), offer) for offer in lexicon.nodes.offers(operand))

    def _of_configuration(self, command: str, words: Sequence[str]) -> list[str]:
        """What may follow in a `config` command. Only the daemon knows its configuration."""
        return list(self._ask(" ".join(("config", command, *map(quote, words[:-1]), ""))))
