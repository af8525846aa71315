"""Runs every benchmark, or those named on the command line, and prints each figure beside its floor and its target.

`--json` prints the bare figures.
"""

import importlib
import json
import sys

from ops.bench.table import Row, render

BENCHMARKS = (
    *("configuration", "console", "folding", "gather", "logs", "memory", "peer", "placement", "prompt"),
    *("reconnect", "salt", "scale", "scripts", "signing", "startup", "targets", "web"),
)


def main() -> int:
    """Run the benchmarks; return the exit code: 0, or 2 if a benchmark named on the command line does not exist."""
    wanted = [name for name in sys.argv[1:] if name != "--json"] or BENCHMARKS
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}\n")
        return 2
    figures, rows = {}, list[Row]()
    for name in wanted:
        module = importlib.import_module(f"ops.bench.{name}")
        figures[name] = module.measure()
        rows += module.rows(figures[name])
    if "--json" in sys.argv:
        json.dump(figures, sys.stdout, indent=2)
    else:
        sys.stdout.write(render(rows))
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
