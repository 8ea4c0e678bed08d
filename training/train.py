"""Trains a config: python -m training.train CONFIG [--seed N] [--data PATH] [--set key=value ...] [--resume].

A run has a folder of its own, `runs/<name>-seed<N>`: the config, history.csv with a line for each epoch, curves.png,
the last two checkpoints, and at the end the net, final.keras, and result.json. Data order, augmentation and dropout
depend on the seed and the epoch alone, so that a run that was broken off, wherever, and resumed goes on as if nothing
had happened.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco._backend import leave_out_tensorflow
from groco._errors import one_line
from groco._hardware import hardware, versions
from groco._interruption import interruptible
from groco._precision import exact_float32
from groco.models import create_model
from groco.pretrained.loading import weight_not_finite
from training import augment, checkpoints, datasets, devices, preprocess, processor, provenance, tasks
from training.batches import Batches, InOrder, feed
from training.checkpoints import TrainingError
from training.config import FREE, complete, in_steps, list_configs, load_config, recipe
from training.datasets.stored import Stored
from training.progress import Progress, TensorBoardLog, draw_curves
from training.results import scores

_GENTLER = (
    "A smaller learning rate may help, in a run from the beginning: with another folder by --runs, or without that one."
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    parser.add_argument("config", help=f"one of {', '.join(list_configs())}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--data", help="the data's file or folder, or one it has a subfolder in; downloaded if possible"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the config")
    parser.add_argument("--runs", default="runs", help="folder of all runs (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of this run")
    parser.add_argument("--devices", default="1", metavar="N", help="of this machine, or auto: all (default: 1)")
    parser.add_argument("--hosts", action="store_true", help="one of several processes that train together")
    parser.add_argument("--tensorboard", action="store_true", help="write the history for TensorBoard as well")
    options = parser.parse_args(_one_change_each(sys.argv[1:] if arguments is None else arguments))
    processor.keep_freed_memory()
    try:
        with interruptible():
            config = load_config(options.config, options.set)
            cluster = devices.connect(options.devices, options.hosts, options.seed)
            if cluster.first:
                _warn_of_the_schedule(config)
            folder = Path(options.runs) / f"{config['name']}-seed{options.seed}"
            result = run(config, options.seed, folder, options.data, options.resume, options.tensorboard, cluster)
    except (TrainingError, ValueError, OSError, ImportError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("training: broken off; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    if cluster.first:
        print(f"{config['name']}: {describe(result)}, run in {folder}")
    return 0


def _warn_of_the_schedule(config: dict[str, Any]) -> None:
    """Says what a changed number of epochs and a changed learning rate do not change."""
    changed = {change.partition("=")[0] for change in config["changes"]}
    if config["schedule"] is None or any(key.startswith("schedule") for key in changed):
        return
    for key, what in (("epochs", "does not change"), ("optimizer.config.learning_rate", "has no part in")):
        if key in changed:
            print(
                f"training: {key} {what} the schedule of the learning rate, {config['schedule']['config']}; --set "
                "schedule.config.KEY=VALUE does, schedule=None leaves it out",
                file=sys.stderr,
            )


def _one_change_each(arguments: list[str]) -> list[str]:
    """The arguments with `--set a=1 b=2` as `--set a=1 --set b=2`: argparse would take the config for a change."""
    single: list[str] = []
    for argument in arguments:
        if single[-2:-1] == ["--set"] and "=" in argument and not argument.startswith("-"):
            single.append("--set")
        single.append(argument)
    return single


def run(
    config: dict[str, Any],
    seed: int,
    folder: Path,
    data: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    cluster: devices.OneDevice | None = None,
) -> dict[str, Any]:
    """Trains and evaluates one config with one seed; returns what it wrote to result.json.

    Of several processes (`cluster`, from `devices.connect`) the first one writes.

    Raises:
        TrainingError: if the run exists already and is not to be resumed, cannot be resumed, is being made by another
            process, or its loss or weights are not finite.
    """
    cluster = cluster or devices.OneDevice()
    if cluster.first and not resume and _has_begun(folder):
        raise TrainingError(f"{folder} exists already; add --resume to go on with it, or remove it.")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config["precision"])
    keras.utils.set_random_seed(seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            checkpoints.locked(folder) if cluster.first else contextlib.nullcontext(),
            processor.fixed_shapes(config["jit_compile"]),
        ):
            return _run(config, seed, folder, data, resume, tensorboard, cluster)
    finally:
        keras.config.set_dtype_policy(policy)
        if cluster.first:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _has_begun(folder: Path) -> bool:
    """Whether there is anything that a run would write over, but for its settings."""
    if not folder.is_dir():
        return folder.exists()
    return any(path.name != "config.json" for path in folder.iterdir())


def _run(
    config, seed: int, folder: Path, data, resume: bool, tensorboard: bool, cluster: devices.OneDevice
) -> dict[str, Any]:
    cluster.check(config)
    processor.warn_of_slow_precision(config["precision"])
    info = datasets.info(config["dataset"])
    task = tasks.make(info.task, len(info.classes), config["label_smoothing"])
    arrays = datasets.load(config["dataset"], source=data, **config["dataset_args"])
    x_train, y_train = first_examples(*arrays.pop("train"), config["train_examples"])
    prepare = preprocess.fit(config["preprocess"], x_train)
    x_train = prepare(x_train)
    batches = {
        "batch_size": config["batch_size"],
        "seed": seed,
        "examples": config["examples_per_epoch"],
        "augmentations": config["augment"],
        "targets": task.targets,
        "workers": config["workers"],
    }
    steps = len(Batches(x_train, y_train, epoch=0, **batches))
    some = np.arange(min(2, len(x_train)))
    augmented, _ = augment.try_out(config["augment"], x_train[some], y_train[some])
    log = TensorBoardLog(folder / "tensorboard") if tensorboard and cluster.first else None

    with cluster.scope():
        model, start = checkpoints.restore(folder, steps) if resume else (None, 0)
        if len(set(cluster.gather(start))) > 1:
            raise TrainingError(f"the processes do not find the same checkpoint: {folder} has to be one shared folder.")
        if model is None:
            model = new_model(config, task, x_train.shape[1:], steps)
        else:
            check_unchanged(folder, config)
        _check_takes(model, augmented.shape[1:])
        if config["l2"]:
            for weight in model.trainable_weights:  # not saved with the net, which has no part in it
                weight.regularizer = keras.regularizers.L2(config["l2"])
    history = checkpoints.read_history(folder, start)
    begun = _begun(folder, start > 0)
    if cluster.first:
        checkpoints.write_json(folder / "config.json", {**config, "seed": seed, "begun": begun})

    progress = Progress(config["epochs"], steps, start)
    kept = _KeepWeights()
    for epoch in range(start, config["epochs"]):
        began = time.perf_counter()
        callbacks = [_SeedDropout(seed, epoch), kept, *([progress] if cluster.first else [])]
        with cluster.scope():
            losses = cluster.fit(model, Batches(x_train, y_train, epoch=epoch, **batches), callbacks)
            kept.put_back(model)
        _check_finite(model, losses["loss"], epoch, folder)
        history.append({"epoch": epoch + 1, **losses, "seconds": round(time.perf_counter() - began, 3)})
        if not cluster.first:
            continue
        checkpoints.write_history(folder, history)
        if (epoch + 1) % config["checkpoint_every"] == 0 or epoch + 1 == config["epochs"]:
            checkpoints.save(model, folder, epoch + 1)
            draw_curves(history, folder / "curves.png", config["name"])
        if log is not None:
            log.write(history[-1])
        progress.end_epoch(losses)

    averaged = _optimizer(model).use_ema
    with cluster.scope():
        model.optimizer.finalize_variable_values(model.trainable_weights)  # to their moving averages, if asked for
    model = bare(model, config, task, x_train.shape[1:])
    if averaged:
        _seed_dropout(model, seed, config["epochs"])
        renew_statistics(model, Batches(x_train, y_train, epoch=config["epochs"], **batches))
    if cluster.first:
        checkpoints.save_final(model, folder)
    try:
        found = evaluate(model, task, prepare, arrays, config["evaluate_batch"])
    except TrainingError as error:
        raise TrainingError(f"{error} {_GENTLER}") from None
    result = {
        "name": config["name"],
        "changes": config["changes"],
        "seed": seed,
        **found,
        "train_examples": len(y_train),
        "parameters": int(sum(np.prod(w.shape) for w in model.trainable_weights)),
        "preprocess": config["preprocess"],
        "mean": prepare.mean,
        "std": prepare.std,
        "seconds": round(sum(line["seconds"] for line in history), 1),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "versions": versions(),
        "commit": begun["commit"],
        "devices": cluster.replicas,
        "hardware": hardware(cluster.replicas),
        "recipe": recipe(config),
    }
    if cluster.first:
        checkpoints.write_json(folder / "result.json", result)
    return result


def _check_takes(model: keras.Model, shape: tuple[int, ...]) -> None:
    """Raises TrainingError if the net does not take inputs of this shape, as they are when augmented."""
    wanted = model.input_shape[1:]
    if len(wanted) != len(shape) or any(n not in (None, m) for n, m in zip(wanted, shape, strict=True)):
        raise TrainingError(f"{model.name} takes inputs {wanted}, not {shape}, as they are when augmented.")
    try:
        model(keras.KerasTensor((1, *shape)))
    except ValueError as error:  # of sizes that it is to be known for
        said = one_line(error).split(" Arguments received by ")[0]
        what = re.sub(r"^Exception encountered when calling \S+ ", "", said)
        raise TrainingError(f"{model.name} does not take inputs {shape}, as they are when augmented: {what}") from None


def _check_finite(model: keras.Model, loss: float, epoch: int, folder: Path) -> None:
    """Raises TrainingError if loss or weights are not numbers any more; the loss is that of before the last step."""
    if not np.isfinite(loss):
        what = f"the loss is {loss}"
    elif (name := weight_not_finite(model)) is not None:
        what = f"the weight {name} has values that are not finite"
    else:
        return
    raise TrainingError(f"{what} in epoch {epoch + 1}; {folder} has what came before. {_GENTLER}")


def _begun(folder: Path, resumed: bool) -> dict[str, Any]:
    """What a run began with: of one that goes on, what it noted then, if it did."""
    backend = keras.backend.backend()
    if not resumed:
        return {"commit": provenance.commit(), "backend": backend}
    begun = {"commit": None, "backend": backend}
    with contextlib.suppress(OSError, ValueError):
        begun |= checkpoints.read_json(folder / "config.json").get("begun", {})
    if begun["backend"] != backend:
        print(
            f"training: the run was begun on {begun['backend']} and goes on with {backend}, whose dropout and sums are "
            "others",
            file=sys.stderr,
        )
    return begun


def first_examples(inputs, labels, number: int | None) -> tuple[Any, Any]:
    """So many training examples: the first, but of examples in the order of their classes evenly spaced ones.

    Raises:
        ValueError: if there are fewer.
    """
    if number is None:
        return inputs, labels
    if number > len(labels):
        raise ValueError(f"train_examples is {number:,}, and there are {len(labels):,}.")
    if len(labels.shape) == 1 and len(labels) > 1 and (np.diff(np.asarray(labels).astype("int64")) >= 0).all():
        chosen = np.linspace(0, len(labels) - 1, number).round().astype(int)
        return tuple(x.part(chosen) if isinstance(x, Stored) else x[chosen] for x in (inputs, labels))
    return inputs[:number], labels[:number]


def check_unchanged(folder: Path, config: dict[str, Any]) -> None:
    """Raises TrainingError if a run was begun with other settings than it is to go on with.

    Without a schedule, which would have been another, it may have more epochs.
    """
    path = folder / "config.json"
    if not path.exists():
        return
    try:
        before = complete(checkpoints.read_json(path))
    except ValueError as error:
        raise TrainingError(
            f"{str(error).removesuffix('.')}. Where it is removed --resume goes on with the settings that it is given "
            "and does not compare them with those of the run."
        ) from None
    now = json.loads(json.dumps(config))
    free = {*FREE, *(["epochs"] if now["schedule"] is None and now["epochs"] >= before.get("epochs", 0) else [])}
    if changed := sorted(key for key in now if key not in free and before.get(key) != now[key]):
        which = ", ".join(f"{key}={before.get(key)!r}, not {now[key]!r}" for key in changed)
        raise TrainingError(
            f"{folder} is of a run with {which}. Go on with its settings, give another folder by --runs, or remove it."
        )


def new_model(config: dict[str, Any], task, input_shape, steps: int) -> keras.Model:
    """The compiled net of a config; `steps` is the number of steps in an epoch."""
    model = _net(config, task, input_shape)
    settings = dict(config["optimizer"]["config"])
    if config["schedule"]:
        settings["learning_rate"] = _schedule(config["schedule"], steps / _accumulated(settings))
    if config["ema_momentum"] is not None:
        settings |= {"use_ema": True, "ema_momentum": config["ema_momentum"]}
    try:
        optimizer = keras.optimizers.deserialize({**config["optimizer"], "config": settings})
    except (TypeError, ValueError) as error:
        raise TrainingError(f"no optimizer can be made of {config['optimizer']} ({error}).") from None
    model.compile(
        optimizer=optimizer,
        loss=task.loss(),
        metrics=task.metrics(),
        jit_compile=config["jit_compile"],
    )
    return model


def _schedule(schedule: dict[str, Any], steps: float) -> dict[str, Any]:
    try:
        made = keras.optimizers.schedules.deserialize(in_steps(schedule, steps))
    except (TypeError, ValueError) as error:
        raise TrainingError(f"no schedule can be made of {schedule} ({error}).") from None
    return keras.optimizers.schedules.serialize(made)


def _accumulated(settings: dict[str, Any]) -> int:
    """How many batches a step of the optimizer has: its schedule counts steps."""
    number = settings.get("gradient_accumulation_steps")
    return number if isinstance(number, int) and number > 1 else 1


def bare(model: keras.Model, config: dict[str, Any], task, input_shape) -> keras.Model:
    """The trained net as one of float32 on one device, without optimizer: what is evaluated and kept."""
    keras.config.set_dtype_policy("float32")
    net = _net(config, task, input_shape)
    net.set_weights(model.get_weights())
    return net


def renew_statistics(model: keras.Model, batches: Batches, most: int = 100) -> None:
    """Makes the moving statistics of all normalisations those of the net as it is: means over up to `most` batches.

    Moving averages of the weights need it: the statistics are those of the weights that were averaged (Izmailov et al.
    2018, arXiv 1803.05407, section 3.2).
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0  # the statistics are those of the last batch
    statistics = [variable for layer in norms for variable in (layer.moving_mean, layer.moving_variance)]
    means = [np.zeros(variable.shape) for variable in statistics]
    forward = _forward(model)
    number = min(len(batches), most) if norms else 0
    with exact_float32():
        for index in range(number):
            forward(keras.ops.convert_to_tensor(batches[index][0]))
            for mean, variable in zip(means, statistics, strict=True):
                mean += np.asarray(keras.ops.convert_to_numpy(variable), np.float64) / number
    for variable, mean in zip(statistics, means, strict=True):
        variable.assign(mean)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def _forward(model: keras.Model) -> Callable:
    """A function of inputs that runs the net as in training, compiled where the backend does, and keeps its state."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda inputs: model(inputs, training=True))
    if backend != "jax":
        return lambda inputs: model(inputs, training=True)
    import jax

    step = jax.jit(lambda *state_and_inputs: model.stateless_call(*state_and_inputs, training=True)[1])

    def forward(inputs):
        state = (
            [v.value for v in variables] for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        for variable, value in zip(model.non_trainable_variables, step(*state, inputs), strict=True):
            variable.assign(value)

    return forward


def _net(config: dict[str, Any], task, input_shape) -> keras.Model:
    arguments = {"input_shape": input_shape, "num_classes": task.outputs, **config["model_args"]}
    try:
        return create_model(config["model"], **arguments)
    except TypeError as error:
        raise TrainingError(f"{config['model']} cannot be built with {config['model_args']}: {error}") from None


def evaluate(model: keras.Model, task, prepare: Callable, arrays: datasets.Arrays, batch_size: int) -> dict[str, Any]:
    """Every score of every split, as `<split>_<score>`, and the number of its examples."""
    found: dict[str, Any] = {}
    for split, (inputs, labels) in arrays.items():
        with exact_float32(), feed(InOrder(prepare(inputs), batch_size)) as batches:
            logits = model.predict(batches, verbose=0)
        labels = np.asarray(labels)
        if not np.isfinite(logits).all():
            raise TrainingError(f"{model.name} gives values that are not finite for the split {split!r}.")
        found |= {f"{split}_{score}": value for score, value in task.evaluate(logits, labels).items()}
        found[f"{split}_examples"] = len(labels)
    return found


def describe(result: dict[str, Any]) -> str:
    """The scores of a result in words."""
    return ", ".join(f"{key.replace('_', ' ')} {100 * value:.2f} %" for key, value in scores(result).items())


def _optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer itself, without that which scales the loss in float16."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


class _KeepWeights(keras.callbacks.Callback):
    """Keras ends each `fit` by putting the moving averages in the place of the weights; training goes on with these."""

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.trainable_weights if _optimizer(self.model).use_ema else []
        self.weights = [np.array(keras.ops.convert_to_numpy(w)) for w in weights]  # copies: PyTorch's share memory

    def put_back(self, model: keras.Model) -> None:
        for weight, value in zip(model.trainable_weights, self.weights, strict=False):
            weight.assign(value)


class _SeedDropout(keras.callbacks.Callback):
    """Seeds dropout before the first step: `fit` first builds what a new or restored net lacks, and that may draw."""

    def __init__(self, seed: int, number: int):
        super().__init__()
        self.seed, self.number = seed, number

    def on_epoch_begin(self, epoch, logs=None):
        _seed_dropout(self.model, self.seed, self.number)


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Dropout depends on the epoch, not on how often it was called before, so that resuming changes nothing."""
    for index, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.SeedSequence([seed, epoch, index]).generate_state(2)
            generator.state.assign(state.astype(generator.state.dtype))
    if keras.backend.backend() == "torch":  # whose dropout draws from a generator of its own, if a layer has no seed
        import torch

        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))


def leave(status: int) -> None:
    """Ends the process; at once if it was broken off, when threads that make batches can keep it from ending."""
    if status == 130:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave_out_tensorflow()
    leave(main())
