"""Data sets as numpy arrays by name, for any backend; `*_builder.py` are their tensorflow-datasets builders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.datasets import rotated_mnist

DATASETS = ("rotated_mnist",)


def load(
    name: str,
    source: str | Path | None = None,
    variant: str = "regenerated",
    splits: tuple[str, ...] = ("train", "test"),
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images (n, height, width, channels) uint8 and labels (n,) of each split.

    Args:
        name: one of `DATASETS`.
        source: for `regenerated` the file mnist.npz, or None to download it; for `original` the folder of the
            published files.
        variant: `"regenerated"` or `"original"`.
        splits: which of `"train"` and `"test"`.

    Raises:
        ValueError: if the name or the variant is not known, or the original files' folder is not given.
    """
    if name not in DATASETS:
        raise ValueError(f"There is no data set {name!r}; there are {', '.join(DATASETS)}.")
    if variant == "regenerated":
        return rotated_mnist.regenerate(source, splits)
    if variant == "original":
        if source is None:
            raise ValueError(
                f"The original files are not downloaded: get mnist_rotation_new.zip from {rotated_mnist.DOWNLOAD_PAGE}"
                ", unpack it and give its folder as source."
            )
        return rotated_mnist.read_original(source, splits)
    raise ValueError(f"rotated_mnist has the variants 'regenerated' and 'original', got {variant!r}.")
