"""Which implementation of a group convolution is the faster one, from its shape and the backend."""

from __future__ import annotations

import math

import keras

from groco.fourier.irreps import irreps
from groco.fourier.splitting import axes_after, flips
from groco.groups import Group

IMPLEMENTATIONS = ("auto", "dense", "fourier")

# Multiplications that must be saved for each number that is moved through the transforms, by backend, for kernels of
# one point and for larger ones: where benchmarks/results/implementations.csv has the crossover, rounded up.
WORTH = {"tensorflow": (30.0, 30.0), "jax": (30.0, 30.0), "torch": (30.0, 30.0)}


def has_fourier(group_in: Group | None, group_out: Group, size: tuple[int, ...], groups: int = 1) -> bool:
    """Whether there is more than the dense implementation; not for images, nor for groups of channels."""
    if group_in is None or groups > 1:
        return False
    return group_out.order > 1 if math.prod(size) == 1 else len(flips(group_out)) > 1


def is_faster(
    group_in: Group,
    group_out: Group,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    channels: int,
    filters: int,
    dtype: str,
) -> bool:
    """Whether what `has_fourier` stands for is faster than the dense convolution.

    Both are counted for each point of the output. What is multiplied depends on the product of channels and filters,
    what is moved on their sum, so that from some width on the transforms are worth it.
    """
    if dtype != "float32" or not _on_cpu():  # where it was measured
        return False
    numbers_in, numbers_out = group_in.order * channels, group_out.order * filters
    points = math.prod(size)
    dense = points * numbers_in * numbers_out
    if points == 1:
        blocks = sum(irrep.rows * irrep.dimension**2 for irrep in irreps(group_out))
        left = dense * blocks / group_out.order**2
        moved = numbers_in + numbers_out
    else:
        left = dense / len(flips(group_out))
        after = math.prod(size[axis] for axis in axes_after(size, strides))
        moved = numbers_in * (math.prod(strides) + points // after) + numbers_out * (1 + after)
    return dense - left >= WORTH[keras.backend.backend()][points > 1] * moved


def _on_cpu() -> bool:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_physical_devices("GPU")
    if backend == "jax":
        import jax

        return jax.default_backend() == "cpu"
    import torch

    return not torch.cuda.is_available()
