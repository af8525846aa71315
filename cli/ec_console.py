"""The command line of `ec_console`, the operator's console."""

import functools
import os
import signal
import sys
from collections.abc import Mapping

from cli import terminal
from cli.console import arguments
from cli.console.arguments import ListenerPlace
from cli.console.batch import Batch
from cli.console.following import FollowingClient
from eccmgr.commands.answer import Exit
from eccmgr.control.client.session import WayThere
from eccmgr.errors import UsageError
from eccmgr.text.unseen import visible_line


def main() -> None:
    """The program's entry point."""
    terminal.run("ec_console", _main)


def _main() -> int:
    try:
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(words: list[str]) -> int:
    try:
        asked = arguments.parse(words, os.environ)
    except UsageError as error:
        sys.stderr.write(f"ec_console: {visible_line(str(error))}\n")
        return Exit.USAGE
    interactive = asked.command is None and sys.stdin.isatty() and sys.stdout.isatty()
    first, *others = (_way(place, asked.files) for place in (ListenerPlace(asked.endpoint, asked.route), *asked.others))
    client = FollowingClient(first.endpoint, asked.server_user, script=not interactive, dial=first.dial, others=others)
    try:
        if asked.command == "top":
            from cli.top.application import main as show_top

            return show_top(client, color=asked.color)
        if interactive:
            from cli.console.interactive import Interactive
            from cli.console.screen import harmless_screen

            with harmless_screen():
                return Interactive(client, asked).run()
        # A user who ends a wait is told how the command goes on.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _frame: sys.exit(128 + number))
        batch = Batch(client, asked)
        return batch.run(asked.command) if asked.command is not None else batch.run_lines(sys.stdin.buffer)
    finally:
        client.close()


def _way(place: ListenerPlace, files: Mapping[str, str]) -> WayThere:
    if not place.route:
        return WayThere(place.endpoint)
    from cli.console.password import ask_password
    from eccmgr.control.client.dialing import Dialer, Route

    route = Route.parse(place.route)
    password = functools.partial(ask_password, route.user, os.environ.get("ECCMGR_PASSWORD_FILE"))
    return WayThere(place.endpoint, Dialer(route, password, **files).connect)


if __name__ == "__main__":
    main()
