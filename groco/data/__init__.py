"""The sample of data that comes with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_DIGITS = Path(__file__).parent / "rotated_mnist_sample.npz"


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,000 digits of the regenerated rotated-MNIST test set, 100 of each class, in the order they stand there.

    Returns:
        Images (1000, 28, 28, 1) uint8 and labels (1000,) uint8.
    """
    with np.load(_DIGITS, allow_pickle=False) as file:
        return file["images"], file["labels"]
