"""`make fault-logs`: a long run. SEED and FAULTS come from the environment."""

import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.fault.logs.campaign import Campaign


def main() -> int:
    """Return 0 if every line came once; else 1, and keep the files."""
    seed, faults = os.environ.get("SEED") or secrets.token_hex(4), int(os.environ.get("FAULTS") or 1000)
    folder = Path(tempfile.mkdtemp(prefix="ecc-"))
    print(f"seed {seed}, {faults} faults, in {folder}", flush=True)
    began = time.monotonic()
    campaign = Campaign(folder, seed, faults)
    try:
        campaign.run(say=True)
    except AssertionError as error:
        print(f"{error}\nthe files are in {folder}; make fault-logs SEED={seed} FAULTS={faults}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(f"seed {seed}: every line came once: {campaign.summary}, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
