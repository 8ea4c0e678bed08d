"""Reading a config: plain data in training/configs, with changes from the command line."""

from __future__ import annotations

import ast
import copy
import difflib
import importlib
from pathlib import Path
from typing import Any

from training import augment, datasets, preprocess

CONFIGS = Path(__file__).parent / "configs"
REQUIRED = ("name", "model", "dataset", "epochs", "optimizer", "paper")
DEFAULTS: dict[str, Any] = {
    "model_args": {},
    "card": {},
    "dataset_args": {},
    "preprocess": "standardize",
    "augment": [],
    "batch_size": 128,
    "train_examples": None,  # the first so many; None: all
    "examples_per_epoch": None,  # drawn in rounds; None: each once
    "schedule": None,  # a class of keras.optimizers.schedules; counts of steps are given in epochs
    "label_smoothing": 0.0,
    "ema_momentum": None,
    "precision": "float32",
    "jit_compile": "auto",
    "workers": 2,  # threads that prepare batches; with 1, TensorFlow tunes the pipeline and ends each epoch late
    "checkpoint_every": 5,
    "evaluate_batch": 500,
    "changes": [],  # what the command line changed, as given
}
COUNTS_OF_STEPS = ("decay_steps", "warmup_steps", "first_decay_steps", "boundaries")


def list_configs() -> list[str]:
    """The names of all configs."""
    return sorted(path.stem for path in CONFIGS.glob("*.py") if not path.stem.startswith("_"))


def load_config(name: str, changes: list[str] | None = None) -> dict[str, Any]:
    """A config by name, with `key=value` changes; a key may be dotted, a value is a Python literal or else a string.

    Raises:
        ValueError: if there is no such config or key, or a change is not of that form.
    """
    name = Path(name).stem
    if name not in list_configs():
        close = difflib.get_close_matches(name, list_configs(), n=3)
        hint = f" Close names: {', '.join(close)}." if close else ""
        raise ValueError(f"There is no config {name!r}.{hint} There are {', '.join(list_configs())}.")
    config = {**DEFAULTS, **copy.deepcopy(importlib.import_module(f"training.configs.{name}").CONFIG)}
    for change in changes or []:
        key, separator, text = change.partition("=")
        if not separator:
            raise ValueError(f"A change has the form key=value, got {change!r}.")
        _set(config, key.split("."), _literal(text), change)
    config["changes"] = list(changes or [])
    check(config)
    return config


def check(config: dict[str, Any]) -> None:
    """Raises ValueError that names the first entry of a config that is not understood."""
    name = config.get("name", "config")
    missing = [key for key in REQUIRED if key not in config]
    unknown = sorted(set(config) - set(REQUIRED) - set(DEFAULTS) - {"seed"})
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
        raise ValueError(f"{name}: the config {' and '.join(parts)}.")
    for key in ("epochs", "batch_size", "checkpoint_every", "evaluate_batch", "workers"):
        _check_count(name, key, config[key])
    for key in ("train_examples", "examples_per_epoch"):
        if config[key] is not None:
            _check_count(name, key, config[key])
    if config["preprocess"] not in preprocess.METHODS:
        raise ValueError(f"{name}: preprocess is one of {', '.join(preprocess.METHODS)}, got {config['preprocess']!r}.")
    datasets.info(config["dataset"])
    augment.check(config["augment"])


def in_steps(schedule: dict[str, Any], steps_per_epoch: int) -> dict[str, Any]:
    """A schedule whose counts of steps, given in epochs, are in steps."""

    def convert(value):
        return [convert(v) for v in value] if isinstance(value, (list, tuple)) else round(value * steps_per_epoch)

    arguments = {k: convert(v) if k in COUNTS_OF_STEPS else v for k, v in schedule["config"].items()}
    return {**schedule, "config": arguments}


def _check_count(name: str, key: str, value) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: {key} is a positive int, got {value!r}.")


def _set(config: dict[str, Any], path: list[str], value, change: str) -> None:
    *parents, last = path
    for parent in parents:
        if not isinstance(config.get(parent), dict):
            raise ValueError(f"{change!r}: the config has no section {parent!r}.")
        config = config[parent]
    if last not in config and not parents:
        raise ValueError(f"{change!r}: the config has no {last!r}; it has {', '.join(sorted(config))}.")
    config[last] = value


def _literal(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
