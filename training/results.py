"""What runs measured: a file in training/results/ for each, from which tables, cards and manifest are made."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from training.checkpoints import write_json

RESULTS = Path(__file__).parent / "results"


def record(result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Keeps the result of a finished run; one of the same name, changes and seed is replaced."""
    path = folder / f"{run_name(result['name'], result['changes'])}-seed{result['seed']}.json"
    write_json(path, result)
    return path


def results_of(name: str, changes: list[str] | tuple[str, ...] = (), folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The results of all seeds of a config, with some entries changed, in the order of the seeds."""
    found = []
    for path in folder.glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["name"] == name and sorted(result["changes"]) == sorted(changes):
            found.append(result)
    return sorted(found, key=lambda result: result["seed"])


def run_name(name: str, changes: list[str] | tuple[str, ...] = ()) -> str:
    """A name for the runs of a config, told from those with other changes and fit for a file."""
    return "-".join([name, *(re.sub(r"[^\w.]+", "_", change) for change in sorted(changes))])


def scores(result: dict[str, Any]) -> dict[str, float]:
    """The scores among the entries of a result, `test_error` or `test_dice`, as fractions of 1."""
    return {key: value for key, value in result.items() if key.startswith("test_") and isinstance(value, float)}


def mean_and_spread(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None where there is only one."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
