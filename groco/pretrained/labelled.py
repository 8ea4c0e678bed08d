"""Files of labelled images or volumes: which belong together, and what labels are in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from groco.pretrained.files import IMAGE_SUFFIXES, is_array, open_picture, read_array, read_arrays, upright
from groco.pretrained.preprocessor import Preprocessor, resize_image

IMAGES, MASKS = "images", "masks"
_OF_SYSTEMS = ("Thumbs.db", "desktop.ini", "__MACOSX")

_log = logging.getLogger("groco")


def is_shown(path: Path) -> bool:
    """Whether it is no hidden file, and none that a system leaves in folders and archives."""
    return not path.name.startswith(".") and path.name not in _OF_SYSTEMS


def list_files(folder: Path) -> list[Path]:
    """The image and array files of a folder, sorted, without hidden ones; the log says of what else is there."""
    visible = sorted(path for path in folder.iterdir() if is_shown(path))
    files = [file for file in visible if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
    if others := sorted(set(visible) - set(files)):
        _log.warning(
            "%s: %d files or folders are not read, the first is %s. Images are files whose names end in %s.",
            folder,
            len(others),
            others[0].name,
            ", ".join(IMAGE_SUFFIXES),
        )
    return files


def list_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The images of a folder and their masks: files of equal names but for the suffix in its `images` and `masks`.

    Raises:
        ValueError: if one of the two has no files, or a file has no partner, or two.
    """
    found = {}
    for kind in (IMAGES, MASKS):
        files = list_files(folder / kind) if (folder / kind).is_dir() else []
        if not files:
            raise ValueError(
                f"{str(folder)!r} has no folder {kind!r} with files; segmentation takes pairs of files of equal name "
                f"in {IMAGES!r} and {MASKS!r}."
            )
        found[kind] = {file.stem: file for file in files}
        if len(found[kind]) < len(files):
            raise ValueError(f"{str(folder / kind)!r} has files whose names differ in the suffix only.")
    for kind, other in ((IMAGES, MASKS), (MASKS, IMAGES)):
        if alone := sorted(set(found[kind]) - set(found[other])):
            raise ValueError(f"{str(found[kind][alone[0]])!r} has no partner in {str(folder / other)!r}.")
    return [(file, found[MASKS][stem]) for stem, file in sorted(found[IMAGES].items())]


def read_mask(file: Path, rank: int) -> np.ndarray:
    """A mask of `rank` axes; of several channels, if they are equal, as of a grey image saved in colour.

    Of a picture with a palette the numbers of the colours; of black and white ones 0 and 1, whichever is first. What is
    transparent has the colour that it has.

    Raises:
        ValueError: if it cannot be read, or has not one value at each point.
    """
    if is_array(file):
        mask = read_array(file)
    else:
        with open_picture(file) as image:
            mask = _values(upright(image))
    if mask.ndim == rank + 1 and (mask == mask[..., :1]).all():
        mask = mask[..., 0]
    if mask.ndim != rank:
        raise ValueError(f"{str(file)!r} has shape {mask.shape}; a mask has one value at each point, {rank} axes.")
    return mask


def check_whole_numbers(masks: np.ndarray, where: str) -> None:
    """Raises ValueError that names `where` unless the values of masks are whole numbers."""
    if masks.dtype.kind not in "iub":
        raise ValueError(f"{where}: the values of masks are whole numbers, got {masks.dtype}.")


def are_two_values(values: np.ndarray) -> bool:
    """Whether the values of masks are those of one class and its background: 0 and 255, or 0 and 1."""
    found = set(values.tolist())
    return found <= {0, 255} or found <= {0, 1}


def _values(image) -> np.ndarray:
    """Those of a mask of Pillow. Programs that reduce colours put white first, or black."""
    if image.mode in ("LA", "RGBA"):
        return np.asarray(image.convert(image.mode.rstrip("A")))
    if image.mode != "P":
        return np.asarray(image)
    colours = [*zip(*[iter(image.getpalette("RGB"))] * 3, strict=True)]
    if not set(colours) <= {(0, 0, 0), (255, 255, 255)}:
        return np.asarray(image)
    return np.asarray(image.convert("L")) // 255


