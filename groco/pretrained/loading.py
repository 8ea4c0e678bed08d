"""A trained model in one line."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco.models import create_model, get_builder
from groco.pretrained.files import first_line
from groco.pretrained.hub import PREFIX
from groco.pretrained.manifest import PretrainedError
from groco.pretrained.safety import check_config, check_size, check_weights, read_json
from groco.pretrained.source import Source, locate

SCHEMA = 1
DESCRIPTION = "groco.json"
CONFIG = "config.json"
WEIGHTS = "model.weights.h5"

# Arguments that leave the trained layers what they are, but for those of the classifier.
_FREE = {"num_classes", "include_top", "input_shape", "pooling", "classifier_activation", "dropout", "name"}
_CHANGEABLE = (
    "only num_classes, include_top, input_shape (with as many channels) and arguments that leave the trained layers as "
    "they are can be changed."
)

_log = logging.getLogger("groco")


def from_pretrained(
    name: str | Path,
    *,
    num_classes: int | None = None,
    include_top: bool = True,
    input_shape: tuple[int | None, ...] | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    compile: bool = False,
    **kwargs,
) -> keras.Model:
    """Loads a trained model.

    It is looked for in the package, then in the cache of the Hugging Face Hub, then on the Hub at the commit that the
    manifest names. Every file is checked against the size and sha256 in the manifest before anything in it is parsed;
    a damaged file of the cache is downloaded once more.

    Args:
        name: a name from `groco.list_pretrained()`; or `hf://organisation/name[@revision]` or a folder, for which
            nobody vouches. Then the log says so, and only layers of Keras and GroCo and weights that fit are loaded.
        num_classes: another number of classes than the model was trained on. All layers but the last get their
            trained weights; the log says which are new.
        include_top: False leaves out the classifier.
        input_shape: another (*spatial, channels) than the model was trained on; sizes may be None.
        revision: another branch, tag or commit on the Hub than the manifest names; nobody vouches for another commit.
        cache_dir: the Hub's cache, if not that of huggingface_hub (HF_HUB_CACHE).
        local_files_only: True asks the Hub for nothing; so does huggingface_hub's offline mode (HF_HUB_OFFLINE).
        token: for the Hub, if not the one that huggingface_hub knows (HF_TOKEN, `hf auth login`).
        compile: True compiles the model to be trained further, with Adam and the cross-entropy of its outputs.
        **kwargs: further arguments of the architecture's builder with which the trained layers stay what they are, such
            as `classifier_activation`, `pooling`, `dropout` or `name`.

    Returns:
        A `keras.Model`.

    Raises:
        PretrainedError: (a ValueError) if there is no such model; if a file is missing, cannot be downloaded or is not
            what the manifest vouches for; if weights do not fit or are not finite; if an argument is not one of the
            architecture's, or would make other layers of those that are trained, as another `group` or `depth`.

    Example:

    >>> import groco
    >>> model = groco.from_pretrained("p4cnn.rotmnist")
    >>> model.output_shape
    (None, 10)
    """
    source = locate(name, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token)
    changes: dict[str, Any] = dict(kwargs)
    if num_classes is not None:
        changes["num_classes"] = num_classes
    if not include_top:
        changes["include_top"] = False
    if input_shape is not None:
        changes["input_shape"] = tuple(input_shape)
    model = load_from(source, changes)
    if compile:
        _compile(model, include_top)
    return model


def load_from(source: Source, changes: dict[str, Any] | None = None) -> keras.Model:
    """The model in a folder, with arguments of its builder changed; uncompiled.

    Raises:
        PretrainedError: as `from_pretrained`.
    """
    folder, changes = source.folder, dict(changes or {})
    missing = [file for file in (DESCRIPTION, WEIGHTS) if not (folder / file).is_file()]
    if source.info is None and (folder / CONFIG).is_file():
        check_config(folder / CONFIG)
        if missing == [DESCRIPTION]:
            return _load_keras(source, changes)
    if missing:
        lacks = f"it has no {' and no '.join(missing)}"
        if source.label.startswith(PREFIX):
            lacks += f" at {folder.name}, or only a part of it is in the cache and the Hub was not asked or not reached"
        raise PretrainedError(f"{source.label} is not a trained model: {lacks}.")
    description = read_description(folder / DESCRIPTION)
    arguments = description["arguments"]
    try:
        builder = get_builder(description["architecture"])
        if source.info is None:
            check_size(functools.partial(builder, **arguments), folder / WEIGHTS, check_weights(folder / WEIGHTS))
        trained = builder(**arguments)
    except PretrainedError:
        raise
    except (TypeError, ValueError) as error:
        raise PretrainedError(f"{folder / DESCRIPTION} does not make a model: {error}") from None
    _load_weights(trained, folder / WEIGHTS)
    changes = {key: value for key, value in changes.items() if key not in arguments or arguments[key] != value}
    if not changes:
        return trained
    try:
        model = create_model(description["architecture"], **{**arguments, **changes})
    except (TypeError, ValueError) as error:
        raise PretrainedError(f"{source.label} cannot be made with other arguments: {error}") from error
    _check_trained(builder, arguments, changes, model, source.label)
    new = []
    if "num_classes" in changes:
        classes = {"num_classes": changes["num_classes"]}
        new = _differing(trained, model if changes == classes else builder(**{**arguments, **classes}))
    _transfer(trained, model, source.label, new)
    return model


def _check_trained(builder, arguments: dict, changes: dict, model: keras.Model, name: str) -> None:
    """Raises PretrainedError if changed arguments make other layers than those that are trained, or leave some out."""
    if changes.keys() <= _FREE:
        return
    kept = builder(**{**arguments, **{key: value for key, value in changes.items() if key in _FREE}})
    trained, found = ({layer.name: layer for layer in each.layers if layer.weights} for each in (kept, model))
    other = [key for key in trained if key not in found or _computes(found[key]) != _computes(trained[key])]
    if other or len(found) != len(trained):
        names = ", ".join(f"{key}={value!r}" for key, value in changes.items() if key not in _FREE)
        layers = f"the layer {other[0]!r}" if other else f"{len(found) - len(trained)} more layers"
        raise PretrainedError(f"{name}: {names} does not fit the trained weights ({layers}); {_CHANGEABLE}")


def _computes(layer: keras.layers.Layer) -> dict[str, Any]:
    """What says which numbers a layer makes with its weights."""
    ignored = ("name", "dtype", "trainable")
    config = {key: value for key, value in layer.get_config().items() if key not in ignored}
    return {**config, "weights": [weight.shape for weight in layer.weights]}


def head_layers(architecture: str, arguments: dict[str, Any]) -> list[str]:
    """The names of the layers whose weights depend on the number of classes."""
    builder, number = get_builder(architecture), arguments["num_classes"]
    few, many = (builder(**{**arguments, "num_classes": n}) for n in (number, number + 1))
    return _differing(few, many)


def _differing(model: keras.Model, other: keras.Model) -> list[str]:
    """The names of the layers whose weights have other shapes in another model."""
    shapes = [{layer.name: [w.shape for w in layer.weights] for layer in each.layers} for each in (model, other)]
    return [name for name in shapes[0] if shapes[0][name] != shapes[1].get(name)]


def read_description(path: Path) -> dict[str, Any]:
    """groco.json: the architecture and the arguments of its builder. Raises PretrainedError if it is not one."""
    description = read_json(path)
    if not isinstance(description, dict) or description.get("schema") != SCHEMA:
        found = description.get("schema") if isinstance(description, dict) else description
        raise PretrainedError(f"{path} is not a description of schema {SCHEMA}: it has {found!r}.")
    if not isinstance(description.get("architecture"), str) or not isinstance(description.get("arguments"), dict):
        raise PretrainedError(f"{path} must have 'architecture', a name, and 'arguments', a table.")
    for key, value in description["arguments"].items():
        if isinstance(value, dict):
            raise PretrainedError(f"{path}: the argument {key!r} is a table; only numbers, names and lists are read.")
    return description


def _load_keras(source: Source, changes: dict[str, Any]) -> keras.Model:
    """A model saved by Keras that GroCo has no builder for; its config was checked."""
    if changes:
        raise PretrainedError(
            f"{source.label} has no {DESCRIPTION}, so it can only be loaded as it is; got {', '.join(sorted(changes))}."
        )
    check_weights(source.folder / WEIGHTS)
    try:
        model = keras.saving.load_model(str(source.folder), compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a config or file that does not fit makes it
        raise PretrainedError(f"{source.label} cannot be loaded by Keras: {first_line(error)}") from None
    _check_finite(model, source.folder / WEIGHTS)
    return model


def _load_weights(model: keras.Model, path: Path) -> None:
    check_weights(path, model)
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise whatever a file that does not fit makes them
        raise PretrainedError(f"{path} does not fit {model.name}: {first_line(error)}") from None
    _check_finite(model, path)


def _check_finite(model: keras.Model, path: Path) -> None:
    if (name := weight_not_finite(model)) is not None:
        raise PretrainedError(f"{path}: the weight {name} has values that are not finite.")


def weight_not_finite(model: keras.Model) -> str | None:
    """The path of the first weight with values that are not finite."""
    wrong = (weight for weight in model.weights if not np.isfinite(keras.ops.convert_to_numpy(weight)).all())
    return next((weight.path for weight in wrong), None)


def _compile(model: keras.Model, include_top: bool) -> None:
    if not include_top:
        raise PretrainedError("A model without its classifier has nothing to be trained on; compile it with a loss.")
    from_logits = gives_logits(model)
    if model.output_shape[-1] == 1:
        accuracy = keras.metrics.BinaryAccuracy("binary_accuracy", threshold=0.0 if from_logits else 0.5)
        model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=from_logits), metrics=[accuracy])
    else:
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits), metrics=["accuracy"])


def gives_logits(model: keras.Model) -> bool:
    """Whether the outputs of a classifier have no activation."""
    activation = getattr(model.layers[-1], "activation", None)
    return activation is None or activation is keras.activations.linear


def _transfer(trained: keras.Model, model: keras.Model, name: str, may_be_new: Sequence[str]) -> None:
    """Copies the weights of all layers that both models have; says which layers are new."""
    sources = {layer.name: layer for layer in trained.layers}
    fresh = []
    for layer in model.layers:
        if not layer.weights:
            continue
        source = sources.get(layer.name)
        if source is not None and [w.shape for w in source.weights] == [w.shape for w in layer.weights]:
            layer.set_weights(source.get_weights())
        elif layer.name in may_be_new:
            fresh.append(layer.name)
        else:
            raise PretrainedError(f"{name}: the layer {layer.name!r} does not fit the trained one; {_CHANGEABLE}")
    if fresh:
        _log.warning("%s: newly initialised, to be trained: %s.", name, ", ".join(fresh))
