"""What runs measured: a file in training/results/ for each, from which tables, cards and manifest are made."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from training.checkpoints import write_json
from training.config import complete, recipe

RESULTS = Path(__file__).parent / "results"


def record(result: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Keeps the result of a finished run; one of the same name, changes and seed is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run_name(result['name'], result['changes'])}-seed{result['seed']}.json"
    write_json(path, result)
    return path


def results_of(config: dict[str, Any], folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The results of all seeds of a config, as `load_config` gives it with its changes, in the order of the seeds.

    Results of another recipe, of before the config was edited, are none of them.

    Raises:
        ValueError: that names a file which is no result.
    """
    found, wanted = [], recipe(config)
    for path in folder.glob("*.json"):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            same = result["name"] == config["name"] and sorted(result["changes"]) == sorted(config["changes"])
            same = same and recipe(complete(result["recipe"])) == wanted
            int(result["seed"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no result of a run ({error!r}).") from None
        if same:
            found.append(result)
    return sorted(found, key=lambda result: result["seed"])


def run_name(name: str, changes: list[str] | tuple[str, ...] = ()) -> str:
    """A name for the runs of a config, told from those with other changes and fit for a file."""
    return "-".join([name, *(re.sub(r"[^\w.+-]+", "_", change) for change in sorted(changes))])


def scores(result: dict[str, Any]) -> dict[str, float]:
    """The scores among the entries of a result, `test_error` or `test_dice`, as fractions of 1."""
    return {key: value for key, value in result.items() if key.startswith("test_") and isinstance(value, float)}


def mean_and_spread(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None where there is only one."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
