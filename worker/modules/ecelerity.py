"""The bridge: it passes commands that the node does not know to a program on the same host that speaks the control
protocol."""

import pwd
from collections.abc import Iterable

from eccmgr.commands.answer import Format
from eccmgr.commands.table import Command, Param
from eccmgr.config.live.effective import ScopeView
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import SettingsError
from eccmgr.modules import Answer, Call, CommandError, ConfigError, Context, Module, OptionSpec, OptionType
from worker.modules.far_end import FarEnd, FarEndError, FarTerms


class Ecelerity(Module):
    """The bridge of a node: with it an existing mail node joins the cluster unchanged."""

    scope = "ecelerity"
    brief = "passes commands that the node does not know to a program that speaks the control protocol"
    singleton = True
    options = (
        OptionSpec("control", OptionType.ENDPOINT, "/tmp/2025", "where that program listens", locked=True),  # noqa: S108
        OptionSpec(
            "connections", OptionType.INTEGER, "4", "commands that it is given at once; further ones wait", 1, 100
        ),
        OptionSpec("timeout", OptionType.SECONDS, "60", "seconds that it may take to answer", 0.1, 86400),
        OptionSpec("keep", OptionType.SECONDS, "30", "seconds for which an idle connection is kept", 0, 3600),
        OptionSpec("answer_limit", OptionType.BYTES, "32MiB", "the longest answer that is taken", 1024, 1 << 30),
        OptionSpec(
            "user", OptionType.TEXT, None, "the user, besides root and the node's, who may serve control", locked=True
        ),
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings = context.settings
        terms = FarTerms(
            settings.integer("connections"),
            settings.seconds("timeout"),
            settings.seconds("keep"),
            settings.integer("answer_limit"),
            _uid_of(settings.text("user")),
        )
        self._far_end = FarEnd(Endpoint.parse(settings.text("control") or ""), terms)

    @classmethod
    def check(cls, settings: ScopeView) -> None:
        """Check that the endpoint and the user make sense. The far end may start later."""
        _uid_of(settings.text("user"))
        try:
            Endpoint.parse(settings.text("control") or "")
        except SettingsError as error:
            raise ConfigError(str(error)) from None

    def commands(self) -> Iterable[Command]:
        """The command `ecelerity COMMAND`, which reaches the far end also with a command that the node knows."""
        brief = "the answer of the program behind the bridge, even to a COMMAND that this node knows"
        yield Command(self.context.name, brief, self.unknown, (Param("COMMAND", rest=True),))

    async def unknown(self, call: Call) -> Answer:
        """Pass the command to the far end; answers the far end's answer."""
        asks_for_xml = call.caller.form is Format.XML
        line = f"xml {call.args[0]}" if asks_for_xml else call.args[0]
        try:
            text = await self._far_end.ask(line)
        except FarEndError as error:
            raise CommandError(f"{self.scope}: {error}") from error
        return Answer(text, is_xml=asks_for_xml)

    async def stop(self) -> None:
        """Close the kept connections to the far end."""
        self._far_end.close()


def _uid_of(user: str | None) -> int | None:
    """The uid of a user's name, or of a number: in a container, a user of the host may have no name."""
    if user is None or user.isdecimal():
        return None if user is None else int(user[:10])
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError(f"no user '{user}' on this host") from None
