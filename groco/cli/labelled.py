"""Labelled images from files: of classes, and of the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from groco.cli.common import CommandError
from groco.pretrained.preprocessor import IMAGE_SUFFIXES


def read_labelled(path: Path, preprocess, invert: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels from a folder with one folder per class, or from an .npz with `images` and `labels`.

    Raises:
        CommandError: if there is nothing of the kind, or a class is not one of the model's.
    """
    if path.is_dir():
        files = [file for file in sorted(path.glob("*/*")) if file.suffix.lower() in IMAGE_SUFFIXES]
        if not files:
            raise CommandError(f"{str(path)!r} has no folders with image files, one for each class")
        unknown = sorted({file.parent.name for file in files} - set(preprocess.classes))
        if unknown:
            raise CommandError(
                f"{str(path)!r} has classes the model does not know: {', '.join(unknown)}; "
                f"it knows {', '.join(preprocess.classes)}"
            )
        labels = np.array([preprocess.classes.index(file.parent.name) for file in files])
        return preprocess.read(files, invert), labels
    images, labels = _arrays(path, "labels")
    if len(images) != len(labels) or not len(labels) or labels.ndim != 1:
        raise CommandError(f"{str(path)!r} has {len(images)} images and labels of shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= len(preprocess.classes):
        raise CommandError(f"{str(path)!r} has labels that are not 0 to {len(preprocess.classes) - 1}")
    return _inverted(images, preprocess, invert), labels


def read_masked(
    path: Path, preprocess, invert: bool = False, invert_masks: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One image (1, *size, channels) after the other with its mask (*size) of classes.

    They are from a folder with the folders `images` and `masks`, in which the files of a pair have one name but for
    the suffix, or from an .npz with `images` and `masks`. With one class a mask says where it is: where it is not 0,
    or, with `invert_masks`, where it is. Else it holds the number of the class.

    Raises:
        CommandError: if there is nothing of the kind, or a mask does not fit its image or the classes.
    """
    if path.is_dir():
        pairs = _pairs(path)
        return (_pair(image, mask, preprocess, invert, invert_masks) for image, mask in pairs)
    images, masks = _arrays(path, "masks")
    if len(images) != len(masks) or not len(images):
        raise CommandError(f"{str(path)!r} has {len(images)} images and {len(masks)} masks")
    images = _inverted(images, preprocess, invert)
    size = images.shape[1 : 1 + len(preprocess.size)]
    return (
        (images[i : i + 1], _mask(masks[i], size, preprocess, invert_masks, f"mask {i} of {str(path)!r}"))
        for i in range(len(images))
    )


def _pair(image: Path, mask: Path, preprocess, invert: bool, invert_masks: bool) -> tuple[np.ndarray, np.ndarray]:
    images = preprocess.read([image], invert)
    return images, _mask(_read_mask(mask), images.shape[1:-1], preprocess, invert_masks, str(mask))


def _pairs(path: Path) -> list[tuple[Path, Path]]:
    found = {}
    for kind in ("images", "masks"):
        files = sorted(path.glob(f"{kind}/*"))
        found[kind] = {file.stem: file for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
    images, masks = found["images"], found["masks"]
    if not images:
        raise CommandError(f"{str(path)!r} has no folder 'images' with image files, beside a folder 'masks'")
    alone = sorted(set(images) ^ set(masks))
    if alone:
        raise CommandError(
            f"{str(path)!r} has images without a mask, or masks without an image: {', '.join(alone[:5])}"
        )
    return [(images[stem], masks[stem]) for stem in sorted(images)]


def _read_mask(path: Path) -> np.ndarray:
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        from PIL import Image

        with Image.open(path) as file:
            return np.asarray(file if file.mode in ("1", "L", "P", "I", "I;16") else file.convert("L"))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise CommandError(f"{str(path)!r} cannot be read as a mask: {error}") from None


def _mask(mask: np.ndarray, size: tuple, preprocess, inverted: bool, where: str) -> np.ndarray:
    if mask.shape == (*size, 1):
        mask = mask[..., 0]
    if mask.shape != size:
        raise CommandError(f"{where} has shape {mask.shape}, its image {size}")
    classes = len(preprocess.classes)
    if classes == 1:
        return (mask == 0) if inverted else (mask != 0)
    if not np.issubdtype(mask.dtype, np.integer) or mask.min() < 0 or mask.max() >= classes:
        raise CommandError(f"{where} has values that are not 0 to {classes - 1}, the numbers of the classes")
    return mask


def _arrays(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    if not path.is_file():
        raise CommandError(f"there is no file or folder {str(path)!r}")
    try:
        with np.load(path, allow_pickle=False) as content:
            return content["images"], content[labels]
    except (KeyError, ValueError, OSError, EOFError, TypeError) as error:
        raise CommandError(f"{str(path)!r} is not an .npz with the arrays images and {labels}: {error}") from None


def _inverted(images: np.ndarray, preprocess, invert: bool) -> np.ndarray:
    return np.asarray(preprocess.maximum, images.dtype) - images if invert else images
