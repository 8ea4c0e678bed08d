"""Which implementation of a group convolution is the faster one, from its shape and the backend."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import keras

from groco._hardware import accelerator
from groco.fourier.irreps import irreps
from groco.fourier.splitting import axes_after, flips
from groco.groups import Group

IMPLEMENTATIONS = ("auto", "dense", "fourier")

# Multiplications that must be saved for each number that is moved through the transforms, by backend, for kernels of
# one point, for larger ones, and for larger ones with strides: above the crossovers in docs/implementations.md, which
# the number of points and the machine move. With strides TensorFlow took 1.3 to 1.9 times as long forward up to 403
# (P4M, 3x3, stride 2, 80 and 112 channels). In inference:
WORTH = {
    "tensorflow": (150.0, 200.0, math.inf),
    "jax": (65.0, 50.0, 100.0),
    "torch": (185.0, 300.0, 400.0),
}
# The same where gradients follow.
WORTH_WITH_GRADIENT = {
    "tensorflow": (80.0, 280.0, math.inf),
    "jax": (40.0, 35.0, 100.0),
    "torch": (160.0, 210.0, 300.0),
}
# The same where TensorFlow and JAX run operations one by one, in nothing that is compiled.
WORTH_EAGER = (400.0, 400.0, math.inf)
# What a multiplication in products of many matrices as small as the group costs, against one in a large product. On JAX
# they are a convolution.
SMALL = {"tensorflow": 3, "jax": 1, "torch": 3}
# Multiplications that take as long as an operation is waited for, in inference and where there is a gradient as well.
# PyTorch runs them one by one: on few points the dense implementation, of fewer, was up to 2.4 times as fast.
CALL = {"tensorflow": (0.0, 0.0), "jax": (0.0, 0.0), "torch": (9e7, 7.5e6)}
CALL_EAGER = {"tensorflow": 4e8, "jax": 4e7}  # with fewer, dense layers were up to 5.2 and 4.7 times as fast
# Multiplications to be saved in a call, beyond what WORTH asks for, by planar windows of groups that leave half of
# them, in inference: on JAX P4 and C2MM took up to 1.7 times as long forward below, where training was faster.
HALVED = {"tensorflow": 0.0, "jax": 1.2e7, "torch": 0.0}
# From so many numbers moved in a call on, larger kernels in inference have to save so many multiplications for each: on
# JAX 0.6 of the time became 1.2 where signals outgrow what the allocator keeps from call to call, and caches.
MANY = {"tensorflow": (math.inf, 0.0), "jax": (1.5e7, 130.0), "torch": (math.inf, 0.0)}


def has_fourier(group_in: Group | None, group_out: Group, size: tuple[int, ...], groups: int = 1) -> bool:
    """Whether there is more than the dense implementation; not for images, nor for groups of channels."""
    if group_in is None or groups > 1:
        return False
    return group_out.order > 1 if math.prod(size) == 1 else len(flips(group_out)) > 1


@dataclass(frozen=True)
class Cost:
    """What the Fourier implementation saves and takes, beside the dense one.

    What is multiplied goes with the product of channels and filters, what is moved with their sum.

    Attributes:
        saved: multiplications less, for one point of the output. The transform of kernels of one point multiplies each
            number that it moves by a column of a matrix; that of larger ones, by signs alone, is not counted.
        moved: numbers that go through the transforms, for one point of the output.
        calls: a measure of the operations more, whatever the points: how many parts are added up in the output, and
            a third of those of P4M and 3x3 where windows are points.
    """

    saved: float
    moved: int
    calls: int


@functools.lru_cache(maxsize=1024)  # asked for at each call of a layer
def cost(
    group_in: Group,
    group_out: Group,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    channels: int,
    filters: int,
    backend: str,
) -> Cost:
    numbers_in, numbers_out = group_in.order * channels, group_out.order * filters
    points = math.prod(size)
    if points == 1:
        left = sum(irrep.rows * irrep.dimension**2 for irrep in irreps(group_out)) / group_out.order**2
        moved = numbers_in + numbers_out
        transforms = SMALL[backend] * (numbers_in * group_in.order + numbers_out * group_out.order)
        calls = 4
    else:
        left = 1 / len(flips(group_out))
        after = math.prod(size[axis] for axis in axes_after(size, strides))
        moved = numbers_in * (math.prod(strides) + points // after) + numbers_out * (1 + after)
        transforms = 0
        calls = len(flips(group_out)) * after
    return Cost((1 - left) * points * numbers_in * numbers_out - transforms, moved, calls)


def is_worth_it(
    group_in: Group,
    group_out: Group,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    *channels: int,
    backend: str,
    points: int | None = None,
    gradient: bool = False,
    eager: bool = False,
) -> bool:
    """Whether the Fourier implementation is the faster one, on a backend with figures.

    Args:
        points: as in `is_faster`.
        gradient: whether gradients follow.
        eager: whether operations run one by one, on TensorFlow or JAX.
    """
    if group_out.ndim == 1 and backend == "jax":  # forward PM took 1.2 to 1.5 times as long from 128 to 256 channels
        return False
    kind = 0 if math.prod(size) == 1 else 1 if math.prod(strides) == 1 else 2
    found = cost(group_in, group_out, size, strides, *channels, backend)
    worth = WORTH_EAGER if eager else (WORTH_WITH_GRADIENT if gradient else WORTH)[backend]
    gain = found.saved - worth[kind] * found.moved
    if gain < 0 or points is None:
        return gain >= 0
    many, least = MANY[backend]
    if kind == 1 and not gradient and found.moved * points > many and found.saved < least * found.moved:
        return False
    halved = kind > 0 and len(size) == 2 == len(flips(group_out))
    if halved and not gradient and gain * points < HALVED[backend]:
        return False
    return found.saved * points >= (CALL_EAGER[backend] if eager else CALL[backend][gradient]) * found.calls


def is_faster(
    group_in: Group,
    group_out: Group,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    channels: int,
    filters: int,
    dtype: str,
    points: int | None = None,
    gradient: bool = False,
) -> bool:
    """Whether what `has_fourier` stands for is faster than the dense convolution: in float32 on a CPU, if at all.

    Args:
        points: the number of points of the output in a whole batch; where it is None, not known, the rest decides.
        gradient: whether gradients follow.
    """
    backend = keras.backend.backend()
    if dtype != "float32" or backend not in WORTH or not _on_cpu():
        return False
    return is_worth_it(
        group_in,
        group_out,
        size,
        strides,
        channels,
        filters,
        backend=backend,
        points=points,
        gradient=gradient,
        eager=backend in CALL_EAGER and points is not None and _is_eager(),
    )


def gradients_follow(training: bool | None) -> bool:
    """Whether gradients follow a call of a layer: PyTorch records them or not, the others do it in training."""
    if keras.backend.backend() != "torch":
        return bool(training)
    import torch

    return torch.is_grad_enabled()


def _is_eager() -> bool:
    """Whether TensorFlow or JAX runs operations at once, instead of tracing them for what it compiles."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.inside_function()
    import jax

    return not isinstance(jax.numpy.zeros(()), jax.core.Tracer)


@functools.cache
def _on_cpu() -> bool:
    return accelerator() is None
