"""A sample of a third party's module: `acme "NAME" { greeting = "…" }` gives nodes `acme:NAME greet WHO`."""

from eccmgr.modules import Module, OptionSpec, OptionType, command


class Acme(Module):
    """Greets people."""

    scope = "acme"
    brief = "greets whoever is named"
    options = (OptionSpec("greeting", OptionType.TEXT, "hello", "the word that it greets with"),)

    async def start(self) -> None:
        """Refuse an unsuitable greeting."""
        if self.context.settings.text("greeting") == "boo":
            raise RuntimeError("that is not kind")

    @command("greet", "greet somebody", idempotent=True)
    async def greet(self, who: str = "you") -> str:
        """Answer `hello ann`."""
        return f"{self.context.settings.text('greeting')} {who}"

    @command("crash", "fail as a program does that has a fault")
    def crash(self) -> str:
        """Wait for ever."""
        return str({}["missing"])
