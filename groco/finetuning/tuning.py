"""A trained model learns a new task: new head, training, evaluation, and a folder that loads like any other."""

from __future__ import annotations

import functools
import logging
import math
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco._hardware import hardware, versions
from groco.finetuning.batches import Batches, crop, make_augmentations, try_out
from groco.finetuning.data import Examples, read_examples, split_examples
from groco.finetuning.tasks import Task, make_task
from groco.layers.base import is_int
from groco.models import create_model
from groco.models.sizes import nearest_multiples
from groco.pretrained.folder import write_folder
from groco.pretrained.labelled import are_numbers, check_text
from groco.pretrained.loading import DESCRIPTION, head_layers, load_from, read_description, weight_not_finite
from groco.pretrained.manifest import PretrainedError, list_pretrained
from groco.pretrained.preprocessor import PREPROCESSOR, Preprocessor
from groco.pretrained.source import Source, locate

_log = logging.getLogger("groco")
FARTHEST = 16  # from a size that does not work, of one that does
NUMBER = (int, float, np.number)
GOLDEN_INPUTS, GOLDEN_SIZE = 4, 64  # their number, and the size where the model takes any


@dataclass(frozen=True)
class FineTuned:
    """What `finetune` made.

    Attributes:
        model: the trained model, compiled to be trained further with Adam at the first learning rate.
        preprocessor: what it expects of its inputs, with the names of its classes.
        scores: what was measured on the examples that it was not trained on, as fractions of 1: `test_error`; for
            segmentation `pixel_error` and `dice`, of several classes the mean.
        history: loss and accuracy of each epoch.
        train_examples, test_examples: their numbers.
        folder: where it was saved, None if it was not.
    """

    model: keras.Model
    preprocessor: Preprocessor
    scores: dict[str, float]
    history: dict[str, list[float]]
    train_examples: int
    test_examples: int
    folder: Path | None = None


