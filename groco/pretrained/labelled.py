"""Files of labelled images or volumes: which belong together, and what labels are in them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from groco.pretrained.preprocessor import IMAGE_SUFFIXES

ARRAY_SUFFIX = ".npy"
IMAGES, MASKS = "images", "masks"


def list_files(folder: Path) -> list[Path]:
    """The image and array files of a folder, sorted, without hidden ones."""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith("."))


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


def read_array(file: Path, **options) -> np.ndarray:
    """An .npy; `options` as of `numpy.load`.

    Raises:
        ValueError: if it is none.
    """
    try:
        return np.load(file, allow_pickle=False, **options)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{str(file)!r} cannot be read as an array: {error}") from None


def read_mask(file: Path, rank: int) -> np.ndarray:
    """A mask of `rank` axes; of several channels, if they are equal, as of a grey image saved in colour.

    Raises:
        ValueError: if it cannot be read, or has not one value at each point.
    """
    if file.suffix.lower() == ARRAY_SUFFIX:
        mask = read_array(file)
    else:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(file) as image:
                mask = np.asarray(image.convert(image.mode.rstrip("Aa")) if image.mode in ("LA", "RGBA") else image)
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{str(file)!r} cannot be read as an image: {error}") from None
    if mask.ndim == rank + 1 and (mask == mask[..., :1]).all():
        mask = mask[..., 0]
    if mask.ndim != rank:
        raise ValueError(f"{str(file)!r} has shape {mask.shape}; a mask has one value at each point, {rank} axes.")
    return mask


def read_npz(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """The arrays `images` and `labels` of an .npz.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no .npz, or has no such arrays.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.")
    try:
        with np.load(path, allow_pickle=False) as content:
            return content[IMAGES], content[labels]
    except (KeyError, ValueError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} is not an .npz with the arrays {IMAGES} and {labels}: {error}") from None
