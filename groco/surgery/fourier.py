"""Group convolutions in the Fourier basis, of Keras' own layers and operations: see `groco.fourier`.

The kernels are transformed once, to the weights of dense layers, one for each block. The ways into the basis and back
are products with a constant matrix, as small as the group, in the configuration of the model. Signals are
(batch, *spatial, |group| channels), in the natural order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from groco.fourier.pointwise import pointwise_blocks, pointwise_plan
from groco.fourier.splitting import SplitPlan, convolve_parts, paddings_before, split_blocks, split_plan
from groco.groups import Group
from groco.surgery.signals import merge_last_axes, split_last_axis, to_numpy
from groco.surgery.windows import add_border
from groco.surgery.workshop import Workshop


def pointwise_conv(shop: Workshop, layer, signal, kernel, group_in: Group, part: str = "", bias=None):
    """As `groco.fourier.pointwise_conv`, onto the subgroup of a layer; `part` is as in `Workshop.apply`."""
    order = layer.subgroup.order
    plan = pointwise_plan(group_in, layer.subgroup)
    blocks = _once(lambda: pointwise_blocks(kernel, plan))
    filters = kernel.shape[-1]
    spectrum = _transform(plan.forward, signal)
    width = spectrum.shape[-1] // order  # of one function on the subgroup
    parts = _split(spectrum, [rows * dimension * width for rows, dimension in plan.blocks])
    outputs = []
    for i, ((rows, dimension), inputs) in enumerate(zip(plan.blocks, parts, strict=True)):
        inputs = inputs if rows == 1 else split_last_axis(inputs, rows)
        constant = None if bias is None or i > 0 else bias * np.sqrt(order)  # the first irrep is the trivial one
        mixed = _mix(shop, layer, inputs, blocks, i, dimension * filters, f"{part}_irrep{i}", constant)
        outputs.append(mixed if rows == 1 else merge_last_axes(mixed))
    return _transform(plan.backward, ops.concatenate(outputs, axis=-1))


def split_conv(shop: Workshop, layer, signal, kernel, paddings, bias=None):
    """As `groco.fourier.split_conv`, with the groups, strides and dilation of a layer, and a bias."""
    plan = split_plan(layer.group, layer.subgroup, layer.kernel_size, layer.strides)
    blocks = _once(lambda: split_blocks(kernel, plan))
    spectrum = _transform(plan.forward, signal)
    spectrum = add_border(shop, layer, spectrum, paddings_before(plan, paddings))
    parts = _split(spectrum, [spectrum.shape[-1] // len(plan.characters)] * len(plan.characters))
    combinations = len(plan.characters_after[0])
    constants = np.zeros((combinations, plan.rows.shape[-1], kernel.shape[-1]))
    centre = None if bias is None else _centre(plan, paddings, layer.dilation_rate)
    if centre is not None:
        constants[centre] = bias

    def mix(i: int, inputs):
        constant = None if centre is None or i > 0 else constants.reshape(-1)  # the first character is the trivial one
        return _mix(shop, layer, inputs, blocks, i, constants.size, f"character{i}", constant)

    outputs = convolve_parts(parts, plan, mix, paddings, layer.strides, layer.dilation_rate)
    signal = _transform(plan.backward, ops.concatenate(outputs, axis=-1))
    if bias is None or centre is not None:
        return signal
    return shop.add_bias(signal, layer, np.tile(bias, layer.subgroup.order))


def _centre(plan: SplitPlan, paddings, dilation_rate) -> int | None:
    """The combination of the output that is nothing but the point at the centre of each window, inside the image.

    What is added to it is added to each point of the output once. None if there is no such combination.
    """
    centre = 0
    for axis in plan.axes_after:
        half, odd = divmod(plan.size[axis], 2)
        if not odd or max(paddings[axis]) > half * dilation_rate[axis]:
            return None
        centre = centre * plan.size[axis] + half
    return centre


def _once(blocks: Callable[[], list]) -> Callable[[], list[np.ndarray]]:
    return functools.cache(lambda: [to_numpy(block) for block in blocks()])


def _mix(
    shop: Workshop, layer, inputs, blocks: Callable[[], list[np.ndarray]], i: int, units: int, part: str, bias=None
):
    def weights():
        return [blocks()[i]] if bias is None else [blocks()[i], bias]

    kind, part = keras.layers.Dense, part.strip("_")
    return shop.apply(inputs, kind, layer, part, weights=weights, units=units, use_bias=bias is not None)


def _transform(matrix: np.ndarray, signal):
    """A matrix applied to the group axis, which is merged with the channels."""
    matrix = matrix.astype("float64" if signal.dtype == "float64" else "float32")
    transformed = ops.matmul(matrix, split_last_axis(signal, matrix.shape[1]))
    return merge_last_axes(transformed if transformed.dtype == signal.dtype else ops.cast(transformed, signal.dtype))


def _split(signal, lengths: list[int]) -> list:
    """The channels in parts of so many."""
    return ops.split(signal, np.cumsum(lengths[:-1]).tolist(), axis=-1) if len(lengths) > 1 else [signal]
