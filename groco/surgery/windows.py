"""The padding of windows, where the layers of a plain net can pad."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from groco.layers import padding as padding_rule
from groco.layers.base import AXIS_NAMES, GroupLayer
from groco.surgery.workshop import Workshop


def of_rank(stem: str, rank: int):
    """A class of Keras by its name without the dimension: `"Conv"`, `"Conv|Transpose"`."""
    head, _, tail = stem.partition("|")
    return getattr(keras.layers, f"{head}{rank}D{tail}")


def per_axis(values):
    """What Keras takes for an argument with one value per axis: a single one in 1-D."""
    values = tuple(values)
    return values if len(values) > 1 else values[0]


def paddings(layer: GroupLayer, sizes, windows, strides) -> list[tuple[int, int]] | None:
    """(before, after) for each axis; None where only Keras' own `"same"` is right for every size.

    Raises ValueError where the padding depends on a size that is not known, in another way.
    """
    found = layer._window_paddings(sizes, windows, strides)
    for axis, (pair, window, stride) in enumerate(zip(found, windows, strides, strict=True)):
        if pair[0] is None:
            totals = set(layer._possible_totals(axis, window, stride).values())
            found[axis] = (min(totals) // 2, min(totals) - min(totals) // 2) if len(totals) == 1 else pair
    unknown = [axis for axis, pair in enumerate(found) if pair[0] is None]
    if not unknown:
        return found
    if all(_is_same(layer, axis, *args) for axis, args in enumerate(zip(sizes, windows, strides, strict=True))):
        return None
    raise ValueError(
        f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: its padding depends on the "
        f"{AXIS_NAMES[layer.rank][unknown[0]]} of the input, which is not known; export a model built for known sizes."
    )


def _is_same(layer: GroupLayer, axis: int, size: int | None, window: int, stride: int) -> bool:
    """Whether the padding of an axis is Keras' `"same"`, for its size or for every size that the layer takes."""
    totals = layer._possible_totals(axis, window, stride)
    if size is not None:
        mirrored = layer._window_group.mirrored_axes[axis]
        totals = {size: padding_rule.total_padding(layer.padding, size, window, stride, mirrored)}
    return all(total == padding_rule.total_padding("same", n, window, stride, False) for n, total in totals.items())


def pad(shop: Workshop, layer: GroupLayer, tensor, windows, strides, value: float = 0.0, part: str = "pad"):
    """Pads (batch, *spatial, channels) as the layer does; returns it with the padding left to the next layer."""
    sizes = tuple(tensor.shape[1:-1])
    pairs = paddings(layer, sizes, windows, strides)
    if pairs is None or layer._is_same(tensor, windows, strides, pairs):
        return tensor, "same"
    return add_border(shop, layer, tensor, pairs, value, part), "valid"


def add_border(shop: Workshop, layer, tensor, pairs, value: float = 0.0, part: str = "pad"):
    if all(pair == (0, 0) for pair in pairs):
        return tensor
    if value:
        return ops.pad(tensor, ((0, 0), *pairs, (0, 0)), constant_values=value)
    kind = of_rank("ZeroPadding", len(pairs))
    return shop.apply(tensor, kind, layer, part, padding=per_axis(pairs), data_format="channels_last")


def last_if(rank: int) -> dict[str, Any]:
    """The data format; Keras' layers that crop and repeat points have none in 1-D."""
    return {"data_format": "channels_last"} if rank > 1 else {}


def counts(size: int, window: int, stride: int, pair: tuple[int, int], weights) -> np.ndarray:
    """The weight inside the image of each window of an axis."""
    inside = np.pad(np.ones(size), pair)
    number = (len(inside) - window) // stride + 1
    return np.array([inside[i * stride : i * stride + window] @ np.asarray(weights) for i in range(number)])
