"""python -m benchmarks layers|models|inference|scaling|start|memory|formats|precision [--rounds N]

Each writes benchmarks/results/NAME-BACKEND.csv, for the backend of KERAS_BACKEND, on a GPU NAME-BACKEND-gpu.csv, case
by case as they are measured. Nothing else should be running.
`python -m benchmarks.write_docs` makes the tables of docs/benchmarks.md of what is there.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measure, results

COMMANDS = {
    "layers": measure.layers,
    "models": measure.models,
    "inference": measure.inference,
    "scaling": measure.scaling,
    "start": measure.start,
    "memory": measure.memory,
    "formats": measure.formats,
    "precision": measure.precision,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--rounds", type=int, default=30, help="timings of each, in turns (default: %(default)s)")
    parser.add_argument("--only", default="", help="only the cases whose names contain this; the rest stays")
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="where the CSV goes")
    options = parser.parse_args(arguments)
    name, rows = f"{options.what}-{results.engine()}", []
    measured = COMMANDS[options.what](options.rounds, options.only)
    for _, found in itertools.groupby(measured, key=lambda row: row["case"]):
        rows += found
        results.write(name, rows, options.results, keep=True)
    if not rows:
        parser.error(f"no case contains {options.only!r}")
    print(results.write(name, rows, options.results, keep=bool(options.only)))


if __name__ == "__main__":
    main()
