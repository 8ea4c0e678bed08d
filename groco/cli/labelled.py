"""Labelled images from files: of classes, and of the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from groco.cli.common import CommandError
from groco.pretrained.files import sizes_of
from groco.pretrained.labelled import (
    MASKS,
    are_numbers,
    are_two_values,
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


def read_labelled(path: Path, preprocess) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels from a folder with one folder per class, or from an .npz with `images` and `labels`.

    Raises:
        CommandError: if there are no images, or a class is not one of the model's.
        ValueError, OSError: if a file is not what it should be.
    """
    if path.is_dir():
        folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and is_shown(folder))
        files = [file for folder in folders for file in list_files(folder)]
        if not files:
            raise CommandError(f"{str(path)!r} has no folders with image files, one for each class")
        unknown = sorted({file.parent.name for file in files} - set(preprocess.classes))
        if unknown:
            raise CommandError(
                f"{str(path)!r} has classes the model does not know: {', '.join(unknown)}; "
                f"it knows {', '.join(preprocess.classes)}"
            )
        labels = np.array([preprocess.classes.index(file.parent.name) for file in files])
        return preprocess.read(files), labels
    images, labels = read_npz(path, "labels")
    if len(images) != len(labels) or not len(labels) or labels.ndim != 1:
        raise CommandError(f"{str(path)!r} has {len(images)} images and labels of shape {labels.shape}")
    named = are_numbers(preprocess.classes)
    known = preprocess.classes if named else tuple(map(str, range(len(preprocess.classes))))
    if labels.dtype.kind in "iu" and not set(map(str, np.unique(labels))) <= set(known):
        counted = known == tuple(map(str, range(len(known))))
        which = f"0 to {len(known) - 1}" if counted else ", ".join(known)
        raise CommandError(f"{str(path)!r} has labels that are not {which}")
    indices, _ = encode_labels(labels, len(images), preprocess.classes, str(path), named)
    return _fitted(images, preprocess, path), indices


def read_masked(path: Path, preprocess, invert_masks: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One image (1, *size, channels) after the other with its mask (*size) of classes.

    They are from a folder with the folders `images` and `masks`, in which the files of a pair have one name but for
    the suffix, or from an .npz with `images` and `masks`. With one class a mask is 0 and 255, or 1, and says where it
    is: where it is not 0, or, with `invert_masks`, where it is. Else it holds the number of the class.

    Raises:
        CommandError: if a mask does not fit its image or the classes.
        ValueError, OSError: if there is nothing of the kind, or a file is not what it should be.
    """
    if path.is_dir():
        pairs = list_pairs(path)
        return (_pair(image, mask, preprocess, invert_masks) for image, mask in pairs)
    images, masks = read_npz(path, MASKS)
    if len(images) != len(masks) or not len(images):
        raise CommandError(f"{str(path)!r} has {len(images)} images and {len(masks)} masks")
    sizes = images.shape[1 : 1 + len(preprocess.size)]
    fitted = _fitted(images, preprocess, path)
    return (
        (fitted[i : i + 1], _mask(masks[i], sizes, preprocess, invert_masks, f"mask {i} of {str(path)!r}"))
        for i in range(len(images))
    )


def _pair(image: Path, mask: Path, preprocess, invert_masks: bool) -> tuple[np.ndarray, np.ndarray]:
    rank = len(preprocess.size)
    sizes, found = sizes_of(image, rank), read_mask(mask, rank)
    return preprocess.read([image]), _mask(found, sizes, preprocess, invert_masks, str(mask))


def _mask(mask: np.ndarray, size: tuple, preprocess, inverted: bool, where: str) -> np.ndarray:
    """The classes of the points of an image of that size, as the model sees it."""
    if mask.shape == (*size, 1):
        mask = mask[..., 0]
    if mask.shape != size:
        raise CommandError(f"{where} has shape {mask.shape}, its image {size}")
    mask = resize_mask(mask, preprocess)
    classes = len(preprocess.classes)
    check_whole_numbers(mask, where)
    if classes == 1:
        values = np.unique(mask)
        if not are_two_values(values):
            shown = values[:10].tolist()
            raise CommandError(f"{where}: masks of one class are 0 and 255 (or 1), got the values {shown}")
        return (mask == 0) if inverted else (mask != 0)
    if inverted:
        raise CommandError(f"only masks of one class are inverted; the model has {', '.join(preprocess.classes)}")
    if mask.min() < 0 or mask.max() >= classes:
        raise CommandError(f"{where} has values that are not 0 to {classes - 1}, the numbers of the classes")
    return mask


def _fitted(images: np.ndarray, preprocess, path: Path) -> np.ndarray:
    """Images of an array as they would be read from files: of the model's size."""
    return np.stack(resize_images(list(images), preprocess, str(path))) if preprocess.resize else images
