"""From a kernel on the group to the kernel of an ordinary convolution.

A group convolution is an ordinary convolution whose kernel holds a transformed copy of the kernel on the group for each
element of the output group (Cohen & Welling 2016, arXiv 1602.07576, sections 6 and 7):

    expanded[y, (h, c_in), (g, c_out)] = (g kernel)[y, h, c_in, c_out] = kernel[g^-1 y, g^-1 h, c_in, c_out].
"""

from __future__ import annotations

import functools
import math

import keras
import numpy as np
from keras import ops

from groco.groups import Group, act


def expand_kernel(kernel, group_in: Group | None, group_out: Group, groups: int = 1):
    """The kernel of the ordinary convolution that a group convolution is.

    Args:
        kernel: (*kernel_size, |group_in|, c_in / groups, filters), or without |group_in| for a lifting convolution.
        group_in: the group on which the input is given, None for an image (a lifting convolution).
        group_out: the group on which the output is wanted, a subgroup of `group_in`.
        groups: number of groups of channels that do not see each other, as in Keras' convolutions.

    Returns:
        (*kernel_size, |group_in| c_in / groups, |group_out| filters). The output channels are ordered
        (groups, |group_out|, filters / groups).
    """
    ndim = group_out.ndim
    size = tuple(kernel.shape[:ndim])
    c_in, filters = kernel.shape[-2:]
    order_in = 1 if group_in is None else group_in.order
    volume = math.prod(size) * order_in
    if group_out.order == 1:
        return ops.reshape(kernel, (*size, order_in * c_in, filters))
    if keras.backend.backend() == "torch":
        return _expand_for_torch(kernel, group_in, group_out, groups)
    rows = kernel_rows(size, group_in, group_out)
    if keras.backend.backend() == "tensorflow":
        from groco.layers.on_tensorflow import expand_rows

        places = _row_places(size, group_in, group_out)
        expanded = expand_rows(kernel, rows.reshape(places.shape), places, c_in, groups)
    else:
        # Whole rows of c_in x filters numbers are gathered: an index of single numbers would be as large as the result.
        expanded = ops.take(ops.reshape(kernel, (volume, c_in * filters)), rows, axis=0)
        expanded = ops.reshape(expanded, (volume, group_out.order, c_in, groups, filters // groups))
        expanded = ops.transpose(expanded, (0, 2, 3, 1, 4))
    return ops.reshape(expanded, (*size, order_in * c_in, group_out.order * filters))


def _expand_for_torch(kernel, group_in: Group | None, group_out: Group, groups: int):
    """The same numbers, with filters first and channels last in memory, as PyTorch's convolution copies them else.

    It calls the tensor itself, because Keras' functions take 20 to 30 microseconds each in eager mode.
    """
    from groco.layers.on_torch import permuted_copies

    kernel = ops.convert_to_tensor(kernel)
    size = tuple(kernel.shape[: group_out.ndim])
    c_in, filters = kernel.shape[-2:]
    volume = math.prod(kernel.shape[:-2])
    order = group_out.order
    rows = kernel.reshape(volume, c_in, filters).swapaxes(1, 2).reshape(volume, filters * c_in)
    rows = permuted_copies(rows, *_rows_by_element(size, group_in, group_out))
    rows = rows.reshape(order, volume, groups, filters // groups, c_in).permute(2, 0, 3, 1, 4)
    return rows.reshape(order * filters, *size, volume // math.prod(size) * c_in).movedim(0, -1)


@functools.lru_cache(maxsize=512)
def _rows_by_element(size: tuple[int, ...], group_in: Group | None, group_out: Group) -> tuple[np.ndarray, np.ndarray]:
    """(|group_out| n,) for the n rows of the kernel: the row of each copy, by element, and where each row has gone."""
    to = kernel_rows(size, group_in, group_out).reshape(-1, group_out.order).T
    first = np.arange(group_out.order)[:, None] * to.shape[1]
    return to.reshape(-1), (_row_places(size, group_in, group_out).T + first).reshape(-1)


@functools.lru_cache(maxsize=512)
def _row_places(size: tuple[int, ...], group_in: Group | None, group_out: Group) -> np.ndarray:
    """(n, |group_out|): where each of the n rows of the kernel has gone, by element; `kernel_rows` the other way."""
    return np.argsort(kernel_rows(size, group_in, group_out).reshape(-1, group_out.order), axis=0).astype(np.int32)


@functools.lru_cache(maxsize=512)
def kernel_rows(size: tuple[int, ...], group_in: Group | None, group_out: Group) -> np.ndarray:
    """(prod(size) |group_in| |group_out|,): the row of the kernel that each row of the expanded kernel is a copy of."""
    shape = size if group_in is None else (*size, group_in.order)
    rows = np.arange(math.prod(shape)).reshape(shape)
    spatial_axes = range(group_out.ndim)
    group_axis = None if group_in is None else group_out.ndim
    turned = [
        act(group_out, element, rows, spatial_axes, group_axis, signal_group=group_in)
        for element in range(group_out.order)
    ]
    return np.stack(turned, axis=-1).reshape(-1).astype(np.int32)