def finetune(
    name: str | Path,
    data: Any,
    *,
    test: Any = None,
    validation_split: float = 0.2,
    output: str | Path | None = None,
    classes: Sequence[str] | None = None,
    size: int | Sequence[int] | None = None,
    window: int | None = None,
    invert: bool = False,
    invert_masks: bool = False,
    epochs: int = 20,
    batch_size: int | None = None,
    learning_rate: float = 1e-3,
    freeze: int = 0,
    augment: Any = (),
    from_scratch: bool = False,
    seed: int = 0,
    verbose: int | str = "auto",
) -> FineTuned:
    """Trains a trained model on labelled data of one's own, and measures it on data that it was not trained on.

    All layers begin with their trained weights but the head, which is new unless the classes are those of the trained
    model. Adam's learning rate falls to 0 by a cosine; the weights of the last epoch are kept. All that is random
    depends on the seed, which is set for Python, NumPy and the backend; on a CPU the same call gives the same weights.
    The data is held in memory.

    Args:
        name: a name from `groco.list_pretrained()`, `hf://organisation/name[@revision]`, or a folder.
        data: for a classifier a folder with one folder of image files per class, or an .npz with `images` and `labels`,
            or both arrays: images as the preprocessor of the model takes them, labels whole numbers or names.
            For segmentation a folder with the folders `images` and `masks`, whose files have the same names, or an .npz
            with `images` and `masks`, or both arrays: masks are 0 where the class is not and 1 or 255 where it is, or
            have the index of one of several classes. Files are images, or arrays of NumPy (.npy).
        test: data of the same kind to measure on, or None to hold out a share.
        validation_split: the share that is held out: of each class, or of all pairs of images and masks.
        output: the folder to save the model in, which must not exist, nor have the name of a model that comes with
            groco; None to save nothing.
        classes: names of the classes, where the data has numbers only.
        size: (height, width), or one number for both: images are resized to it, here and whenever the preprocessor
            reads files, and the model is built for it. By default images must have the size that the model has.
        window: for segmentation: train on windows of that many points on each axis, anywhere in the images.
        invert: the images are dark on light, and the model knows light on dark ones, or the other way round. The
            preprocessor of the new model inverts them.
        invert_masks: the masks are 0 where the class is.
        epochs: how often each example is seen.
        batch_size: by default 32, for segmentation 4.
        learning_rate: the first.
        freeze: in so many epochs at the beginning only the head learns; `epochs`: never anything else.
        augment: what is done to the training inputs at random: a group or its name (`"P4"`: quarter turns; `"P4M"`:
            with mirrors; `"PMw"`: mirrored left to right), by whose elements they are turned and mirrored; `"rotate"`:
            turned by any angle; a function of inputs, labels and a random generator; or several of them. The group of a
            net that is equivariant to it has no effect.
        from_scratch: begin with random weights, to compare.
        seed: of all that is random.
        verbose: as of `keras.Model.fit`: 0 is silent; "auto" shows a progress bar on a terminal, elsewhere a line for
            each epoch.

    Raises:
        PretrainedError: (a ValueError) as `groco.from_pretrained`.
        FileExistsError: if the output exists.
        FileNotFoundError: if there is no such data.
        ValueError: if an argument, a file or a label is not as it should be, or the loss, a weight or an output is not
            finite. Nothing is written then.
        OSError: if the model cannot be saved after all; the message says where it is instead.

    Example:

    >>> import groco
    >>> images, labels = groco.data.digits()
    >>> odd = ["odd" if label % 2 else "even" for label in labels[::50]]
    >>> tuned = groco.finetune("p4cnn.rotmnist", (images[::50], odd), epochs=1, verbose=0)
    >>> tuned.model.output_shape, tuned.preprocessor.classes
    ((None, 2), ('even', 'odd'))
    """
    _check_settings(epochs, batch_size, learning_rate, freeze, validation_split, test is None, window, seed)
    # Which may be NumPy's, and are written down.
    epochs, freeze, seed = int(epochs), int(freeze), int(seed)
    learning_rate, validation_split = float(learning_rate), float(validation_split)
    batch_size, window = (None if number is None else int(number) for number in (batch_size, window))
    for path in (name, data, test, output):
        if isinstance(path, (str, Path)):
            check_text(str(path))
    output = None if output is None else _check_output(Path(output))
    source = locate(name)
    if not (source.folder / DESCRIPTION).is_file():
        raise PretrainedError(f"{source.label} has no {DESCRIPTION}, so no model for other classes can be made of it.")
    description = read_description(source.folder / DESCRIPTION)
    known = Preprocessor.load(source.folder / PREPROCESSOR)
    preprocess = known if size is None else replace(known, size=_spatial(size, known), multiple_of=1, resize=True)
    preprocess = replace(preprocess, inverted=known.inverted != bool(invert))
    if invert and known.inverted:
        _log.warning("%s inverts images already; with invert=True they are taken as they are.", source.label)
    if known.task != "segmentation" and (window is not None or invert_masks):
        raise ValueError(f"{source.label} is for {known.task}; windows and inverted masks are for segmentation.")

    train = read_examples(data, preprocess, classes, invert_masks)
    if test is None:
        train, held = split_examples(train, validation_split, seed)
    else:
        named = classes is None and are_numbers(train.classes)
        held = read_examples(test, preprocess, train.classes, invert_masks, numbers_are_names=named)
    if len(np.unique(train.labels)) < 2:
        raise ValueError("All labels to train on are the same; there is nothing to learn.")
    preprocess = replace(preprocess, classes=train.classes)
    sizes = train.inputs.shape[1:-1]
    augmentations = make_augmentations(augment, sizes if window is None else (window,) * len(sizes))
    if window is not None:
        augmentations.insert(0, _crop(window, train, known.multiple_of))
    try_out(augmentations, train.inputs[:2], train.labels[:2])
    batch_size = batch_size or (4 if known.task == "segmentation" else 32)

    keras.utils.set_random_seed(seed)
    architecture, arguments = description["architecture"], dict(description["arguments"])
    arguments["num_classes"] = len(train.classes)
    if size is not None or window is not None:
        spatial = preprocess.size if window is None else (None,) * len(preprocess.size)
        arguments["input_shape"] = [*spatial, preprocess.channels]
    if arguments.get("classifier_activation") is not None:
        arguments["classifier_activation"] = None
    task = make_task(known.task, len(train.classes))
    try:
        head = head_layers(architecture, arguments)
    except ValueError as error:
        raise ValueError(_cannot_be_built(architecture, arguments, error)) from None
    if not head:
        raise ValueError(f"{architecture} has no layer that knows the number of classes, so none can be new.")
    new_head = train.classes != known.classes
    model = _build(source, architecture, arguments, head if new_head else [], from_scratch)
    if new_head and not from_scratch and len(train.classes) == len(known.classes):
        _log.warning(
            "%s: newly initialised, to be trained: %s. Only for the classes that it knows, %s, it keeps its weights; "
            "classes= (--classes) gives names to those of the data.",
            source.label,
            ", ".join(head),
            ", ".join(known.classes),
        )
    task.check(model, source.label)

    batches = Batches(train.inputs, train.labels, batch_size, seed, augmentations, task.targets)
    began = time.perf_counter()
    history = _train(model, task, batches, epochs, learning_rate, head, freeze, verbose)
    seconds = time.perf_counter() - began
    scores = task.evaluate(model, held, batch_size)
    tuned = FineTuned(model, preprocess, scores, history, len(train), len(held))
    if output is None:
        return tuned
    given = None if size is None else preprocess.size
    settings = {
        "validation_split": validation_split, "classes": classes, "size": given, "window": window, "invert": invert,
        "invert_masks": invert_masks, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "freeze": freeze, "augment": augment, "from_scratch": from_scratch, "seed": seed,
    }  # fmt: skip
    base = source.folder.resolve().name if source.folder == Path(source.label) else source.label
    write = functools.partial(
        write_folder,
        model=model,
        architecture=architecture,
        arguments=arguments,
        preprocessor=preprocess,
        information={
            "metrics": _metrics(data, test, tuned, seed),
            "recipe": _recipe(base, data, test, settings, tuned, seconds),
            **_inherited(description),
            "card": _card(base, description, from_scratch),
        },
        golden=_golden(preprocess, train.inputs.shape[1:-1], seed),
    )
    return replace(tuned, folder=_write_or_rescue(write, model, output))


