"""Rotated MNIST as numpy arrays: regenerated from MNIST, or read from the published files. No TensorFlow needed.

The original set (Larochelle et al. 2007) is 12,000 training and 50,000 test digits of 28 x 28 pixels, each turned by an
angle drawn uniformly from a full circle. Its recipe leaves seed and interpolation open, so what is regenerated here is
comparable with it, not identical.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from groco.pretrained.files import read_arrays
from training.datasets import Arrays, Info
from training.datasets.files import download, find, sha256

SPLITS = ("train", "test")
NUM_TRAIN, NUM_TEST = 12_000, 50_000
SEED = 2007
CLASSES = tuple("0123456789")
DOWNLOAD_PAGE = "http://www.iro.umontreal.ca/~lisa/twiki/bin/view.cgi/Public/MnistVariations"
HINT = f"Download mnist_rotation_new.zip from {DOWNLOAD_PAGE}, unpack it and give its folder."
AMAT_FILES = {
    "train": "mnist_all_rotation_normalized_float_train_valid.amat",
    "test": "mnist_all_rotation_normalized_float_test.amat",
}
MNIST_SHA256 = {"c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83"}  # images, then labels
SHA256 = {
    "train_images": "212fe9b5ddf5f7eee878a13c6495b6b16c03315b9827c2fb5a05a3f3aac5ddd2",
    "train_labels": "ea532c547766ba975c0d93737e0ec32f4c57b2600c5c67333d85ba731fc7bbfe",
    "test_images": "1991c73323b5faa704553313f11cbc5628cd5dcc132cee2af807f76be6df9b4e",
    "test_labels": "a7a0eaae47a420885606f628cb66a815ca94920b818890e7f2f7b481d9d01e32",
}
INFO = Info(
    task="classification",
    classes=CLASSES,
    variants=("regenerated", "original"),
    source="MNIST, turned by uniform angles with cubic splines (training/datasets/rotated_mnist.py)",
    licence="MNIST (LeCun, Cortes, Burges), commonly cited as CC BY-SA 3.0",
)


def load(source: str | Path | None, variant: str, splits: tuple[str, ...]) -> Arrays:
    """Images (n, 28, 28, 1) uint8 and labels (n,) uint8.

    Args:
        source: for `regenerated` the file mnist.npz or its folder, or None to download it; for `original` the folder of
            the published files.
        variant: `"regenerated"` or `"original"`.
        splits: which of `"train"` and `"test"`.
    """
    if variant == "regenerated":
        return regenerate(source, splits)
    if source is None:
        raise ValueError(
            f"The original files are not downloaded: get mnist_rotation_new.zip from {DOWNLOAD_PAGE}"
            ", unpack it and give its folder as source."
        )
    return read_original(source, splits)


def load_mnist(path: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """All 70,000 digits of MNIST, training set first: images (70000, 28, 28) uint8 and labels (70000,) uint8.

    Args:
        path: an `mnist.npz` in the layout of keras.datasets, or its folder; downloaded by keras.datasets if None.

    Raises:
        FileNotFoundError: if there is no such file, or it cannot be downloaded.
        ValueError: if the file is not MNIST in that layout, or has other digits.
    """
    if path is None:
        (x_train, y_train), (x_test, y_test) = download(keras.datasets.mnist.load_data, "MNIST")
    else:
        (path,) = find(path, ["mnist.npz"], "MNIST", "Give an mnist.npz, or none to download it.")
        names = ("x_train", "y_train", "x_test", "y_test")
        x_train, y_train, x_test, y_test = read_arrays(path, names, "an mnist.npz as keras.datasets has it")
    images, labels = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    if images.shape != (70_000, 28, 28) or images.dtype != np.uint8 or labels.shape != (70_000,):
        raise ValueError(
            f"MNIST has 70,000 uint8 images of 28 x 28, got {images.shape} {images.dtype} and labels {labels.shape}."
        )
    labels = labels.astype(np.uint8)
    if (found := sha256(images, labels)) not in MNIST_SHA256:
        raise ValueError(f"The digits are not those of MNIST, all in their order: their sha256 is {found}.")
    return images, labels


def rotate(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Turns each image about its centre, by cubic splines; what comes from outside is 0.

    Args:
        images: (n, height, width) uint8.
        degrees: (n,), counter-clockwise.

    Returns:
        (n, height, width) uint8.
    """
    from scipy import ndimage

    turned = np.empty_like(images)
    for index, (image, angle) in enumerate(zip(images, degrees, strict=True)):
        values = ndimage.rotate(image.astype(np.float64), float(angle), reshape=False, order=3, mode="constant")
        turned[index] = np.rint(np.clip(values, 0, 255))
    return turned


def regenerate(mnist_path: str | Path | None = None, splits: tuple[str, ...] = ("train", "test")) -> Arrays:
    """Makes rotated MNIST from MNIST: the same arrays each time, no digit in both splits.

    Args:
        mnist_path: as in `load_mnist`.
        splits: which of `"train"` (12,000 digits) and `"test"` (50,000) to make.

    Returns:
        For each split images (n, 28, 28, 1) uint8 and labels (n,) uint8.
    """
    images, labels = load_mnist(mnist_path)
    random = np.random.RandomState(SEED)  # its streams are frozen for good, those of Generator are not
    chosen = random.permutation(len(images))[: NUM_TRAIN + NUM_TEST]
    degrees = random.uniform(0.0, 360.0, NUM_TRAIN + NUM_TEST)
    parts = {"train": slice(0, NUM_TRAIN), "test": slice(NUM_TRAIN, NUM_TRAIN + NUM_TEST)}
    return {
        split: (rotate(images[chosen[parts[split]]], degrees[parts[split]])[..., None], labels[chosen[parts[split]]])
        for split in splits
    }


def read_amat(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a published `.amat` table: 784 pixels in [0, 1], row by row, and the label in each line.

    Returns:
        Images (n, 28, 28, 1) uint8 and labels (n,) uint8.

    Raises:
        FileNotFoundError: if the file is not there; the message says where to get it.
        ValueError: if a row has not 785 numbers, or a label is not a digit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}. {HINT}")
    try:
        table = np.loadtxt(path, dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path} is not a table of numbers: {error}") from None
    if table.shape[1] != 785:
        raise ValueError(f"{path} has rows of {table.shape[1]} numbers; 784 pixels and a label are needed.")
    labels = table[:, -1]
    if not np.isin(labels, np.arange(10)).all():
        raise ValueError(f"{path} has labels that are not digits: {sorted(set(labels.tolist()))[:12]}.")
    pixels = table[:, :-1]
    if pixels.min() < 0 or pixels.max() > 1:
        raise ValueError(f"{path} has pixels outside of [0, 1]: {pixels.min()} to {pixels.max()}.")
    images = np.rint(255 * pixels).astype(np.uint8).reshape(-1, 28, 28, 1)
    return images, labels.astype(np.uint8)


def read_original(folder: str | Path, splits: tuple[str, ...] = ("train", "test")) -> Arrays:
    """The published set from its two `.amat` files in a folder; as `regenerate` otherwise.

    Raises:
        ValueError: as `read_amat`, or if a file has not as many digits as the set.
    """
    arrays = {}
    for split in splits:
        (path,) = find(folder, [AMAT_FILES[split]], "rotated MNIST", HINT)
        arrays[split], number = read_amat(path), NUM_TRAIN if split == "train" else NUM_TEST
        if len(arrays[split][0]) != number:
            raise ValueError(f"{path} has {len(arrays[split][0]):,} digits, not {number:,}: it is not whole.")
    return arrays
