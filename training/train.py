"""Trains a config: python -m training.train CONFIG [--seed N] [--data PATH] [--set key=value ...] [--resume].

A run has a folder of its own, `runs/<name>-seed<N>`: the config, history.csv with a line for each epoch, the last two
checkpoints, and at the end result.json. Data order and dropout depend on the seed and the epoch alone, so that a run
that was broken off and resumed goes on as if nothing had happened.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco.models import create_model
from training import datasets
from training.config import list_configs, load_config

CHECKPOINTS = ("last.keras", "previous.keras")


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    parser.add_argument("config", help=f"one of {', '.join(list_configs())}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", help="where the data is: mnist.npz for rotated_mnist; downloaded if not given")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the config")
    parser.add_argument("--runs", default="runs", help="folder of all runs (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of this run")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config, options.set)
        folder = Path(options.runs) / f"{config['name']}-seed{options.seed}"
        result = run(config, options.seed, folder, options.data, options.resume)
    except (TrainingError, ValueError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    print(f"{config['name']}: test error {100 * result['test_error']:.2f} %, run in {folder}")
    return 0


def run(
    config: dict[str, Any], seed: int, folder: Path, data: str | None = None, resume: bool = False
) -> dict[str, Any]:
    """Trains and evaluates one config with one seed; returns what it wrote to result.json.

    Raises:
        TrainingError: if the run exists already and is not to be resumed, cannot be resumed, or its loss is not finite.
    """
    if folder.exists() and not resume and any(folder.iterdir()):
        raise TrainingError(f"{folder} exists already; add --resume to go on with it, or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    arrays = datasets.load(config["dataset"], source=data, **config["dataset_args"])
    (x_train, y_train), (x_test, y_test) = arrays["train"], arrays["test"]
    x_train, y_train = x_train[: config["train_examples"]], y_train[: config["train_examples"]]
    mean, std = float(x_train.mean()), float(x_train.std())
    x_train, x_test = ((x.astype("float32") - mean) / std for x in (x_train, x_test))

    model, start = _restore(folder) if resume else (None, 0)
    if model is None:
        model = _new_model(config, x_train.shape[1:], int(y_train.max()) + 1)
    steps = -(-len(x_train) // config["batch_size"])
    start //= steps
    history = _read_history(folder)[:start]
    _write_json(folder / "config.json", {**config, "seed": seed})

    bar = keras.utils.Progbar(config["epochs"], unit_name="epoch", stateful_metrics=["loss", "accuracy"])
    bar.update(start)
    for epoch in range(start, config["epochs"]):
        began = time.perf_counter()
        order = np.random.default_rng([seed, epoch]).permutation(len(x_train))
        _seed_dropout(model, seed, epoch)
        logs = model.fit(x_train[order], y_train[order], batch_size=config["batch_size"], shuffle=False, verbose=0)
        losses = {key: float(values[-1]) for key, values in logs.history.items()}
        if not np.isfinite(losses["loss"]):
            raise TrainingError(f"the loss is {losses['loss']} after epoch {epoch + 1}; {folder} has what came before.")
        history.append({"epoch": epoch + 1, **losses, "seconds": round(time.perf_counter() - began, 3)})
        _write_history(folder, history)
        if (epoch + 1) % config["checkpoint_every"] == 0 or epoch + 1 == config["epochs"]:
            _save(model, folder)
        bar.update(epoch + 1, values=list(losses.items()))

    logits = model.predict(x_test, batch_size=500, verbose=0)
    result = {
        "name": config["name"],
        "seed": seed,
        "test_error": float((logits.argmax(axis=-1) != y_test).mean()),
        "test_examples": len(y_test),
        "train_examples": len(y_train),
        "parameters": int(sum(np.prod(w.shape) for w in model.trainable_weights)),
        "mean": mean,
        "std": std,
        "seconds": round(sum(line["seconds"] for line in history), 1),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
    }
    _write_json(folder / "result.json", result)
    return result


def _new_model(config: dict[str, Any], image_shape, num_classes: int) -> keras.Model:
    model = create_model(config["model"], input_shape=image_shape, num_classes=num_classes, **config["model_args"])
    model.compile(
        optimizer=keras.optimizers.deserialize(config["optimizer"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Dropout depends on the epoch, not on how often it was called before, so that resuming changes nothing."""
    for index, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.SeedSequence([seed, epoch, index]).generate_state(2)
            generator.state.assign(state.astype(generator.state.dtype))


def _save(model: keras.Model, folder: Path) -> None:
    """Keeps the last two checkpoints; at every moment at least one of them is whole."""
    last, previous = (folder / name for name in CHECKPOINTS)
    partial = folder / "partial.keras"
    model.save(partial)
    if last.exists():
        last.replace(previous)
    partial.replace(last)


def _restore(folder: Path) -> tuple[keras.Model | None, int]:
    """The newest whole checkpoint and the number of steps it has made; (None, 0) if there is none yet."""
    found = [folder / name for name in CHECKPOINTS if (folder / name).exists()]
    for path in found:
        try:
            model = keras.saving.load_model(path)
        except Exception as error:  # whatever a broken file makes Keras raise
            print(f"training: {path} cannot be read ({error}); trying the one before", file=sys.stderr)
            continue
        return model, int(model.optimizer.iterations)
    if found:
        raise TrainingError(f"no checkpoint in {folder} can be read.")
    return None, 0


def _read_history(folder: Path) -> list[dict[str, Any]]:
    path = folder / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: int(v) if k == "epoch" else float(v) for k, v in line.items()} for line in csv.DictReader(file)]


def _write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    partial = folder / "history.csv.partial"
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    partial.replace(folder / "history.csv")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