def _write_or_rescue(write: Callable[[Path], Path], model: keras.Model, output: Path) -> Path:
    """Writes the folder; elsewhere if that fails after all, so that the training is not lost, and says so.

    Raises:
        OSError: that says where the model is, as a folder, or else a file of Keras alone; or that it is lost.
    """
    try:
        return write(output)
    except Exception as error:  # whatever it is, the model is worth hours
        try:
            folder = Path(tempfile.mkdtemp(prefix="groco-"))
            try:
                rescue = write(folder / output.name)
            except Exception:
                rescue = folder / "model.keras"
                model.save(rescue)
        except Exception as other:
            message = (
                f"{str(output)!r} cannot be written ({error}), nor a folder elsewhere ({other}); the model is lost."
            )
            raise OSError(message) from error
        message = f"{str(output)!r} cannot be written ({error}); the trained model is in {str(rescue)!r}."
        raise OSError(message) from error


def _check_settings(epochs, batch_size, learning_rate, freeze, validation_split, splits, window, seed) -> None:
    least = {"epochs": (epochs, 1), "batch_size": (batch_size, 1), "window": (window, 1)}
    for key, (value, at_least) in {**least, "freeze": (freeze, 0), "seed": (seed, 0)}.items():
        if key in ("batch_size", "window") and value is None:
            continue
        if not is_int(value) or value < at_least:
            raise ValueError(f"{key} is a whole number of {at_least} or more, got {value!r}.")
    if freeze > epochs:
        raise ValueError(f"freeze is at most the number of epochs, {epochs}, got {freeze}.")
    if not (isinstance(learning_rate, NUMBER) and 0 < learning_rate < math.inf):
        raise ValueError(f"learning_rate is a number above 0, got {learning_rate!r}.")
    if splits and not (isinstance(validation_split, NUMBER) and 0 < validation_split < 1):
        raise ValueError(f"validation_split is a number between 0 and 1, got {validation_split!r}.")


