"""Starts the guardian: `python -m worker.guardian --agent FD [--charter FD] [--exec PROGRAM] [--lock FILE]`.

Only the parent starts it. This module does the work that needs root's rights, then drops the rights.
"""

import argparse
import os
import signal
import socket
import sys
from pathlib import Path

from eccmgr.host.streams import fill_descriptors
from eccmgr.host.undumpable import hide_memory
from worker.guardian.charter import Charter, read_charter
from worker.guardian.ending import EndingFailed, Way
from worker.guardian.hands import EndSession
from worker.guardian.process import Process, log
from worker.guardian.rights import Alone, NotAlone, drop_rights, lock_path, stay_prompt
from worker.guardian.wire import Ending


def main() -> int:
    """Serve one agent until it is gone."""
    fill_descriptors()
    parser = argparse.ArgumentParser(prog="guardian")
    parser.add_argument("--agent", type=int, required=True, help="the descriptor of the socket that leads to the agent")
    parser.add_argument("--charter", type=int, default=-1, help="the descriptor of what the guardian may do")
    parser.add_argument("--exec", default="", help="the program that the plumber `exec` runs")
    parser.add_argument("--lock", type=Path, help="where the host's lock is")
    options = parser.parse_args()
    # Ctrl-C and a stop of the service reach the agent too. The guardian stays until the agent has ended in good order.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stay_prompt()
    agent = socket.socket(fileno=options.agent)
    agent.set_inheritable(False)
    charter = read_charter(options.charter) if options.charter >= 0 else Charter()
    if charter.server is not None and charter.server.password:
        hide_memory()
    alone = Alone(options.lock or lock_path())
    process = Process(agent, charter, options.exec, alone, _way_to_redis(charter))
    try:
        if os.geteuid() == 0:
            drop_rights()
        process.run()
    except (OSError, NotAlone) as error:
        process.end_unfit(str(error))
        log("guardian ends", level="error", reason=str(error))
        return 1
    return 0


def _way_to_redis(charter: Charter) -> EndSession:
    """The function that ends sessions on the charter's server. If a file for the way to Redis cannot be read, it raises
    that later, and the guardian serves."""
    way, fault = None, "no Redis was named at the start"
    if charter.server is not None:
        try:
            way = Way(charter.server)
        except OSError as error:
            fault = str(error)

    def end(ending: Ending, arguments: tuple[str, ...]) -> None:
        server = charter.server_of(ending)
        if server is None or way is None:
            raise EndingFailed(fault)
        way.end_session(server, ending, arguments)

    return end


if __name__ == "__main__":
    sys.exit(main())
