"""A trained G-CNN in a file for programs without groco, or without Keras."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from groco._descriptors import redirected
from groco._errors import one_line
from groco.surgery.plain import check_implementation, export_plain

# How the path of each format ends.
FORMATS = {"keras": ".keras", "tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite"}

_SAVED_MODEL = {"saved_model.pb", "variables", "assets", "fingerprint.pb", "keras_metadata.pb"}

# The backends that write each format, through Keras' own export.
_BACKENDS = {"tf_saved_model": ("tensorflow", "jax"), "onnx": ("tensorflow", "torch"), "litert": ("tensorflow",)}


def export_model(
    model: keras.Model | str | Path,
    path: str | Path,
    format: str = "keras",
    fold_batch_norm: bool = True,
    implementation: str = "dense",
) -> Path:
    """Writes a trained G-CNN as a plain net (see `export_plain`), in the format of another program.

    Args:
        model: a functional or sequential model, or what `groco.from_pretrained` takes: a name, a folder.
        path: where it goes. What is there already is replaced once the new one is complete.
        format: `"keras"`, a `.keras` file that Keras loads without groco; `"tf_saved_model"`, a folder for TensorFlow,
            whose `serve` takes the inputs; `"onnx"`, a `.onnx` file; `"litert"`, a `.tflite` file. The latter two need
            `pip install "groco[export]"`. Of several inputs or outputs a LiteRT interpreter has another order than the
            model: use its `get_signature_runner()`, which goes by names.
        fold_batch_norm, implementation: as in `export_plain`.

    Returns:
        The path.

    Raises:
        ValueError: if the format is not known, the path does not end as it should, the backend does not write the
            format, or the model has no plain counterpart or none in the format, as in half precision.
        ImportError: if a package that writes the format is missing.

    Example:

    >>> groco.surgery.export_model("p4cnn.rotmnist", "digits.onnx", "onnx")
    """
    path = Path(path)
    if not path.name:  # the folder one is in, or all there is
        raise ValueError(f"the path is that of a file or folder by its name, got {str(path)!r}.")
    _check(path, format, implementation)
    if not isinstance(model, keras.Model):
        from groco.pretrained import from_pretrained

        model = from_pretrained(model)
    plain = export_plain(model, fold_batch_norm, implementation)
    _check_precision(plain, format)
    _check_groups_of_channels(plain, format)
    _check_sizes(plain, format)
    with _replacing(path) as new:
        if format == "keras":
            plain.save(new)
        else:
            _export(plain, new, format)
    return path


def _check(path: Path, format: str, implementation: str) -> None:
    check_implementation(implementation)
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(map(repr, FORMATS))}, got {format!r}.")
    suffix, backend = FORMATS[format], keras.backend.backend()
    if path.suffix != suffix and suffix:
        raise ValueError(f"the path of format {format!r} ends in {suffix!r}, got {str(path)!r}.")
    if format in _BACKENDS and backend not in _BACKENDS[format]:
        names = " or ".join(_BACKENDS[format])
        raise ValueError(f"Keras on {backend} does not write format {format!r}; set KERAS_BACKEND to {names}.")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {str(path.parent)!r}.")
    if path.exists() and path.is_dir() == bool(suffix):
        raise ValueError(f"{str(path)!r} is a {'folder' if suffix else 'file'}; give another path.")
    if path.is_dir() and (others := {file.name for file in path.iterdir()} - _SAVED_MODEL):
        raise ValueError(
            f"the folder {str(path)!r} has other things in it than a SavedModel, {min(others)!r}; give another path."
        )


def _check_precision(plain: keras.Model, format: str) -> None:
    """Raises ValueError for numbers that no runtime of the format computes with."""
    unknown = {"onnx": ("bfloat16",), "litert": ("bfloat16", "float16")}.get(format, ())
    for layer in plain._flatten_layers(include_self=False):
        if layer.compute_dtype in unknown:
            raise ValueError(
                f"{plain.name} cannot be exported to {format!r}: {layer.name} computes in {layer.compute_dtype}; build "
                "the model in float32 (its weights are), set them by set_weights, and export that."
            )


def _check_groups_of_channels(plain: keras.Model, format: str) -> None:
    """Raises ValueError for what Keras computes by XLA on TensorFlow, of which ONNX knows nothing."""
    if format != "onnx" or keras.backend.backend() != "tensorflow":
        return
    for layer in plain._flatten_layers(include_self=False):
        if getattr(layer, "groups", 1) > 1:
            raise ValueError(
                f"{plain.name} cannot be exported to {format!r} by Keras on tensorflow: {layer.name} has "
                f"groups={layer.groups}; set KERAS_BACKEND to torch, or write it as 'litert' or 'tf_saved_model'."
            )


def _check_sizes(plain: keras.Model, format: str) -> None:
    """Raises ValueError where Keras would trace the model with images of one point for those of unknown sizes."""
    if _is_of_any_size(plain) and format == "onnx" and keras.backend.backend() == "torch":
        raise ValueError(
            f"{plain.name} takes any size, and Keras on torch cannot export that to {format!r}; build the model for a "
            "known input_shape, or set KERAS_BACKEND to tensorflow."
        )


def _is_of_any_size(plain: keras.Model) -> bool:
    return any(None in tensor.shape[1:] for tensor in plain.inputs)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` at the end; nothing is left behind if that fails."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        new = Path(folder) / path.name
        yield new
        if path.is_dir():
            path.rename(Path(folder) / "replaced")
        new.replace(path)


def _export(plain: keras.Model, path: Path, format: str) -> None:
    output = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(output),
            _quiet("tf2onnx", "tensorflow", "absl"),
            open(os.devnull, "w") as nowhere,
            redirected(nowhere, 1, 2),  # converters write the whole net there where they fail
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # of the converters, about each other's versions
            plain.export(path, format=format, verbose=False, input_signature=_signature(plain), **_options(format))
            if format == "onnx":  # the converter from TensorFlow writes what it cannot convert all the same
                import onnx

                onnx.checker.check_model(path, full_check=True)
    except ImportError as error:
        raise ImportError(
            f'{error}: to write format {format!r}, install what is missing, pip install "groco[export]"'
        ) from None
    except Exception as error:
        missing = re.search("TF Select ops: (.*)", str(error))
        reason = f"it has no {missing[1]}" if missing else one_line(error).partition(" [Caused by")[0][:300]
        if format == "onnx" and keras.backend.backend() == "torch" and not isinstance(error, OSError):
            reason += "; with KERAS_BACKEND=tensorflow another converter writes it"
        if _is_of_any_size(plain) and keras.backend.backend() != "tensorflow" and not isinstance(error, OSError):
            reason = (
                f"it takes any size; build it for a known input_shape, or set KERAS_BACKEND to tensorflow ({reason})"
            )
        raise ValueError(
            f"{plain.name} cannot be exported to {format!r} by Keras on {keras.backend.backend()}: {reason}"
        ) from error
    if not path.exists():
        raise ValueError(f"{plain.name} cannot be exported to {format!r}: Keras wrote nothing. {output.getvalue()}")


def _options(format: str) -> dict[str, Any]:
    if format != "litert":
        return {}
    import tensorflow as tf  # which alone writes it

    # Else it leaves what it cannot convert to TensorFlow, which the interpreter does not have.
    return {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}


def _signature(plain: keras.Model) -> list:
    """The one argument of the model; Keras finds it by itself only where the model has been called."""
    specs = [keras.InputSpec(shape=x.shape, dtype=x.dtype, name=x.name) for x in plain.inputs]
    return [keras.tree.pack_sequence_as(plain._inputs_struct, specs)]


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Nothing of other packages' logs: what goes wrong they raise, too."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
