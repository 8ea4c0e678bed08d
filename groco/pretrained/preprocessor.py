"""What a trained model expects of its images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groco.pretrained.manifest import PretrainedError, model_folder, model_info, verify_file

SCHEMA = 1


@dataclass(frozen=True)
class Preprocessor:
    """Turns images as they come into what a model was trained on: `(image - mean) / std`.

    Attributes:
        size: (height, width) in pixels.
        channels: number of channels, 1 for grey images.
        mean, std: of the training images, for values 0 to 255.
        classes: the names of the classes in the order of the model's outputs.

    Example:

    >>> import groco, numpy as np
    >>> preprocess = groco.preprocessor("p4cnn.rotmnist")
    >>> preprocess(np.zeros((5, 28, 28), "uint8")).shape
    (5, 28, 28, 1)
    """

    size: tuple[int, int]
    channels: int
    mean: float
    std: float
    classes: tuple[str, ...]

    def __call__(self, images) -> np.ndarray:
        """Prepares images for the model.

        Args:
            images: values 0 to 255: (batch, height, width, channels), without the last axis for grey images, or one
                image (height, width) or (height, width, channels).

        Returns:
            (batch, height, width, channels) float32.

        Raises:
            ValueError: if the images have another size or number of channels, or values outside of 0 to 255.
        """
        array = np.asarray(images)
        height, width = self.size
        one = (height, width, self.channels)
        shapes = [one, (height, width)] if self.channels == 1 else [one]
        if array.shape in shapes:
            array = array[None]
        if array.shape[1:] not in shapes:
            raise ValueError(
                f"The model needs images of {height} x {width} pixels and {self.channels} channel(s), "
                f"got shape {array.shape}."
            )
        if not np.issubdtype(array.dtype, np.number):
            raise ValueError(f"Images are numbers 0 to 255, got values of type {array.dtype}.")
        if array.size and not (array.min() >= 0 and array.max() <= 255):
            raise ValueError(f"Images have values 0 to 255, got {array.min()} to {array.max()}.")
        return ((array.reshape(-1, *one).astype(np.float32) - self.mean) / self.std).astype(np.float32)

    def read(self, paths: Sequence[str | Path], invert: bool = False) -> np.ndarray:
        """Reads image files (any format that Pillow knows), unprepared.

        Args:
            paths: the files; each must have the model's size in pixels.
            invert: turn dark-on-light images into light-on-dark ones.

        Returns:
            (len(paths), height, width, channels) uint8.

        Raises:
            FileNotFoundError: if a file is not there.
            ValueError: if a file is not an image or has another size; the message names it.
        """
        from PIL import Image, UnidentifiedImageError

        height, width = self.size
        images = np.empty((len(paths), height, width, self.channels), np.uint8)
        for index, path in enumerate(paths):
            if not Path(path).is_file():
                raise FileNotFoundError(f"There is no image file {str(path)!r}.")
            try:
                with Image.open(path) as file:
                    image = file.convert("L" if self.channels == 1 else "RGB")
            except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
                raise ValueError(f"{str(path)!r} cannot be read as an image: {error}") from None
            if image.size != (width, height):
                raise ValueError(
                    f"{str(path)!r} has {image.size[1]} x {image.size[0]} pixels, the model needs {height} x {width}."
                )
            images[index] = np.asarray(image).reshape(height, width, self.channels)
        return 255 - images if invert else images

    def save(self, path: Path) -> None:
        """Writes preprocessor.json."""
        content = {
            "schema": SCHEMA,
            "size": list(self.size),
            "channels": self.channels,
            "mean": self.mean,
            "std": self.std,
            "classes": list(self.classes),
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Preprocessor:
        """Reads preprocessor.json; raises PretrainedError if it is not one."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema"] != SCHEMA:
                raise ValueError(f"schema {content['schema']!r}, not {SCHEMA}")
            height, width = content["size"]
            return cls(
                size=(int(height), int(width)),
                channels=int(content["channels"]),
                mean=float(content["mean"]),
                std=float(content["std"]),
                classes=tuple(map(str, content["classes"])),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PretrainedError(f"{path} is not a preprocessor: {error!r}") from None


def preprocessor(name: str) -> Preprocessor:
    """The preprocessor of a trained model.

    Args:
        name: a name from `groco.list_pretrained()`.

    Raises:
        PretrainedError: if there is no such model, or its file is not what the manifest vouches for.
    """
    info = model_info(name)
    file = "preprocessor.json"
    return Preprocessor.load(verify_file(model_folder(name), file, info.files[file]))
