"""Reading a config: plain data in training/configs, with changes from the command line."""

from __future__ import annotations

import ast
import copy
import difflib
import importlib
import importlib.util
import json
import math
from pathlib import Path
from typing import Any

from groco.pretrained.card import SENTENCES
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
    "train_examples": None,  # the first so many, of examples sorted by class evenly spaced ones; None: all
    "examples_per_epoch": None,  # drawn in rounds; None: each once
    "schedule": None,  # a class of keras.optimizers.schedules; counts of steps are given in epochs
    "label_smoothing": 0.0,
    "l2": 0.0,  # keras.regularizers.L2 of all trainable weights; half of what PyTorch's Adam and SGD call weight_decay
    "ema_momentum": None,
    "precision": "float32",
    "jit_compile": "auto",
    "workers": 2,  # threads that prepare batches, on TensorFlow
    "checkpoint_every": 5,
    "evaluate_batch": 500,
    "changes": [],  # what the command line changed, as given
}
# What may change while a run goes on, and between the runs of one table: it makes no other net.
FREE = ("changes", "workers", "checkpoint_every", "evaluate_batch", "card", "paper")
OF_A_RUN = ("seed", "begun")  # what config.json has besides, in the folder of a run
LONGEST_NAME = 100
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16")
COUNTS_OF_STEPS = ("decay_steps", "warmup_steps", "first_decay_steps", "boundaries")


def list_configs() -> list[str]:
    """The names of all configs."""
    return sorted(path.stem for path in CONFIGS.glob("*.py") if not path.stem.startswith("_"))


def load_config(name: str, changes: list[str] | None = None) -> dict[str, Any]:
    """A config by name, with `key=value` changes; a key may be dotted, a value is a Python literal or else a string.

    The name is that of the file or of the weights it makes, `p4cnn_rotmnist` or `p4cnn.rotmnist`, or the path of a file
    of one's own, which ends in `.py`. Of the changes those that make no other net (`FREE`) are not kept in `changes`.

    Raises:
        ValueError: if there is no such config or key, or a change is not of that form.
    """
    config = copy.deepcopy(complete(_read(name)))
    kept = []
    for change in changes or []:
        key, separator, text = change.partition("=")
        if not separator:
            raise ValueError(f"A change has the form key=value, got {change!r}.")
        _set(config, key.split("."), _literal(text), change)
        if key.split(".")[0] not in FREE:
            kept.append(change)
    config["changes"] = kept
    check(config)
    return config


def complete(config: dict[str, Any]) -> dict[str, Any]:
    """A config with the defaults of what it does not say; those of older runs lack entries thought of later."""
    return {**DEFAULTS, **config}


def recipe(config: dict[str, Any]) -> dict[str, Any]:
    """What makes the net, as json has it: the config without what is free."""
    return json.loads(json.dumps({key: value for key, value in config.items() if key not in (*FREE, *OF_A_RUN)}))


def _read(name: str) -> dict[str, Any]:
    """The table CONFIG of a config, by its name or its path."""
    path = Path(name)
    if path.suffix == ".py" and path.resolve().parent != CONFIGS:
        if not path.is_file():
            raise ValueError(f"There is no config file {name!r}.")
        spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # whatever is written there
            raise ValueError(f"{name} is no config: {type(error).__name__}: {error}") from None
        if not isinstance(getattr(module, "CONFIG", None), dict):
            raise ValueError(f"{name} is no config: it has no table CONFIG.")
        return module.CONFIG
    name = path.name.removesuffix(".py").replace(".", "_")
    if name not in list_configs():
        close = difflib.get_close_matches(name, list_configs(), n=3)
        hint = f" Close names: {', '.join(close)}." if close else ""
        raise ValueError(f"There is no config {name!r}.{hint} There are {', '.join(list_configs())}.")
    return importlib.import_module(f"training.configs.{name}").CONFIG


