"""CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 photographs of 32 x 32 pixels in ten classes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import keras
import numpy as np

from training.datasets import Arrays, Info
from training.datasets.files import download, find, read_npz, sha256

SPLITS = ("train", "test")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHA256 = {
    "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "x_test": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}
INFO = Info(
    task="classification",
    classes=CLASSES,
    variants=("original",),
    source="CIFAR-10, all 50,000 training and 10,000 test images",
    licence="none stated by its authors; customary for research",
)
_LABELS = "cifar10_labels.npz"
_ARCHIVES = {"train": ("cifar10_train_00000.zip", "cifar10_train_25000.zip"), "test": ("cifar10_test.zip",)}
_HINT = f"Give the folder of {_LABELS} and {', '.join(sum(_ARCHIVES.values(), ()))}, or no folder to download the set."


def load(source: str | Path | None, variant: str, splits: tuple[str, ...]) -> Arrays:
    """Images (n, 32, 32, 3) uint8 and labels (n,) uint8, in the original order.

    With a source they are read from archives of strips of 500 images each, else downloaded by keras.datasets. Either
    way they are checked against the sha256 of the set.
    """
    if source is None:
        downloaded = dict(zip(SPLITS, download(keras.datasets.cifar10.load_data, "CIFAR-10"), strict=True))
        loaded = {split: (x, y.reshape(-1).astype(np.uint8)) for split, (x, y) in downloaded.items() if split in splits}
    else:
        names = [_LABELS, *(name for split in splits for name in _ARCHIVES[split])]
        labels_path, *archives = find(source, names, "CIFAR-10", _HINT)
        labels = read_npz(labels_path, {f"y_{split}": (None,) for split in splits}, "CIFAR-10")
        loaded = {}
        for split in splits:
            images = [_read_strips(path) for path in archives if path.name in _ARCHIVES[split]]
            loaded[split] = (np.concatenate(images), labels[f"y_{split}"])
    for split, (images, labels_) in loaded.items():
        for name, array in ((f"x_{split}", images), (f"y_{split}", labels_)):
            found = sha256(array)
            if found != SHA256[name]:
                raise ValueError(f"{name} of CIFAR-10 has sha256 {found}, not {SHA256[name]}: the files are not whole.")
    return loaded


def _read_strips(path: Path) -> np.ndarray:
    """The images of an archive of pictures, each a column of images of 32 x 32 pixels."""
    from PIL import Image

    parts = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                with Image.open(io.BytesIO(archive.read(name))) as picture:
                    parts.append(np.asarray(picture.convert("RGB")).reshape(-1, 32, 32, 3))
    except Exception as error:  # whatever a damaged file makes zipfile, zlib and Pillow raise
        raise ValueError(f"{str(path)!r} is not an archive of strips of 32 x 32 pixels: {error}") from None
    if not parts:
        raise ValueError(f"{str(path)!r} has no pictures.")
    return np.concatenate(parts)