def _check_output(folder: Path) -> Path:
    """Says before the training what would be in the way of saving after it."""
    folder = Path(os.path.abspath(folder))
    if folder.name in list_pretrained():
        raise ValueError(f"{folder.name!r} is the name of a model that comes with groco; give another.")
    if folder.exists():
        raise FileExistsError(f"{str(folder)!r} exists already; remove it or give another name.")
    above = next(parent for parent in folder.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ValueError(f"{str(folder)!r} cannot be made: {str(above)!r} is not a folder that may be written to.")
    return folder


def _spatial(size: int | Sequence[int], known: Preprocessor) -> tuple[int, ...]:
    if len(known.size) != 2:
        raise ValueError(f"Only images are resized; this model takes inputs {known.describe()}.")
    sizes = tuple(size) if np.iterable(size) else (size, size)
    if len(sizes) != 2 or not all(is_int(n) and n > 0 for n in sizes):
        raise ValueError(f"size is a whole number above 0, or height and width, got {size!r}.")
    return tuple(map(int, sizes))


def _cannot_be_built(architecture: str, arguments: dict[str, Any], error: Exception) -> str:
    """What is wrong with a size, and the nearest square ones that work."""
    message = f"{architecture} cannot be built for input_shape={arguments['input_shape']}"
    *sizes, channels = arguments["input_shape"]
    if not all(sizes):
        return f"{message}: {error}"
    works = []
    for step in (-1, 1):
        for size in range(max(sizes), max(max(sizes) + step * FARTHEST, 0), step):
            try:
                create_model(architecture, **{**arguments, "input_shape": [*[size] * len(sizes), channels]})
            except ValueError:
                continue
            works.append(" x ".join([str(size)] * len(sizes)))
            break
    if works:
        message += f", but for {' and '.join(works)}"
    return f"{message}. In the net, {error}"


def _crop(window: int, train: Examples, multiple: int):
    sizes = train.labels.shape[1:]
    if window > min(sizes):
        raise ValueError(f"A window of {window} points does not fit images of {' x '.join(map(str, sizes))}.")
    if window % multiple:
        raise ValueError(
            f"A window is a multiple of {multiple} points for this model, got {window}; the nearest: "
            f"{nearest_multiples(window, multiple)}."
        )
    return crop(window)


def _build(source: Source, architecture: str, arguments: dict[str, Any], new: list[str], from_scratch: bool):
    """The model to train: with trained weights, but in its new layers."""
    fresh = create_model(architecture, **arguments)
    if from_scratch:
        return fresh
    model = load_from(source, arguments)
    for layer in new:
        model.get_layer(layer).set_weights(fresh.get_layer(layer).get_weights())
    return model


def _train(
    model: keras.Model,
    task: Task,
    batches: Batches,
    epochs: int,
    learning_rate: float,
    head: list[str],
    freeze: int,
    verbose: int | str,
) -> dict[str, list[float]]:
    """Trains the head and then everything; each has an optimizer of its own. Returns the history of both."""
    if verbose == "auto":
        verbose = 1 if sys.stdout.isatty() else 2
    history: dict[str, list[float]] = {}
    for start, end, only_head in ((0, freeze, True), (freeze, epochs, False)):
        if start == end:
            continue
        for layer in model.layers:
            layer.trainable = not only_head or layer.name in head
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, (end - start) * len(batches))
        model.compile(keras.optimizers.Adam(schedule), loss=task.loss(), metrics=task.metrics())
        found = model.fit(
            batches,
            initial_epoch=start,
            epochs=end,
            shuffle=False,
            callbacks=[keras.callbacks.TerminateOnNaN()],
            verbose=verbose,
        ).history
        for key, values in found.items():
            history.setdefault(key, []).extend(map(float, values))
        if not np.isfinite(history["loss"]).all():
            raise ValueError(
                f"The loss is {history['loss'][-1]} in epoch {len(history['loss'])}; a smaller learning rate may help."
            )
    if (name := weight_not_finite(model)) is not None:  # the loss of the last step is that of before it
        raise ValueError(f"The weight {name} has values that are not finite; a smaller learning rate may help.")
    for layer in model.layers:
        layer.trainable = True
    model.compile(keras.optimizers.Adam(learning_rate), loss=task.loss(), metrics=task.metrics())
    return history


