"""A caller without a role reaches no program behind a node's bridge, whatever the node makes of the line."""

from pathlib import Path

import pytest

from tests.daemons import OWN_USER, Processes, ask_sync
from tests.integration.modules.old_program import OldProgram

pytestmark = pytest.mark.usefixtures("nothing_left")
NOT_AUTHORIZED = "Not Authorized for this command"
CONFIGURATION = """
Control_Listener {{ Enable_Authorization = true }}
Authorization {{ Role "{user}" {{ allow = ( "^uptime$" "^gather uptime$" ) }} }}
ecelerity {{ control = "{folder}/2025"  timeout = 5 }}
"""
LINES = (
    "summary",
    "SUMMARY",
    '"summary"',
    "xml summary",
    "json summary",
    "ecelerity summary",
    'ecelerity "summary"',
    "ecelerity xml summary",
    "ecelerity uptime",
    "ecelerity ecelerity summary",
    "uptime summary",
    "big",
)


def test_bridge_tells_a_limited_caller_nothing(processes: Processes, folder: Path) -> None:
    main = folder / "bridge.conf"
    main.write_text(CONFIGURATION.format(user=OWN_USER, folder=folder))
    with OldProgram(folder / "2025") as program:
        manager = processes.manager()
        node = processes.node("east1", "east", "-c", str(main))
        for line in LINES:
            assert NOT_AUTHORIZED in ask_sync(node.endpoint, line), line
            if not line.startswith("uptime"):
                assert NOT_AUTHORIZED in ask_sync(manager.endpoint, f"gather {line}"), line
        assert ask_sync(node.endpoint, "uptime").startswith("up ")
        assert program.told == []