def read_npz(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """The arrays `images` and `labels` of an .npz.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no .npz, or has no such arrays.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.")
    images, found = read_arrays(path, (IMAGES, labels))
    if not images.ndim or not found.ndim:
        raise ValueError(f"{str(path)!r} has single values as {IMAGES} or {labels}; it needs arrays.")
    return images, found


def resize_images(images: Sequence[np.ndarray], preprocess: Preprocessor, where: str) -> list[np.ndarray]:
    """Images (height, width) or (height, width, channels) of any sizes, in the size that the preprocessor wants.

    Raises:
        ValueError: if one has another number of axes.
    """
    arrays = [np.asarray(image) for image in images]
    if odd := [array.shape for array in arrays if array.ndim not in (2, 3)]:
        raise ValueError(f"{where} has an image of shape {odd[0]}; to be resized it has two axes, or three.")
    return [resize_image(array[..., None] if array.ndim == 2 else array, preprocess.size) for array in arrays]


def resize_mask(mask: np.ndarray, preprocess: Preprocessor) -> np.ndarray:
    """The mask of an image that the preprocessor resizes, if it does so: the nearest value at each point."""
    if not preprocess.resize:
        return mask
    places = [
        (np.linspace(0, found, wanted, endpoint=False) + found / (2 * wanted)).astype(int)
        for found, wanted in zip(mask.shape, cast(Any, preprocess.size), strict=True)
    ]
    return mask[np.ix_(*places)]


def encode_labels(
    labels, number: int, classes: Sequence[str] | None, where: str, numbers_are_names: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Indices of the classes of so many images, and the names of the classes.

    Args:
        labels: names of classes, or numbers.
        number: of images.
        classes: the names of the classes; by default all labels, as they are written.
        where: the labels are, for messages.
        numbers_are_names: numbers are names among `classes`, not their indices.

    Raises:
        ValueError: if labels are neither, are of other classes, or there are not two classes.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) != number or array.dtype.kind not in "iubUO":
        raise ValueError(
            f"{where}: labels are {number} whole numbers or names, one for each image, got {array.dtype} of shape "
            f"{array.shape}."
        )
    if classes is not None and array.dtype.kind in "iub" and not numbers_are_names:
        names = tuple(classes)
        if number and (array.min() < 0 or array.max() >= len(names)):
            raise ValueError(f"{where}: labels are 0 to {len(names) - 1}, got {array.min()} to {array.max()}.")
        indices = array.astype(np.int64)
    else:
        kinds = (str,) if any(isinstance(label, str) for label in array) else (int, np.integer)
        if odd := [label for label in array if not isinstance(label, (*kinds, np.bool_))]:
            raise ValueError(f"{where}: labels are whole numbers or names, all of one kind, got {odd[0]!r} among them.")
        distinct = np.unique(array)
        names = tuple(classes) if classes is not None else tuple(map(str, distinct))
        if unknown := [str(label) for label in distinct if str(label) not in names]:
            raise ValueError(f"{where} has other labels than {', '.join(names)}: {', '.join(unknown)}.")
        indices = np.array([names.index(str(label)) for label in array], np.int64)
    check_classes(names, where)
    return indices, names


def check_text(name: str) -> None:
    """Raises ValueError if a name, of a file with bytes that are no UTF-8, cannot be written to a file."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise ValueError(f"The name {name!r} is not in UTF-8; rename it.") from None


def are_numbers(classes: Sequence[str]) -> bool:
    """Whether the names of classes are whole numbers, so that labels which are numbers are taken as names."""
    return all(name.removeprefix("-").isdecimal() for name in classes)


def check_classes(names: tuple[str, ...], where: str) -> None:
    """Raises ValueError unless there are two different names or more, which can be written to a file."""
    for name in names:
        check_text(name)
    if len(set(names)) < max(len(names), 2):
        raise ValueError(f"{where} needs two classes or more, of different names, got {', '.join(names) or 'none'}.")
