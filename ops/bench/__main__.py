"""Runs every benchmark, or those named on the command line, and prints the figures as JSON."""

import importlib
import json
import sys

BENCHMARKS = ("configuration", "console", "gather", "memory", "placement", "startup")


def main() -> int:
    """The exit code: 0, or 2 where a benchmark named on the command line does not exist."""
    wanted = sys.argv[1:] or BENCHMARKS
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}\n")
        return 2
    figures = {name: importlib.import_module(f"ops.bench.{name}").measure() for name in wanted}
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
