"""Finding and reading the files of data sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from groco.pretrained.files import read_arrays

T = TypeVar("T")


def sha256(*arrays: np.ndarray) -> str:
    """Of the numbers of all arrays, one after the other."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def find(source: str | Path, names: Sequence[str], what: str, hint: str) -> list[Path]:
    """The paths of files that lie in a folder or in one of its subfolders, or are the source itself.

    Raises:
        FileNotFoundError: if one is not there.
    """
    source = Path(source)
    if source.is_file() and len(names) == 1:
        return [source]
    if not source.is_dir():
        raise FileNotFoundError(f"There is no file or folder {str(source)!r} with {what}. {hint}")
    for folder in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        paths = [folder / name for name in names]
        if all(path.is_file() for path in paths):
            return paths
    raise FileNotFoundError(f"{str(source)!r} has no {', '.join(names)} of {what}. {hint}")


def download(load: Callable[[], T], what: str) -> T:
    """What a function of `keras.datasets` loads.

    Raises:
        FileNotFoundError: if it cannot be downloaded, which Keras says by a bare Exception.
    """
    try:
        return load()
    except Exception as error:
        if isinstance(error, OSError) or type(error) is Exception:
            hint = "Give a file or folder that has it, for instance by --data."
            raise FileNotFoundError(f"{what} could not be downloaded: {error}. {hint}") from error
        raise


def read_npz(path: Path, shapes: dict[str, tuple[int | None, ...]], what: str) -> dict[str, np.ndarray]:
    """The named uint8 arrays of an .npz, whose shapes are as expected (None: any length).

    Raises:
        ValueError: if the file is not an .npz, or an array is missing, of another type or of another shape.
    """
    arrays = dict(zip(shapes, read_arrays(path, list(shapes), f"an .npz of {what}"), strict=True))
    for name, shape in shapes.items():
        array = arrays[name]
        fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if not fits or array.dtype != np.uint8:
            wanted = tuple("any" if n is None else n for n in shape)
            raise ValueError(
                f"{str(path)!r}: {name} of {what} is uint8 of shape {wanted}, got {array.dtype} of {array.shape}."
            )
    return arrays