def check(config: dict[str, Any]) -> None:
    """Raises ValueError that names the first entry of a config that is not understood."""
    name = config.get("name", "config")
    missing = [key for key in (*REQUIRED, *DEFAULTS) if key not in config]
    unknown = sorted(set(config) - set(REQUIRED) - set(DEFAULTS) - set(OF_A_RUN))
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
        raise ValueError(f"{name}: the config {' and '.join(parts)}.")

    def must(key: str, holds: bool, form: str) -> None:
        if not holds:
            raise ValueError(f"{name}: {key} is {form}, got {config[key]!r}.")

    for key in ("epochs", "batch_size", "checkpoint_every", "evaluate_batch", "workers"):
        must(key, _is_count(config[key]), "a positive int")
    for key in ("train_examples", "examples_per_epoch"):
        must(key, config[key] is None or _is_count(config[key]), "None or a positive int")
    for key in ("model_args", "dataset_args"):
        must(key, isinstance(config[key], dict), "a table")
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")
    must("name", plain and len(name) <= LONGEST_NAME, f"the name of a file of at most {LONGEST_NAME} letters")
    must("model", isinstance(config["model"], str), "the name of a model")
    must("card", _is_card(config["card"]), f"a table of sentences: {', '.join(SENTENCES)}")
    paper = config["paper"]
    must("paper", paper is None or (isinstance(paper, dict) and "title" in paper), "None or a table with a title")
    must("model_args", "num_classes" not in config["model_args"], "a table without num_classes, which the data says")
    must("dataset_args", set(config["dataset_args"]) <= {"variant"}, "a table of the variant")
    made = "a table of class_name and config"
    must("optimizer", _is_made_by_keras(config["optimizer"]), made)
    must("schedule", config["schedule"] is None or _is_made_by_keras(config["schedule"]), f"None or {made}")
    settings, scheduled = (config[key]["config"] if config[key] else {} for key in ("optimizer", "schedule"))
    for key, table in (("optimizer", settings), ("schedule", scheduled)):
        finite = all(0 <= number < math.inf for number in _numbers(table))
        must(key, finite, "a table whose numbers are finite and from 0")
        texts = [k for k, v in table.items() if isinstance(v, str) and k != "name"]
        must(key, not texts, f"a table without text for {', '.join(texts)}")
    steps = settings.get("gradient_accumulation_steps")
    must(
        "optimizer",
        steps is None or (_is_count(steps) and steps > 1),
        "a table with steps to accumulate from 2, or None",
    )
    shares = [key for key, value in settings.items() if key.startswith("beta") and any(n >= 1 for n in _numbers(value))]
    must("optimizer", not shares, f"a table with {', '.join(shares)} below 1")
    places = _numbers(scheduled.get("boundaries"))
    must("schedule", sorted(places) == places, "a table whose boundaries ascend")
    rate = type(settings.get("learning_rate", 0 if config["schedule"] else None)) in (int, float, dict)
    must("optimizer", rate, "a table whose config has a number as learning_rate, or goes with a schedule")
    for key, off in (("label_smoothing", 0.0), ("ema_momentum", None)):
        fits = config[key] == off or (isinstance(config[key], float) and 0 < config[key] < 1)
        must(key, fits, f"{off} or a number between 0 and 1")
    must("l2", type(config["l2"]) in (int, float) and 0 <= config["l2"] < math.inf, "a number from 0.0")
    must("precision", config["precision"] in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
    must("jit_compile", config["jit_compile"] in ("auto", True, False), "auto, True or False")
    must("preprocess", config["preprocess"] in list(preprocess.METHODS), f"one of {', '.join(preprocess.METHODS)}")
    datasets.info(config["dataset"])
    augment.check(config["augment"])


def in_steps(schedule: dict[str, Any], steps_per_epoch: float) -> dict[str, Any]:
    """A schedule whose counts of steps, given in epochs, are in steps."""

    def convert(value):
        if isinstance(value, (list, tuple)):
            return [convert(v) for v in value]
        if type(value) not in (int, float):
            raise ValueError(f"schedule: epochs are counted in numbers, got {value!r}.")
        return round(value * steps_per_epoch)

    arguments = {k: convert(v) if k in COUNTS_OF_STEPS else v for k, v in schedule["config"].items()}
    return {**schedule, "config": arguments}


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_made_by_keras(value) -> bool:
    """Whether it has the form of what Keras makes objects of."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("class_name"), str)
        and isinstance(value.get("config"), dict)
        and all(isinstance(key, str) for key in value["config"])
    )


def _is_card(value) -> bool:
    return isinstance(value, dict) and all(k in SENTENCES and isinstance(v, str) for k, v in value.items())


def _numbers(value) -> list[float]:
    """All numbers in tables and lists."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in _numbers(item)]
    return [value] if type(value) in (int, float) else []


def _set(config: dict[str, Any], path: list[str], value, change: str) -> None:
    *parents, last = path
    for parent in parents:
        if not isinstance(config.get(parent), dict):
            raise ValueError(f"{change!r}: the config has no section {parent!r}.")
        config = config[parent]
    if not parents and last == "changes":
        raise ValueError(f"{change!r}: changes are kept of what --set is given, and are not given themselves.")
    if last not in config and not parents:
        raise ValueError(f"{change!r}: the config has no {last!r}; it has {', '.join(sorted(config))}.")
    config[last] = value


def _literal(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all that it documents
        return text
