"""A trained model in one line."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco.models import get_builder
from groco.pretrained.manifest import PretrainedError, model_folder, model_info, verify_file

SCHEMA = 1
DESCRIPTION = "groco.json"
WEIGHTS = "model.weights.h5"

_log = logging.getLogger("groco")


def from_pretrained(
    name: str | Path,
    *,
    num_classes: int | None = None,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] | None = None,
    **kwargs,
) -> keras.Model:
    """Loads a trained model.

    Every file is checked against the size and sha256 in the manifest before anything in it is parsed.

    Args:
        name: a name from `groco.list_pretrained()`, or a folder with the files of a zoo entry, which nobody vouches
            for; then the log says so.
        num_classes: another number of classes than the model was trained on. All layers but the last get their
            trained weights; the log says which are new.
        include_top: False leaves out the classifier.
        input_shape: another (height, width, channels) than the model was trained on; sizes may be None.
        **kwargs: further arguments of the architecture's builder that do not change the shape of the weights, such as
            `classifier_activation`, `dropout` or `name`.

    Returns:
        An uncompiled `keras.Model`.

    Raises:
        PretrainedError: (a ValueError) if there is no such model; if a file is missing or not what the manifest
            vouches for; if weights do not fit or are not finite.

    Example:

    >>> import groco
    >>> model = groco.from_pretrained("p4cnn.rotmnist")
    >>> model.output_shape
    (None, 10)
    """
    folder = _verified_folder(name)
    description = _read_description(folder)
    builder = get_builder(description["architecture"])
    trained = builder(**description["arguments"])
    _load_weights(trained, folder / WEIGHTS)
    changes: dict[str, Any] = dict(kwargs)
    if num_classes is not None and num_classes != description["arguments"].get("num_classes"):
        changes["num_classes"] = num_classes
    if not include_top:
        changes["include_top"] = False
    if input_shape is not None:
        changes["input_shape"] = tuple(input_shape)
    if not changes:
        return trained
    model = builder(**{**description["arguments"], **changes})
    _transfer(trained, model, str(name), head_may_differ="num_classes" in changes)
    return model


def _verified_folder(name: str | Path) -> Path:
    """The folder of a model, all of whose files are what the manifest says."""
    if isinstance(name, Path) or Path(name).is_dir():
        folder = Path(name)
        missing = [file for file in (DESCRIPTION, WEIGHTS) if not (folder / file).is_file()]
        if missing:
            raise PretrainedError(f"{folder} is not the folder of a model: it has no {' and no '.join(missing)}.")
        _log.warning("%s is unverified: no manifest vouches for its files.", folder)
        return folder
    info = model_info(name)
    folder = model_folder(name)
    for file, expected in info.files.items():
        verify_file(folder, file, expected)
    return folder


def _read_description(folder: Path) -> dict[str, Any]:
    """groco.json: the architecture and the arguments of its builder."""
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PretrainedError(f"{path} cannot be read: {error}") from None
    if not isinstance(description, dict) or description.get("schema") != SCHEMA:
        raise PretrainedError(f"{path} is not a description of schema {SCHEMA}.")
    if not isinstance(description.get("architecture"), str) or not isinstance(description.get("arguments"), dict):
        raise PretrainedError(f"{path} must have 'architecture', a name, and 'arguments', a table.")
    return description


def _load_weights(model: keras.Model, path: Path) -> None:
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise whatever a file that does not fit makes them
        reason = str(error).strip().splitlines()
        raise PretrainedError(f"{path} does not fit {model.name}: {reason[0] if reason else error!r}") from None
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise PretrainedError(f"{path}: the weight {weight.path} has values that are not finite.")


def _transfer(trained: keras.Model, model: keras.Model, name: str, head_may_differ: bool) -> None:
    """Copies the weights of all layers that both models have; says which layers are new."""
    sources = {layer.name: layer for layer in trained.layers}
    fresh = []
    for layer in model.layers:
        if not layer.weights:
            continue
        source = sources.get(layer.name)
        if source is not None and [w.shape for w in source.weights] == [w.shape for w in layer.weights]:
            layer.set_weights(source.get_weights())
        elif head_may_differ and source is not None:
            fresh.append(layer.name)
        else:
            raise PretrainedError(
                f"{name}: the layer {layer.name!r} does not fit the trained one; only num_classes, include_top, "
                "input_shape (with as many channels) and arguments that leave the weights as they are can be changed."
            )
    if fresh:
        _log.warning("%s: newly initialised, to be trained: %s.", name, ", ".join(fresh))
