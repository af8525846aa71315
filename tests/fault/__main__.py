"""`make fault`: a long run. SEED and FAULTS come from the environment."""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from eccmgr.redis.scripts import load_all
from tests.fault.battle import Battle, BrokenPromise


def main() -> int:
    """Return 0 if every promise was kept; else 1, and keep the logs."""
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    faults = int(os.environ.get("FAULTS") or 1000)
    load_all()
    folder = Path(tempfile.mkdtemp(prefix="ecc-"))
    print(f"seed {seed}, {faults} faults, in {folder}", flush=True)
    began = time.monotonic()
    battle = Battle(folder, seed, faults)
    try:
        asyncio.run(battle.run(say=True))
    except BrokenPromise as error:
        print(f"{error}\nthe logs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(battle.by_kind)
    print(f"seed {seed}: every promise was kept: {battle.summary}, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
