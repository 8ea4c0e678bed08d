"""Group convolutions that mix channels and elements of the group but not points, in the basis of irreps.

With f^(rho) = sum over g of f(g) rho(g), the convolution out(g) = sum over h of f(h) k(g^-1 h) is for each irreducible
representation rho a product of matrices,

    out^(rho)[i, j'] = sum over j of f^(rho)[i, j] k^(rho)[j', j],

each with channels besides. A row i is mapped by itself, and all alike: P4M costs 12 multiplications instead of 64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from groco.fourier.irreps import fourier_matrix, irreps
from groco.fourier.transform import transform_group_axis
from groco.groups import Group


def make_now(kernel, make: Callable[[Any], Any], name: str):
    """`make(kernel)`: what layers may keep for the next call (`WeightedGroupLayer._prepare`) is made by the rule."""
    return make(kernel)


def pointwise_conv(signal, kernel, group_in: Group, group_out: Group, prepare=make_now):
    """The group convolution of kernel size 1, without bias.

    Args:
        signal: (..., |group_in|, channels).
        kernel: (|group_in|, channels, filters).
        group_in: the group on which the signal is given.
        group_out: the group on which the output is wanted, a subgroup of `group_in`.
        prepare: `prepare(kernel, make, name)` gives `make(kernel)`.

    Returns:
        (..., |group_out|, filters), what the dense convolution with the expanded kernel gives.
    """
    plan = pointwise_plan(group_in, group_out)
    filters = kernel.shape[-1]
    spectrum = transform_group_axis(plan.forward, signal)
    leading = ops.shape(spectrum)[:-2]
    index = group_in.order // group_out.order
    parts = _split(spectrum, [count * dimension * index for count, dimension in plan.blocks], axis=-2)
    blocks = prepare(kernel, lambda kernel: pointwise_blocks(kernel, plan), "blocks")
    outputs = []
    for (count, dimension), part, block in zip(plan.blocks, parts, blocks, strict=True):
        output = ops.reshape(part, (-1, block.shape[0])) @ block
        outputs.append(ops.reshape(output, (*leading, count * dimension, filters)))
    return transform_group_axis(plan.backward, ops.concatenate(outputs, axis=-2))


def pointwise_blocks(kernel, plan: PointwisePlan) -> list:
    """The matrix for each irrep: (dimension index channels, dimension filters)."""
    order, (channels, filters) = len(plan.regions), kernel.shape[-2:]
    # Of a variable itself TensorFlow would make the gradient a tf.IndexedSlices.
    rows = ops.take(ops.reshape(kernel, (-1, channels * filters)), plan.regions.reshape(-1), axis=0)
    channels *= plan.regions.shape[1]  # the elements h t of a region, h in the subgroup, are so many channels at h
    transform = ops.convert_to_tensor(plan.kernel_transform, dtype=rows.dtype)
    rows = transform @ ops.reshape(rows, (order, channels * filters))
    blocks = []
    kernels = _split(rows, [dimension**2 for _, dimension in plan.blocks], axis=0)
    for (_, dimension), block in zip(plan.blocks, kernels, strict=True):
        block = ops.transpose(ops.reshape(block, (dimension, dimension, channels, filters)), (0, 2, 1, 3))
        blocks.append(ops.reshape(block, (dimension * channels, dimension * filters)))
    return blocks


def _split(inputs, lengths: list[int], axis: int) -> list:
    return ops.split(inputs, np.cumsum(lengths[:-1]).tolist(), axis=axis) if len(lengths) > 1 else [inputs]


@dataclass(frozen=True, eq=False)
class PointwisePlan:
    """What `pointwise_conv` needs to know about a pair of groups.

    Attributes:
        blocks: for each irrep of the subgroup, the number of rows that are mapped alike, and its dimension.
        regions: (|group_out|, index): the elements h t, as in `Group.pooling_regions`.
        forward: (|group_in|, |group_in|): the Fourier transform along h, ordered (irrep, row, column, t).
        backward: (|group_out|, |group_out|): its inverse.
        kernel_transform: (sum of the squared dimensions, |group_out|): k -> k^, ordered (irrep, j, j').
    """

    blocks: tuple[tuple[int, int], ...]
    regions: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    kernel_transform: np.ndarray


@functools.lru_cache(maxsize=256)
def pointwise_plan(group_in: Group, group_out: Group) -> PointwisePlan:
    regions = group_in.pooling_regions(group_out)
    matrix, order = fourier_matrix(group_out), group_out.order
    forward = np.zeros((order, regions.shape[1], group_in.order))
    for t, region in enumerate(regions.T):
        forward[:, t, region] = matrix
    transposed = [irrep.matrices.transpose(2, 1, 0).reshape(-1, order) for irrep in irreps(group_out)]
    return PointwisePlan(
        blocks=tuple((irrep.rows, irrep.dimension) for irrep in irreps(group_out)),
        regions=regions,
        forward=forward.reshape(group_in.order, group_in.order),
        backward=matrix.T,
        kernel_transform=np.concatenate(transposed),
    )
