"""A module as somebody else would write it: `acme "NAME" { greeting = "…" }` gives nodes `acme:NAME greet WHO`."""

from eccmgr.modules import Module, OptionSpec, OptionType, command


class Acme(Module):
    """Greets."""

    scope = "acme"
    brief = "greets whoever is named"
    options = (OptionSpec("greeting", OptionType.TEXT, "hello", "the word that it greets with"),)

    async def start(self) -> None:
        """Refuse what nobody should say."""
        if self.context.settings.text("greeting") == "boo":
            raise RuntimeError("that is not kind")

    @command("greet", "greet somebody", idempotent=True)
    async def greet(self, who: str = "you") -> str:
        """`hello ann`."""
        return f"{self.context.settings.text('greeting')} {who}"

    @command("crash", "fail as a program does that has a fault")
    def crash(self) -> str:
        """Never returns."""
        return str({}["missing"])
