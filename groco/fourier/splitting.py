"""Group convolutions of any kernel size, split by the flips of the grid's axes into even and odd parts.

The elements of a group that only flip axes form an abelian group A, which maps points to points axis by axis. So
signals split by its characters, one-dimensional and with values 1 and -1: into sums and differences over the group
axis, and over the points at the same distance from the centre of a window. Three points along an axis that is flipped,

    k1 x1 + k2 x2 + k3 x3 = (k1 + k3)/2 (x1 + x3) + k2 x2 + (k1 - k3)/2 (x1 - x3),

have two even combinations and an odd one. The part of the output of character c gets from the part of the input of
character c' only the combinations of character c c': of |A|^2 blocks |A| are left.

Combinations are taken along some of the axes before channels are mixed, as above, and along the others after it, where
k x is added to the points at both sides. Three points each on two axes are thus 3 combinations of the input and 3 of
the output, while windows would be 9 of the input.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from groco.fourier.pointwise import make_now
from groco.fourier.transform import transform_group_axis
from groco.groups import Group
from groco.kernels import kernel_rows


def split_conv(signal, kernel, group_in: Group, group_out: Group, paddings, strides, dilation_rate, prepare=make_now):
    """The group convolution of a signal on the group, without bias.

    Args:
        signal: (batch, *spatial, |group_in|, channels).
        kernel: (*kernel_size, |group_in|, channels, filters).
        group_in: the group on which the signal is given.
        group_out: the group on which the output is wanted, a subgroup of `group_in`.
        paddings: (before, after) for each spatial axis; tensors only where the stride is above 1.
        strides: int per axis.
        dilation_rate: int per axis.
        prepare: `prepare(kernel, make, name)` gives `make(kernel)`.

    Returns:
        (batch, *new_spatial, |group_out|, filters), what the dense convolution with the expanded kernel gives.
    """
    ndim = group_in.ndim
    plan = split_plan(group_in, group_out, tuple(kernel.shape[:ndim]), tuple(strides))
    blocks = prepare(kernel, lambda kernel: ops.unstack(split_blocks(kernel, plan)), "blocks")
    parts = transform_group_axis(plan.forward, signal)
    number = len(plan.characters)
    parts = ops.reshape(parts, (*ops.shape(parts)[:-2], number, group_in.order // number * kernel.shape[-2]))
    width = paddings_before(plan, paddings)
    if is_padded(width):
        parts = ops.pad(parts, ((0, 0), *width, (0, 0), (0, 0)))
    parts = ops.unstack(parts, axis=-2)
    outputs = convolve_parts(parts, plan, lambda i, part: _mix(part, blocks[i]), paddings, strides, dilation_rate)
    joined = ops.stack(outputs, axis=-2)
    joined = ops.reshape(joined, (*ops.shape(joined)[:-2], group_out.order, kernel.shape[-1]))
    return transform_group_axis(plan.backward, joined)


def convolve_parts(parts: list, plan: SplitPlan, mix: Callable[[int, Any], Any], paddings, strides, dilation_rate):
    """The parts of the output, one for each character, from those of the input.

    Args:
        parts: (batch, *spatial, cosets channels), for each character, padded by `paddings_before`.
        plan: what is made of them.
        mix: `mix(i, inputs)` applies the matrix i of `split_blocks` to the channels.
        paddings, strides, dilation_rate: as in `split_conv`.

    Returns:
        (batch, *new_spatial, cosets filters), for each character.
    """
    combinations = [_combine(part, plan, plan.axes_before, strides, dilation_rate) for part in parts]
    mixed = []
    for block, characters in enumerate(plan.characters_before):
        inputs = [combinations[character][j] for j, character in enumerate(characters)]
        outputs = mix(block, ops.concatenate(inputs, axis=-1))
        count = len(plan.characters_after[block])
        mixed.append(ops.split(outputs, count, axis=-1) if count > 1 else [outputs])
    outputs = []
    for character in range(len(plan.characters)):
        terms = [mixed[plan.characters_after[character][k]][k] for k in range(len(mixed[0]))]
        outputs.append(_distribute(terms, plan, plan.axes_after, paddings, dilation_rate))
    return outputs


def paddings_before(plan: SplitPlan, paddings) -> list:
    """The paddings of the axes along which points are combined before the channels are mixed."""
    return [pair if axis in plan.axes_before else (0, 0) for axis, pair in enumerate(paddings)]


def is_padded(paddings) -> bool:
    """Whether (before, after) pairs add points, or may: what is a tensor is known when the graph runs."""
    return any(not isinstance(amount, int) or amount != 0 for pair in paddings for amount in pair)


def split_blocks(kernel, plan: SplitPlan):
    """One matrix for each character: (|A|, combinations before cosets c_in, combinations after cosets filters)."""
    c_in, filters = kernel.shape[-2:]
    rows = ops.take(ops.reshape(kernel, (-1, c_in * filters)), plan.rows.reshape(-1), axis=0)
    transform = ops.convert_to_tensor(plan.kernel_transform, dtype=rows.dtype)
    rows = transform @ ops.reshape(rows, (transform.shape[1], -1))
    characters, before, after = len(plan.characters), len(plan.characters_before[0]), len(plan.characters_after[0])
    cosets_in, cosets_out = plan.rows.shape[-2:]
    rows = ops.reshape(rows, (characters, before, after, cosets_in, cosets_out, c_in, filters))
    rows = ops.transpose(rows, (0, 1, 3, 5, 2, 4, 6))
    return ops.reshape(rows, (characters, before * cosets_in * c_in, after * cosets_out * filters))


def _mix(inputs, block):
    """A matrix applied to the channels; as one product of two matrices, whose gradient is fast everywhere."""
    leading = ops.shape(inputs)[:-1]
    return ops.reshape(ops.reshape(inputs, (-1, block.shape[0])) @ block, (*leading, block.shape[1]))


def _combine(part, plan: SplitPlan, axes, strides, dilation_rate) -> list:
    """The combinations of the points of each window along the given axes, the last axis varying fastest."""
    if not axes:
        return [part]
    axis, *others = axes
    taps, dilation = plan.size[axis], dilation_rate[axis]
    points = [_slice(part, axis + 1, tap * dilation, (taps - 1 - tap) * dilation, strides[axis]) for tap in range(taps)]
    if plan.split[axis]:
        pairs = [(points[i], points[taps - 1 - i]) for i in range(taps // 2)]
        centre = points[taps // 2 : taps // 2 + taps % 2]
        points = [*(a + b for a, b in pairs), *centre, *(a - b for a, b in pairs)]
    return [combination for point in points for combination in _combine(point, plan, others, strides, dilation_rate)]


def _distribute(terms, plan: SplitPlan, axes, paddings, dilation_rate):
    """Adds to each point along the given axes what `_combine`, the other way round, gives to it."""
    for axis in reversed(axes):
        taps, dilation, (before, after) = plan.size[axis], dilation_rate[axis], paddings[axis]
        sums = []
        for first in range(0, len(terms), taps):
            points = terms[first : first + taps]
            if plan.split[axis]:
                half = taps // 2
                pairs = [(points[i], points[i - half]) for i in range(half)]
                points = [*(a + b for a, b in pairs), *points[half : half + taps % 2], *(a - b for a, b in pairs[::-1])]
            total = None
            for tap, point in enumerate(points):
                point = _shift(point, axis + 1, before - tap * dilation, after - (taps - 1 - tap) * dilation)
                total = point if total is None else total + point
            sums.append(total)
        terms = sums
    return terms[0]


def _slice(inputs, axis: int, before: int, after: int, stride: int = 1):
    """Leaves out so many points at both ends of an axis, and takes every `stride`-th of the others."""
    if before == after == 0 and stride == 1:
        return inputs
    return inputs[(slice(None),) * axis + (slice(before, -after or None, stride),)]


def _shift(inputs, axis: int, before: int, after: int):
    """Adds so many zeros at both ends of an axis, or leaves out points where the numbers are negative."""
    added, left_out = (max(0, before), max(0, after)), (max(0, -before), max(0, -after))
    size = inputs.shape[axis]
    if isinstance(size, int) and max(left_out) <= size:  # fewer numbers are moved so
        return _pad(_slice(inputs, axis, *left_out), axis, added)
    return _slice(_pad(inputs, axis, added), axis, *left_out)


def _pad(inputs, axis: int, added: tuple[int, int]):
    if added == (0, 0):
        return inputs
    width = [(0, 0)] * len(inputs.shape)
    width[axis] = added
    return ops.pad(inputs, width)


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """What `split_conv` needs to know about groups, kernel size and strides.

    Blocks and characters have the same numbers: the block b of characters is made of the parts of the input, and gives
    to the parts of the output, that have character b once multiplied by that of their combination.

    Attributes:
        size: the kernel size.
        split: for each spatial axis, whether points are combined as even and odd; they are taken singly where not.
        axes_before: the spatial axes along which points are combined before the channels are mixed.
        axes_after: the other axes.
        characters: (|A|, |A|): the value of each character on each flip.
        characters_before: (|A|, combinations of the axes before): by block, the character of the input.
        characters_after: (|A|, combinations of the axes after): by block, the character of the output, and by the
            character of the output the block, which is the same.
        forward: (|group_in|, |group_in|): to the sums over A of character times signal, ordered (character, coset).
        backward: (|group_out|, |group_out|): back, but for the factor 1 / |A|, which is in the kernel.
        rows: (points, |A|, cosets in, cosets out): rows of the kernel.
        kernel_transform: (|A| combinations, points |A|): from them to the blocks.
    """

    size: tuple[int, ...]
    split: tuple[bool, ...]
    axes_before: tuple[int, ...]
    axes_after: tuple[int, ...]
    characters: np.ndarray
    characters_before: np.ndarray
    characters_after: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    rows: np.ndarray
    kernel_transform: np.ndarray


@functools.cache
def flips(group: Group) -> np.ndarray:
    """The indices of the elements that only flip axes; they are an abelian group."""
    return np.flatnonzero((np.abs(group.matrices) == np.eye(group.ndim)).all(axis=(1, 2)))


@functools.cache
def axes_after(size: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which points are combined after channels are mixed: all but the first of those without stride.

    With a stride, most of what is computed before it would be thrown away.
    """
    axes = [axis for axis, (taps, stride) in enumerate(zip(size, strides, strict=True)) if taps > 1 == stride]
    wide = sum(taps > 1 for taps in size)
    return tuple(axes[1:] if len(axes) == wide else axes)


