"""`make soak`: sends commands and checks that nothing grows. COMMANDS and LIMIT_S come from the environment."""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from eccmgr.redis.scripts import load_all
from tests.soak.soak import Soak
from tests.soak.verdict import grown, growth

_LIMIT_S = 600.0


def main() -> int:
    """Return 0 if nothing grew; else 1, and keep the logs."""
    commands = int(os.environ.get("COMMANDS") or 100_000)
    limit_s = float(os.environ.get("LIMIT_S") or _LIMIT_S)
    load_all()
    folder = Path(tempfile.mkdtemp(prefix="ecc-"))
    soak = Soak(folder, commands, limit_s)
    print(f"{commands} commands, at most {limit_s:.0f} s, in {folder}", flush=True)
    asyncio.run(soak.run(lambda line: print(line, flush=True)))
    faults = grown(soak.samples) + [f"{key} has no lifetime" for key in sorted(set(soak.immortal))]
    for what in ("manager", "node", "redis", "keys", "descriptors"):
        before, after = growth(soak.samples, what)
        print(f"{what}: {before:.0f} in the second quarter, {after:.0f} in the last")
    if faults:
        print("\n".join(faults), f"the logs are in {folder}", sep="\n", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(f"nothing grew in {soak.given} commands over {soak.connections} connections")
    return 0


if __name__ == "__main__":
    sys.exit(main())