def _metrics(data: Any, test: Any, tuned: FineTuned, seed: int) -> dict[str, Any]:
    examples = tuned.train_examples + (tuned.test_examples if test is None else 0)
    return {
        "dataset": _dataset(data),
        "source": f"{_dataset(data)}, {examples} examples of {', '.join(tuned.preprocessor.classes)}",
        "split": "held out" if test is None else f"test set {_dataset(test)}",
        "examples": tuned.test_examples,
        **tuned.scores,
        "seeds": [seed],
    }


def _recipe(base: str, data: Any, test: Any, settings: dict[str, Any], tuned: FineTuned, seconds: float) -> dict:
    return {
        "command": _command(base, data, test, settings),
        "base": base,
        "epochs": settings["epochs"],
        "batch_size": settings["batch_size"],
        "train_examples": tuned.train_examples,
        "seconds": round(seconds, 1),
        "hardware": hardware(),
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "versions": versions(),
    }


def _inherited(description: dict[str, Any]) -> dict[str, Any]:
    """Paper, without the figures that are of other data, and licence of the model that this one was made of."""
    paper, licence = description.get("paper") or {}, description.get("licence") or {}
    return {
        "paper": {key: paper[key] for key in ("title", "arxiv") if key in paper} or None,
        "licence": {"weights": licence.get("weights", "unknown"), "data": "not stated"},
    }


def _card(base: str, description: dict[str, Any], from_scratch: bool) -> dict:
    known = description.get("card") or {}
    made = f"Architecture of {base}, trained from random weights." if from_scratch else f"Fine-tuned from {base}."
    card = {"about": f"{made} {known.get('about', '')}".strip()}
    if "citation" in known:
        card["citation"] = known["citation"]
    return card


def _dataset(data: Any) -> str:
    return dataset_name(data) if isinstance(data, (str, Path)) else "arrays"


def dataset_name(path: str | Path) -> str:
    """What a folder or a file of examples is called."""
    path = Path(path).resolve()
    return path.stem if path.suffix.lower() == ".npz" else path.name


def _command(base: str, data: Any, test: Any, settings: dict[str, Any]) -> str:
    """What makes the model again, as typed by a person, without folders above those of the data."""
    if not isinstance(data, (str, Path)) or not isinstance(test, (str, Path, type(None))):
        arguments = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        return f'groco.finetune("{base}", (images, labels), {arguments})'
    words = ["groco", "finetune", base, "--data", Path(data).resolve().name]
    words += ["--test", Path(test).resolve().name] if test is not None else []
    for key, value in settings.items():
        option = f"--{key.replace('_', '-')}"
        if key == "size" and value is not None:
            words += [option, "x".join(map(str, value))]
        elif isinstance(value, bool):
            words += [option] if value else []
        elif isinstance(value, (list, tuple)):
            words += [option, *map(str, value)] if value else []
        elif value is not None and not (key == "validation_split" and test is not None):
            words += [option, str(value)]
    return shlex.join(words)


def _golden(preprocess: Preprocessor, sizes: Sequence[int], seed: int) -> np.ndarray:
    """Noise of the inputs' form: what is compared after loading must not give away anyone's images."""
    most = preprocess.multiple_of * max(1, GOLDEN_SIZE // preprocess.multiple_of)
    spatial = [min(n, most) if known is None else known for n, known in zip(sizes, preprocess.size, strict=True)]
    shape = (GOLDEN_INPUTS, *spatial, preprocess.channels)
    noise = np.random.default_rng(seed).integers(int(preprocess.maximum) + 1, size=shape)
    return noise.astype(np.uint8 if preprocess.maximum <= 255 else np.float32)
