"""Labelled images or volumes to train on: from folders, an .npz, or arrays; checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from groco.pretrained.files import sizes_of
from groco.pretrained.labelled import (
    MASKS,
    are_two_values,
    check_classes,
    check_whole_numbers,
    encode_labels,
    is_shown,
    list_files,
    list_pairs,
    read_mask,
    read_npz,
    resize_images,
    resize_mask,
)
from groco.pretrained.preprocessor import Preprocessor


@dataclass(frozen=True)
class Examples:
    """Prepared inputs with their labels.

    Attributes:
        inputs: (n, *spatial, channels) float32.
        labels: indices of classes, (n,), or (n, *spatial) for segmentation; with one class 1 where it is.
        classes: the names of the classes, in the order of the indices.
    """

    inputs: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: np.ndarray) -> Examples:
        return Examples(self.inputs[indices], self.labels[indices], self.classes)


def read_examples(
    data: Any,
    preprocess: Preprocessor,
    classes: Sequence[str] | None = None,
    invert_masks: bool = False,
    numbers_are_names: bool = False,
) -> Examples:
    """Reads and prepares all labelled examples.

    Args:
        data: a folder, an .npz, or (images, labels), as of `groco.finetune`.
        preprocess: what the model expects of its inputs; its task says what labels are.
        classes: the names of the classes; by default those that are found.
        invert_masks: the masks are 0 where the class is.
        numbers_are_names: labels that are numbers are names among `classes`, not their indices.

    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: that names the file or array that is not as it should be.
    """
    segmentation = preprocess.task == "segmentation"
    if isinstance(data, (str, Path)):
        path = Path(data)
        if path.is_dir():
            if segmentation:
                return _read_pairs(path, preprocess, classes, invert_masks)
            return _read_classes(path, preprocess, classes)
        if path.suffix != ".npz" or not path.is_file():
            raise FileNotFoundError(f"There is no folder and no .npz file {str(path)!r} with data.")
        images, labels = read_npz(path, MASKS if segmentation else "labels")
        where = str(path)
    else:
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise ValueError(f"data is a folder, an .npz file or (images, labels), got {type(data).__name__}.")
        images, labels = data
        where = "data"
    inputs = _prepare_arrays(images, preprocess, where)
    if segmentation:
        shapes = [np.shape(image)[: len(preprocess.size)] for image in images]
        masks = _fit_masks(labels, shapes, preprocess, where)
        return Examples(inputs, *_encode_masks(masks, classes, invert_masks, where))
    return Examples(inputs, *encode_labels(labels, len(inputs), classes, where, numbers_are_names))


def split_examples(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Holds out a share, drawn at random; of a classifier's examples the same share of each class.

    Returns:
        What is left, and what is held out.

    Raises:
        ValueError: if there are too few examples to do so.
    """
    rng = np.random.default_rng(seed)
    if examples.labels.ndim == 1:
        groups = {name: np.flatnonzero(examples.labels == k) for k, name in enumerate(examples.classes)}
    else:
        groups = {"": np.arange(len(examples))}
    kept, held = [], []
    for name, indices in groups.items():
        if len(indices) < 2:
            which = f"The class {name!r} has" if name else "There is"
            raise ValueError(
                f"{which} {len(indices)} image(s): one at least is needed to train on and one to be held out. "
                "Add images, or give a test set of its own."
            )
        number = min(max(round(share * len(indices)), 1), len(indices) - 1)
        drawn = rng.permutation(indices)
        held.append(drawn[:number])
        kept.append(drawn[number:])
    return examples.take(np.sort(np.concatenate(kept))), examples.take(np.sort(np.concatenate(held)))