@functools.lru_cache(maxsize=256)
def split_plan(group_in: Group, group_out: Group, size: tuple[int, ...], strides: tuple[int, ...]) -> SplitPlan:
    ndim = group_out.ndim
    after = axes_after(size, strides)
    before = tuple(axis for axis in range(ndim) if axis not in after)
    signs = np.diagonal(group_out.matrices[flips(group_out)], axis1=1, axis2=2).astype(int)  # (|A|, ndim)
    characters = np.unique(
        [np.prod(signs ** np.array(powers), axis=1) for powers in itertools.product((0, 1), repeat=ndim)], axis=0
    )[::-1]
    split = tuple(bool(flipped) and taps > 1 for flipped, taps in zip((signs == -1).any(axis=0), size, strict=True))
    bases = [_combinations(taps) if even_odd else np.eye(taps) for taps, even_odd in zip(size, split, strict=True)]

    def combined(axes):
        """For each combination along the axes its weights on the points, one array for each axis, and its character."""
        for indices in itertools.product(*(range(size[axis]) for axis in axes)):
            character = np.ones(len(signs), int)
            weights = {}
            for axis, index in zip(axes, indices, strict=True):
                weights[axis] = bases[axis][index]
                if split[axis] and index >= size[axis] - size[axis] // 2:  # the odd ones are the last
                    character = character * signs[:, axis]
            yield weights, character

    def find(character) -> int:
        return int(np.flatnonzero((characters == character).all(axis=1))[0])

    combined_before, combined_after = list(combined(before)), list(combined(after))
    numbers_before = [[find(block * character) for _, character in combined_before] for block in characters]
    numbers_after = [[find(block * character) for _, character in combined_after] for block in characters]
    transform = [
        np.outer(
            functools.reduce(np.multiply.outer, [{**weights, **others}[axis] for axis in range(ndim)]),
            characters[number] / len(signs),
        ).reshape(-1)
        for numbers in numbers_before
        for number, (weights, _) in zip(numbers, combined_before, strict=True)
        for others, _ in combined_after
    ]
    cosets_in, cosets_out = (_cosets(group, group_out) for group in (group_in, group_out))
    rows = kernel_rows(size, group_in, group_out).reshape(math.prod(size), group_in.order, group_out.order)
    return SplitPlan(
        size=size,
        split=split,
        axes_before=before,
        axes_after=after,
        characters=characters,
        characters_before=np.array(numbers_before),
        characters_after=np.array(numbers_after),
        forward=_character_sums(group_in, cosets_in, characters),
        backward=_character_sums(group_out, cosets_out, characters).T,
        rows=rows[:, cosets_in][..., cosets_out[0]],
        kernel_transform=np.array(transform),
    )


def _combinations(taps: int) -> np.ndarray:
    """(taps, taps): the weights of the even combinations of points, then of the odd ones."""
    points = np.eye(taps)
    mirrored = points[::-1]
    even, odd = (points + mirrored) / 2, (points - mirrored) / 2
    return np.concatenate([even[: taps - taps // 2], odd[: taps // 2]])


def _cosets(group: Group, group_out: Group) -> np.ndarray:
    """(|A|, index): the elements a t of a group, a the flips of the output group, t the first of each coset A t."""
    elements = group.positions(group_out)[flips(group_out)]
    products = group.product[elements]
    return products[:, np.flatnonzero(products.min(axis=0) == np.arange(group.order))]


def _character_sums(group: Group, cosets: np.ndarray, characters: np.ndarray) -> np.ndarray:
    """(|group|, |group|): the sum over a of character(a) f(a t), ordered (character, t)."""
    sums = np.zeros((len(characters), cosets.shape[1], group.order))
    for values, coset in zip(characters.T, cosets, strict=True):
        sums[:, np.arange(cosets.shape[1]), coset] = values[:, None]
    return sums.reshape(group.order, group.order)
