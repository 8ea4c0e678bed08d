"""Reading a config: plain data in training/configs, with changes from the command line."""

from __future__ import annotations

import ast
import copy
import difflib
import importlib
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "configs"
DEFAULTS: dict[str, Any] = {
    "model_args": {},
    "card": {},
    "dataset_args": {},
    "batch_size": 128,
    "checkpoint_every": 5,
    "train_examples": None,
}


def list_configs() -> list[str]:
    """The names of all configs."""
    return sorted(path.stem for path in CONFIGS.glob("*.py") if path.stem != "__init__")


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
    return config


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
