"""`make fault-logs`: a long run. SEED, FAULTS, SITE and LIMIT_S come from the environment."""

import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.fault.logs.campaign import Campaign
from tests.fault.logs.sites import SITES


def main() -> int:
    """Return 0 if every line came once; else 1, and keep the files."""
    # So that a frozen disk thaws, also if the run is ended from outside: what touches such a disk hangs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed, faults = os.environ.get("SEED") or secrets.token_hex(4), int(os.environ.get("FAULTS") or 1000)
    sites = [os.environ["SITE"]] if os.environ.get("SITE") else list(SITES)
    return max(_play(site, seed, faults if site == sites[0] else faults // 10) for site in sites)


def _play(site: str, seed: str, faults: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="ecc-"))
    print(f"site {site}, seed {seed}, {faults} faults, in {folder}", flush=True)
    began = time.monotonic()
    campaign = Campaign(SITES[site], folder, seed, faults, float(os.environ.get("LIMIT_S") or "inf"))
    try:
        campaign.run(say=True)
    except AssertionError as error:
        again = f"make fault-logs SITE={site} SEED={seed} FAULTS={faults}"
        print(f"{error}\nthe files are in {folder}; {again}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(f"site {site}, seed {seed}: every line came once: {campaign.summary}, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