def _read_classes(folder: Path, preprocess: Preprocessor, classes: Sequence[str] | None) -> Examples:
    """A folder with one folder of files for each class."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and is_shown(path))
    found = {path: list_files(path) for path in folders}
    if not any(found.values()):
        raise ValueError(f"{str(folder)!r} has no folders with image files, one for each class.")
    for path in folders:
        if not found[path]:
            raise ValueError(f"{str(path)!r} has no image files; remove the folder if it is not a class.")
    names = tuple(classes) if classes is not None else tuple(path.name for path in folders)
    if unknown := [path.name for path in folders if path.name not in names]:
        raise ValueError(f"{str(folder)!r} has other classes than {', '.join(names)}: {', '.join(unknown)}.")
    check_classes(names, str(folder))
    files = [(file, names.index(path.name)) for path in folders for file in found[path]]
    inputs = _prepare_files([file for file, _ in files], preprocess)
    return Examples(inputs, np.array([label for _, label in files]), names)


def _read_pairs(folder: Path, preprocess: Preprocessor, classes: Sequence[str] | None, invert_masks: bool) -> Examples:
    """A folder with the folders `images` and `masks`, whose files have the same names but for the suffix."""
    pairs = list_pairs(folder)
    rank, masks = len(preprocess.size), []
    for image, file in pairs:
        mask, shape = read_mask(file, rank), sizes_of(image, rank)
        if mask.shape != shape:
            raise ValueError(
                f"{str(file)!r} is of {_product(mask.shape)}, its image {str(image)!r} of {_product(shape)}."
            )
        masks.append(mask)
    inputs = _prepare_files([image for image, _ in pairs], preprocess)
    fitted = np.stack([resize_mask(mask, preprocess) for mask in masks])
    return Examples(inputs, *_encode_masks(fitted, classes, invert_masks, str(folder / MASKS)))


def _prepare_files(files: list[Path], preprocess: Preprocessor) -> np.ndarray:
    """All files, prepared. Their sizes are looked at before any is read whole."""
    rank, first = len(preprocess.size), None
    for file in files:
        sizes = sizes_of(file, rank)
        first = first or sizes
        if preprocess.resize:
            continue
        if not preprocess.fits(sizes):
            raise ValueError(
                f"{str(file)!r} is of {_product(sizes)}, the model needs images {preprocess.describe()}; "
                "give a size (--size), and images are resized to it."
            )
        if sizes != first:
            raise ValueError(
                f"{str(file)!r} is of {_product(sizes)}, {str(files[0])!r} of {_product(first)}; "
                "give a size (--size), and images are resized to it."
            )
    return np.concatenate([_prepare_file(file, preprocess) for file in files])


def _prepare_file(file: Path, preprocess: Preprocessor) -> np.ndarray:
    images = preprocess.read([file])
    try:
        return preprocess(images)
    except ValueError as error:
        raise ValueError(f"{str(file)!r}: {error}") from None


def _prepare_arrays(images, preprocess: Preprocessor, where: str) -> np.ndarray:
    if not _number(images, "images", where):
        raise ValueError(f"{where} has no images.")
    if preprocess.resize:
        images = resize_images(images, preprocess, where)
    try:
        array = np.asarray(images)
    except ValueError:
        raise ValueError(f"{where} has images of several shapes; give a size, and they are resized to it.") from None
    rank = len(preprocess.size)
    if array.ndim <= rank:
        raise ValueError(f"{where} needs an axis for the images, got images of shape {array.shape}.")
    sizes = array.shape[1 : 1 + rank]
    if rank == 2 and array.ndim in (rank + 1, rank + 2) and not preprocess.fits(sizes):
        raise ValueError(
            f"{where} is of {_product(sizes)}, the model needs images {preprocess.describe()}; give a size (size=, "
            "--size), and images are resized to it."
        )
    try:
        return preprocess(array)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _number(items, what: str, where: str) -> int:
    try:
        return len(items)
    except TypeError:
        raise ValueError(f"{where}: {what} are an array, or several, got {type(items).__name__}.") from None


def _fit_masks(masks, shapes: list[tuple[int, ...]], preprocess: Preprocessor, where: str) -> np.ndarray:
    """Arrays of masks that go with images of those sizes, resized as they are."""
    rank = len(preprocess.size)
    number = _number(masks, "masks", where)
    if number != len(shapes):
        raise ValueError(f"{where} has {len(shapes)} images and {number} masks.")
    fitted = []
    for index, (item, shape) in enumerate(zip(masks, shapes, strict=True)):
        mask = np.asarray(item)
        mask = mask[..., 0] if mask.ndim == rank + 1 and mask.shape[-1] == 1 else mask
        if mask.shape != shape:
            raise ValueError(f"{where}: mask {index} is of {_product(mask.shape)}, its image of {_product(shape)}.")
        fitted.append(resize_mask(mask, preprocess))
    return np.stack(fitted)


def _encode_masks(masks: np.ndarray, classes, inverted: bool, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Indices of classes and their names; masks of two values are of one class and its background."""
    check_whole_numbers(masks, where)
    values = np.unique(masks)
    names = None if classes is None else tuple(classes)
    if are_two_values(values) and (names is None or len(names) == 1):
        return ((masks == 0) if inverted else (masks > 0)).astype(np.uint8), names or ("foreground",)
    if inverted:
        raise ValueError(f"{where}: only masks of one class are inverted; they have 0 and 255 or 1, got {values[:10]}.")
    number = len(values) if names is None else len(names)
    if values[0] < 0 or values[-1] >= number:
        shown = ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
        raise ValueError(
            f"{where}: masks are 0 and 255 (or 1), or have the index of a class at each point"
            f"{'' if names is None else f', 0 to {number - 1}'}; got the values {shown}."
        )
    names = names or tuple(map(str, values))
    check_classes(names, where)
    return masks.astype(np.int64), names


def _product(sizes: Sequence[int]) -> str:
    return f"{' x '.join(map(str, sizes))} {'voxels' if len(sizes) == 3 else 'pixels'}"
