"""What a trained model expects of its images or volumes, and what its outputs mean."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from groco.pretrained.files import first_line, is_array, read_array, read_picture
from groco.pretrained.manifest import PretrainedError
from groco.pretrained.metrics import TASKS
from groco.pretrained.source import locate

SCHEMA = 1
PREPROCESSOR = "preprocessor.json"


@dataclass(frozen=True)
class Preprocessor:
    """Turns images or volumes as they come into what a model was trained on: `(image - mean) / std`.

    Attributes:
        size: (height, width) in pixels, or (depth, height, width) in voxels; None where any will do.
        channels: number of channels, 1 for grey images.
        mean, std: of the training images, in their own units: a number, or one for each channel.
        classes: the names of the classes in the order of the model's outputs, for segmentation of the output's
            channels.
        task: `"classification"`, or `"segmentation"` for outputs at each pixel.
        maximum: the largest value that an image can have; the smallest is 0.
        multiple_of: what sizes that are None must be divisible by.
        resize: whether images of another size are resized when they are read; the model was trained on such.
        inverted: whether `maximum - images` is prepared, as of images that are dark on light for a model that was first
            trained on light on dark.

    Raises:
        ValueError: for anything else than that.

    Example:

    >>> import groco, numpy as np
    >>> preprocess = groco.preprocessor("p4cnn.rotmnist")
    >>> preprocess(np.zeros((5, 28, 28), "uint8")).shape
    (5, 28, 28, 1)
    """

    size: tuple[int | None, ...]
    channels: int
    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]
    classes: tuple[str, ...]
    task: str = "classification"
    maximum: float = 255
    multiple_of: int = 1
    resize: bool = False
    inverted: bool = False

    def __post_init__(self):
        if len(self.size) not in (1, 2, 3) or not all(n is None or _positive(n) for n in self.size):
            raise ValueError(f"size has one to three whole numbers above 0, or None, got {self.size!r}")
        if not _positive(self.channels) or not _positive(self.multiple_of):
            raise ValueError("channels and multiple_of are whole numbers above 0")
        for name, values in (("mean", self.mean), ("std", self.std)):
            numbers = values if isinstance(values, tuple) else (values,)
            if len(numbers) not in (1, self.channels) or not all(map(_finite, numbers)):
                raise ValueError(f"{name} is a number, or one for each of {self.channels} channels, got {values!r}")
            if name == "std" and min(numbers) <= 0:
                raise ValueError(f"std is above 0, got {values!r}")
        if self.task not in TASKS:
            raise ValueError(f"task is one of {', '.join(TASKS)}, got {self.task!r}")
        if not _finite(self.maximum) or self.maximum <= 0:
            raise ValueError(f"maximum is a number above 0, got {self.maximum!r}")
        if not self.classes:
            raise ValueError("classes has at least one name")
        if not isinstance(self.resize, bool) or (self.resize and (len(self.size) != 2 or None in self.size)):
            raise ValueError(f"resize is True or False, and True only with a known height and width, got {self.size!r}")
        if not isinstance(self.inverted, bool):
            raise ValueError(f"inverted is True or False, got {self.inverted!r}")

    def __call__(self, images) -> np.ndarray:
        """Prepares images or volumes for the model.

        Args:
            images: an array of values 0 to `maximum`: (batch, *size, channels), without the last axis if there is one
                channel, or one image without the batch axis.

        Returns:
            (batch, *size, channels) float32.

        Raises:
            ValueError: if the images have another size or number of channels, or values out of range or of another
                range, as of images that are scaled to 0 to 1 already; or are no array that has values, as inside of
                `tf.data.Dataset.map`.
        """
        array = self._batch(_as_array(images))
        self._check_values(array)
        array = self.invert(array) if self.inverted else array
        mean, std = np.asarray(self.mean, np.float64), np.asarray(self.std, np.float64)
        if mean.ndim == std.ndim == 0:
            return ((array.astype(np.float32) - self.mean) / self.std).astype(np.float32)
        return ((array.astype(np.float32) - mean) / std).astype(np.float32)

    def describe(self) -> str:
        """In words, of what form the images are: "of 28 x 28 pixels and 1 channel, values 0 to 255"."""
        free = f" (a multiple of {self.multiple_of})" if None in self.size and self.multiple_of > 1 else ""
        sizes = " x ".join("any" if n is None else str(n) for n in self.size)
        unit = "voxels" if len(self.size) == 3 else "pixels"
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        contrast = ", which the preprocessor inverts" if self.inverted else ""
        return f"of {sizes} {unit}{free} and {channels}, values 0 to {self.maximum:g}{contrast}"

    def probabilities(self, outputs, from_logits: bool | None = None) -> np.ndarray:
        """The probabilities of the classes from a model's logits: softmax over the last axis, sigmoid if it is 1.

        Args:
            outputs: (batch, ..., classes) logits.
            from_logits: False for probabilities already, as of a model with `classifier_activation="softmax"`, which
                are given back. By default those of several classes are recognised: none of all outputs is negative, and
                each sum over the classes is 1, to 1e-3. Outputs of one class are logits.

        Returns:
            As `outputs`, float64.
        """
        logits = np.asarray(outputs, dtype="float64")
        if logits.ndim < 2 or logits.shape[-1] != len(self.classes):
            raise ValueError(f"Outputs have a last axis of {len(self.classes)} classes, got shape {logits.shape}.")
        if from_logits is None:
            several = logits.shape[-1] > 1 and logits.size > 0
            from_logits = not (several and logits.min() >= 0 and np.allclose(logits.sum(axis=-1), 1, atol=1e-3))
        if not from_logits:
            return logits
        if logits.shape[-1] == 1:
            return 0.5 * (1 + np.tanh(0.5 * logits))
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def decode(self, outputs, top: int = 1, from_logits: bool | None = None) -> list[list[tuple[str, float]]]:
        """The most likely classes from a classifier's logits.

        Args:
            outputs: (batch, classes) logits.
            top: how many classes.
            from_logits: as of `probabilities`.

        Returns:
            For each image the names and probabilities of the `top` classes, the most likely first.

        Raises:
            ValueError: if the model is no classifier, or the outputs have another shape.
        """
        if self.task != "classification" or np.ndim(outputs) != 2:
            raise ValueError(
                f"Only outputs (batch, classes) of a classifier are decoded, got shape {np.shape(outputs)} of a model "
                f"for {self.task}; see `probabilities`."
            )
        rows = self.probabilities(outputs, from_logits)
        return [[(self.classes[i], float(row[i])) for i in np.argsort(-row, kind="stable")[:top]] for row in rows]

    def read(self, paths: Sequence[str | Path]) -> np.ndarray:
        """Reads files, unprepared: images of any format that Pillow knows, or arrays of NumPy (.npy).

        Grey images of 16 bits are scaled to 8: divided by 257.

        Args:
            paths: the files; each must have the model's size, and all the same, unless the preprocessor resizes them.

        Returns:
            (len(paths), *size, channels), uint8 for images.

        Raises:
            FileNotFoundError: if a file is not there.
            ValueError: if a file cannot be read or has another size, or, among several, values that the model does not
                take; the message names it.
        """
        images = [self._read(path) for path in paths]
        for path, image in zip(paths, images, strict=True):
            if len(images) > 1:  # as one array, of one type, they would hide what each has
                try:
                    self._check_values(image)
                except ValueError as error:
                    raise ValueError(f"{str(path)!r}: {error}") from None
            if image.shape != images[0].shape:
                raise ValueError(
                    f"{str(path)!r} has shape {image.shape[:-1]}, {str(paths[0])!r} has {images[0].shape[:-1]}; "
                    "files of several sizes must be read one by one."
                )
        return np.stack(images) if images else np.empty((0, *(n or 0 for n in self.size), self.channels), np.uint8)

    def invert(self, images: np.ndarray) -> np.ndarray:
        """`maximum - images`: dark-on-light images as light-on-dark ones; of the same type where that holds them."""
        fits = images.dtype.kind == "f" or (images.dtype == np.uint8 and self.maximum in range(256))
        images = images if fits else images.astype(np.float32)
        return np.asarray(self.maximum, images.dtype) - images

    def save(self, path: Path) -> None:
        """Writes preprocessor.json."""
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "size": list(self.size),
            "channels": self.channels,
            "mean": self.mean,
            "std": self.std,
            "classes": list(self.classes),
        }
        if self.task != "classification":
            content["task"] = self.task
        if self.maximum != 255:
            content["maximum"] = self.maximum
        if self.multiple_of != 1:
            content["multiple_of"] = self.multiple_of
        if self.resize:
            content["resize"] = True
        if self.inverted:
            content["inverted"] = True
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Preprocessor:
        """Reads preprocessor.json; raises PretrainedError if it is not one."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema"] != SCHEMA:
                raise ValueError(f"schema {content['schema']!r}, not {SCHEMA}")
            return cls(
                size=tuple(content["size"]),
                channels=content["channels"],
                mean=_plain(content["mean"]),
                std=_plain(content["std"]),
                classes=tuple(map(str, content["classes"])),
                task=content.get("task", "classification"),
                maximum=content.get("maximum", 255),
                multiple_of=content.get("multiple_of", 1),
                resize=content.get("resize", False),
                inverted=content.get("inverted", False),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise PretrainedError(f"{path} is not a preprocessor: {error!r}") from None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether these are the model's spatial sizes."""
        return len(shape) == len(self.size) and all(
            n == wanted if wanted is not None else n > 0 and n % self.multiple_of == 0
            for n, wanted in zip(shape, self.size, strict=True)
        )

    def _check_values(self, array: np.ndarray) -> None:
        """Raises ValueError unless they are numbers 0 to `maximum`, and not as if they were scaled already."""
        if array.dtype.kind not in "iufb":
            raise ValueError(f"Images are numbers 0 to {self.maximum}, got values of type {array.dtype}.")
        if array.size and not (array.min() >= 0 and array.max() <= self.maximum):
            raise ValueError(f"Images have values 0 to {self.maximum}, got {array.min()} to {array.max()}.")
        if self.maximum > 1 and array.size and _is_scaled(array):
            raise ValueError(
                f"Images have values 0 to {self.maximum}, got {array.dtype} values up to {array.max()}, as if "
                f"they were scaled already; multiply them by {self.maximum}."
            )

    def _batch(self, array: np.ndarray) -> np.ndarray:
        """The array with a batch axis and a channel axis."""
        shape, rank = array.shape, len(self.size)
        grey = self.channels == 1
        if grey and self.fits(shape):
            return array[None, ..., None]
        if len(shape) == rank + 1 and shape[-1] == self.channels and self.fits(shape[:-1]):
            return array[None]
        if grey and len(shape) == rank + 1 and self.fits(shape[1:]):
            return array[..., None]
        if len(shape) == rank + 2 and shape[-1] == self.channels and self.fits(shape[1:-1]):
            return array
        raise ValueError(
            f"The model needs images {self.describe()}, got shape {shape}. For a model that was loaded for another "
            "input_shape, use dataclasses.replace(preprocess, size=...)."
        )

    def _read(self, name: str | Path) -> np.ndarray:
        """One file as an array with the channel axis."""
        path = Path(name)
        if not path.is_file():
            raise FileNotFoundError(f"There is no image file {str(name)!r}.")
        image = read_array(path) if is_array(path) else self._read_picture(path)
        if self.channels == 1 and image.ndim == len(self.size):
            image = image[..., None]
        if self.resize and image.ndim == 3:
            image = resize_image(image, self.size)
        if image.ndim != len(self.size) + 1 or image.shape[-1] != self.channels or not self.fits(image.shape[:-1]):
            raise ValueError(f"{str(path)!r} has shape {image.shape}; the model needs images {self.describe()}.")
        return image

    def _read_picture(self, path: Path) -> np.ndarray:
        if len(self.size) != 2 or self.channels not in (1, 3):
            raise ValueError(f"{str(path)!r} is not an .npy file; the model needs arrays {self.describe()}.")
        return read_picture(path, self.channels)


def resize_image(image: np.ndarray, size: Sequence[int | None]) -> np.ndarray:
    """Resizes (height, width, channels) by linear interpolation, over all pixels that a smaller one covers (Pillow)."""
    from PIL import Image

    if image.shape[:2] == tuple(size):
        return image
    height, width = size
    channels = image if image.dtype == np.uint8 else image.astype(np.float32)
    resized = [
        np.asarray(Image.fromarray(np.ascontiguousarray(channel)).resize((width, height), Image.Resampling.BILINEAR))
        for channel in np.moveaxis(channels, -1, 0)
    ]
    return np.stack(resized, axis=-1)


def _as_array(images) -> np.ndarray:
    try:
        return np.asarray(images.detach().cpu() if hasattr(images, "detach") else images)  # PyTorch's, on a GPU
    except Exception as error:  # each backend has its own for tensors that have no values yet
        if isinstance(images, list | tuple):
            raise
        raise ValueError(
            f"Images are an array with values, got {type(images).__name__} ({first_line(error)}). Prepare them before "
            "they go into a pipeline, or in it through tf.numpy_function."
        ) from None


def _is_scaled(array: np.ndarray) -> bool:
    """Whether values are of 0 to 1: bools, or floats up to 1 that differ or are no whole numbers."""
    if array.dtype.kind != "f":
        return array.dtype == np.bool_  # dark pictures of 8 bits have 0 and 1, too
    return bool(array.max() <= 1 and (array.min() < array.max() or array.max() % 1 > 0))


def _plain(values):
    return tuple(values) if isinstance(values, list) else values


def _positive(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _finite(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def preprocessor(name: str | Path, **options: Any) -> Preprocessor:
    """The preprocessor of a trained model.

    Args:
        name: a name from `groco.list_pretrained()`, `hf://organisation/name[@revision]`, or a folder.
        **options: revision, cache_dir, local_files_only and token, as of `from_pretrained`.

    Raises:
        PretrainedError: if there is no such model, or its file is not what the manifest vouches for.
    """
    return Preprocessor.load(locate(name, [PREPROCESSOR], **options).folder / PREPROCESSOR)


def decode_predictions(
    name: str | Path, outputs, top: int = 5, from_logits: bool | None = None, **options: Any
) -> list[list[tuple[str, float]]]:
    """The most likely classes from the logits of a trained classifier.

    Args:
        name: of the model, as of `preprocessor`.
        outputs: (batch, classes) logits, what `model.predict` gives.
        top: how many classes.
        from_logits: False for probabilities; by default those are recognised, see `Preprocessor.probabilities`.
        **options: as of `preprocessor`.

    Returns:
        For each image the names and probabilities of the `top` classes, the most likely first.

    Raises:
        PretrainedError: as `preprocessor`.
        ValueError: if the model is no classifier, or the outputs have another shape.

    Example:

    >>> import groco
    >>> groco.decode_predictions("p4cnn.rotmnist", [[0.0] * 9 + [100.0]], top=1)
    [[('9', 1.0)]]
    """
    return preprocessor(name, **options).decode(outputs, top, from_logits)
