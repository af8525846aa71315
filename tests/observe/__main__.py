"""`make observe`: a real fault for each alert. The alert has to fire, and to clear once the fault is mended.

ONLY=Name,… plays the faults of these alerts alone.
"""

import asyncio
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from eccmgr.redis.scripts import load_all
from tests.observe.faults import WAVES, ObservedFault, stop_cleanly
from tests.observe.watched import RULES, WatchedSite, watched_site

FIRES_S, CLEARS_S = 240.0, 240.0
_LOOK_S = 0.25


async def fault_is_seen(site: WatchedSite, fault: ObservedFault) -> list[str]:
    """Play a fault; answers what went wrong, and prints a line for each of its alerts."""
    fired: dict[str, float | None] = {}
    async with fault.strike(site):
        began = time.monotonic()
        for alert, moment in zip(fault.alerts, await _each(site, fault.alerts, True, FIRES_S), strict=True):
            fired[alert] = None if moment is None else moment - began
    mended = time.monotonic()
    wrong = []
    for alert, moment in zip(fault.alerts, await _each(site, fault.alerts, False, CLEARS_S), strict=True):
        after = fired[alert]
        how = "did not fire" if after is None else f"fired after {after:5.1f} s"
        then = "did not clear" if moment is None else f"cleared after {moment - mended:5.1f} s"
        print(f"{alert:<16} {how}, {then}   {fault.about}", flush=True)
        if after is None or moment is None:
            wrong.append(alert)
    return wrong


async def _each(site: WatchedSite, alerts: Iterable[str], fires: bool, limit_s: float) -> list[float | None]:
    return await asyncio.gather(*(_moment(site, alert, fires, limit_s) for alert in alerts))


async def _moment(site: WatchedSite, alert: str, fires: bool, limit_s: float) -> float | None:
    """When an alert begins or ceases to fire; None if that takes too long."""
    deadline = time.monotonic() + limit_s
    while await site.fires(alert) is not fires:
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(_LOOK_S)
    return time.monotonic()


async def campaign(folder: Path, only: frozenset[str]) -> list[str]:
    """Play all faults; answers the alerts that failed."""
    wrong: list[str] = []
    async with watched_site(folder) as site:
        for wave in WAVES:
            played = [fault for fault in wave if not only or only & set(fault.alerts)]
            for failed in await asyncio.gather(*(fault_is_seen(site, fault) for fault in played)):
                wrong += failed
    return wrong


def main() -> int:
    """Return 0 if each alert fired and cleared."""
    if shutil.which("prometheus") is None:
        print("Prometheus is not installed: apt install prometheus", file=sys.stderr)
        return 2
    named = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert named == {alert for wave in WAVES for fault in wave for alert in fault.alerts}, "a fault for each alert"
    load_all()
    stop_cleanly()
    only = frozenset(word for word in os.environ.get("ONLY", "").split(",") if word)
    folder = Path(tempfile.mkdtemp(prefix="ecc-observe-"))
    wrong = asyncio.run(campaign(folder, only))
    left = psutil.Process().children(recursive=True)
    assert not left, f"processes left: {left}"
    if wrong:
        print(f"{', '.join(wrong)} failed; the logs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
