"""What is done to the inputs before a net sees them, fitted on the training set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.datasets.stored import Stored

LARGEST_SAMPLE = 2**28  # bytes of inputs that lie on disk
LARGEST_ZCA = 30_000  # values of an example: 7 GB
METHODS = ("none", "standardize", "standardize_channels", "contrast_zca")


@dataclass(frozen=True)
class Preprocess:
    """A fitted method.

    Attributes:
        method: one of `METHODS`.
        mean, std: of the training inputs, one number or one for each channel; 0 and 1 where nothing is done.
        whitening: (features, features) of ZCA, else None.
        centre: (features,), what ZCA subtracts first, else None.
    """

    method: str
    mean: float | list[float]
    std: float | list[float]
    whitening: np.ndarray | None = None
    centre: np.ndarray | None = None

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Prepares inputs (n, *spatial, channels), in batches: what is in between needs little memory.

        Inputs on disk are prepared when they are read.
        """
        if isinstance(inputs, Stored):
            return inputs.changed(self)
        prepared = np.empty(inputs.shape, np.float32)
        for start in range(0, len(inputs), 1000):
            prepared[start : start + 1000] = self._prepare(inputs[start : start + 1000].astype(np.float32))
        return prepared

    def _prepare(self, inputs: np.ndarray) -> np.ndarray:
        if self.whitening is None or self.centre is None:
            return (inputs - np.float32(self.mean)) / np.float32(self.std)
        flat = normalize_contrast(inputs).reshape(len(inputs), -1)
        return ((flat - self.centre) @ self.whitening).reshape(inputs.shape)


def fit(method: str, inputs: np.ndarray) -> Preprocess:
    """Fits a method on training inputs (n, *spatial, channels).

    `standardize` takes one mean and standard deviation, `standardize_channels` one of each channel; `contrast_zca` is
    that of Cohen & Welling 2016 on CIFAR-10: contrast normalisation of each image, then ZCA whitening, 1e-5 being added
    to the singular values.

    Raises:
        ValueError: if there is no such method.
    """
    if isinstance(inputs, Stored):
        size = inputs.dtype.itemsize * int(np.prod(inputs.shape[1:]))
        inputs = inputs.sample(max(1, LARGEST_SAMPLE // size))
    if method == "none":
        return Preprocess(method, 0.0, 1.0)
    if method == "standardize":
        return Preprocess(method, float(inputs.mean()), float(inputs.std()))
    if method == "standardize_channels":
        axes = tuple(range(inputs.ndim - 1))
        mean, std = _over_batches(inputs, axes)
        return Preprocess(method, mean.tolist(), std.tolist())
    if method == "contrast_zca":
        whitening, centre = fit_zca(normalize_contrast(inputs.astype(np.float32)).reshape(len(inputs), -1))
        return Preprocess(method, 0.0, 1.0, whitening, centre)
    raise ValueError(f"preprocess is one of {', '.join(METHODS)}, got {method!r}.")


def normalize_contrast(images: np.ndarray, least: float = 1e-8) -> np.ndarray:
    """Subtracts the mean of each image and divides by its standard deviation, over all its numbers."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    scale = np.sqrt((flat**2).mean(axis=1, keepdims=True))
    return (flat / np.where(scale < least, 1, scale)).reshape(images.shape)


def fit_zca(flat: np.ndarray, added: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
    """The ZCA whitening matrix (features, features), and the mean to subtract, of rows (n, features).

    `(rows - mean) @ whitening` has the covariance 1, as close to the rows as such a map can be. `added` goes to the
    singular values of the covariance.
    """
    if flat.shape[1] > LARGEST_ZCA:
        raise ValueError(f"ZCA is for up to {LARGEST_ZCA:,} values an example, got {flat.shape[1]:,}: it squares them.")
    centre = flat.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((flat.shape[1],) * 2)
    for start in range(0, len(flat), 5000):
        part = flat[start : start + 5000] - centre
        covariance += part.T @ part
    values, vectors = np.linalg.eigh(covariance / len(flat))
    whitening = (vectors / np.sqrt(np.maximum(values, 0) + added)) @ vectors.T
    return whitening.astype(np.float32), centre.astype(np.float32)


def _over_batches(inputs: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in double precision, without a copy of all inputs."""

    def mean(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        parts = [inputs[start : start + 1000] for start in range(0, len(inputs), 1000)]
        return sum(of(part.astype(np.float64)).mean(axis=axes) * len(part) for part in parts) / len(inputs)

    centre = mean(lambda x: x)
    return centre, np.sqrt(mean(lambda x: (x - centre) ** 2))
