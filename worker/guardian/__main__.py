"""Starts the guardian: `python -m worker.guardian --agent FD [--exec PROGRAM] [--lock FILE]`. Only the parent calls
it."""

import argparse
import os
import signal
import socket
import sys
from pathlib import Path

from eccmgr.streams import fill_descriptors
from worker.guardian.process import Process, log
from worker.guardian.rights import NotAlone, drop_rights, stay_prompt


def main() -> int:
    """Serve one agent until it is gone."""
    fill_descriptors()
    parser = argparse.ArgumentParser(prog="guardian")
    parser.add_argument("--agent", type=int, required=True, help="the descriptor of the socket that leads to the agent")
    parser.add_argument("--exec", default="", help="the program that the plumber `exec` runs")
    parser.add_argument("--lock", type=Path, help="where the host's lock is")
    options = parser.parse_args()
    # Ctrl-C and a stop of the service reach the agent too. The guardian waits until the agent has ended in good order.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    stay_prompt()
    agent = socket.socket(fileno=options.agent)
    agent.set_inheritable(False)
    process = Process(agent, options.exec, options.lock)
    try:
        if os.geteuid() == 0:
            drop_rights()
        process.run()
    except (OSError, NotAlone) as error:
        process.end_unfit(str(error))
        log("guardian ends", level="error", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
