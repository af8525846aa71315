"""Reads commands that were sent, with their responses, as Redis keeps them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eccmgr.cluster import results
from eccmgr.cluster.authenticity import AnswerVerifier, SentVerifier
from eccmgr.cluster.calls import answers
from eccmgr.cluster.ids import named_id
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.publishing import digest
from eccmgr.cluster.results import Entry, Report, Sent
from eccmgr.cluster.roster import Roster, read_hash
from eccmgr.cluster.view import View
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.text.long_lines import off_loop


@dataclass(frozen=True)
class KeptCommand:
    """A command, the view that it expects, the present view, the nodes' entries, and the lease clock.

    `told` has the nodes that a command in batches was released to, each with the time until which it may begin.
    """

    sent: Sent
    then: View
    now: View
    entries: Mapping[str, Entry]
    clock_ms: int
    told: Mapping[str, int]

    def report(self) -> Report:
        """The report on every expected node."""
        return results.report(self.sent, self.then, self.now, self.entries, self.clock_ms, self.told)


class KeptCommands:
    """The commands of one cluster, for one manager."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        roster: Roster,
        verifier: SentVerifier,
        answer_verifier: AnswerVerifier,
        normal: Callable[[str], str],
    ) -> None:
        """`normal` brings all spellings of a command to one."""
        self._link = link
        self._keys = keys
        self._options = options
        self._roster = roster
        self._verifier = verifier
        self._answer_verifier = answer_verifier
        self._normal = normal

    async def retrieve(self, named: str) -> Report | None:
        """The report on the command that `named` means; see `read`."""
        kept = await self.read(named)
        return None if kept is None else kept.report()

    async def read(self, named: str) -> KeptCommand | None:
        """The latest command with the text `named`, or the command with that id. None if there is no such command.

        This takes one round trip, and one more for each page if the responses fill several pages.
        """
        command_id = named_id(named)
        named_by = await self.digest(named)
        kept = await self._link.run(
            answers.results(self._keys, self._options, command_id, named_by, self._roster.newest)
        )
        if kept is None:
            return None
        sent = kept.sent
        self._verifier.check(sent, lambda text: sent.id == command_id or digest(text, self._normal) == named_by)
        now = await self._roster.at(kept.view)
        then = now if sent.view == now.number else await self._roster.at(kept.view._replace(number=sent.view))
        entries = await self._answer_verifier.verified(sent, answers.entries(await self._whole(kept.responses)))
        return KeptCommand(sent, then, now, entries, kept.clock_ms, answers.plan(await self._whole(kept.plan)))

    async def plan(self, sent: Sent) -> Mapping[str, int]:
        """The nodes that `sent` was released to so far, each with the time until which it may begin."""
        return answers.plan(await read_hash(self._link, self._keys.plan(sent.id)))

    async def digest(self, text: str) -> str:
        """The digest under which Redis keeps the command `text`."""
        return await off_loop(lambda line: digest(line, self._normal), text)

    async def _whole(self, fields: dict[bytes, bytes] | str) -> dict[bytes, bytes]:
        """The fields of a hash as a script answered them. If the script answered only the key, this reads the hash page
        by page."""
        return await read_hash(self._link, fields) if isinstance(fields, str) else fields
