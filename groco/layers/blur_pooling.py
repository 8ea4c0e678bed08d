"""Antialiased subsampling: the mean of windows weighted by a binomial filter."""

from __future__ import annotations

import functools
import math
import operator

import keras
from keras import ops

from groco.groups import GroupLike
from groco.layers.pooling import BaseGroupAveragePooling


class BaseGroupBlurPooling(BaseGroupAveragePooling):
    """Blur pooling in any dimension; see `GroupBlurPooling2D`."""

    def __init__(
        self,
        pool_size=4,
        strides=2,
        padding: str = "valid_equiv",
        data_format: str | None = None,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        keepdims: bool = True,
        allow_non_equivariance: bool = False,
        **kwargs,
    ):
        super().__init__(
            pool_size,
            strides,
            padding,
            data_format,
            group=group,
            subgroup=subgroup,
            keepdims=keepdims,
            allow_non_equivariance=allow_non_equivariance,
            **kwargs,
        )

    def _average(self, inputs):
        """The filter is a product over the axes, so they are blurred and subsampled one after the other."""
        for axis, (window, stride) in enumerate(zip(self.pool_size, self.strides, strict=True), start=1):
            count = (ops.shape(inputs)[axis] - window) // stride + 1
            before = (slice(None),) * axis
            inputs = functools.reduce(
                operator.add,
                [
                    weight * inputs[(*before, slice(i, i + (count - 1) * stride + 1, stride))]
                    for i, weight in enumerate(_binomial(window))
                ],
            )
        return inputs


def _binomial(size: int) -> list[float]:
    """A row of Pascal's triangle, divided by its sum."""
    return [math.comb(size - 1, i) / 2 ** (size - 1) for i in range(size)]


@keras.saving.register_keras_serializable(package="groco")
class GroupBlurPooling1D(BaseGroupBlurPooling):
    """`GroupBlurPooling2D` for signals on a group of the line, (batch, steps, |group|, channels)."""

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupBlurPooling2D(BaseGroupBlurPooling):
    """Blurs before it subsamples, so that features change little when the input is shifted by one pixel.

    It is used like `GroupAveragePooling2D`, and is it with a binomial filter for the window's weights, (1, 2, 1) / 4 or
    (1, 3, 3, 1) / 8 along each axis (Zhang 2019, arXiv 1904.11486). A layer that subsamples becomes the same layer
    without stride, and this one after it: `GroupMaxPooling2D(2, strides=1)` or a `GroupConv2D` with its activation,
    then `GroupBlurPooling2D`.

    The stride fits only some sizes, as in all layers here: with stride 2 an even `pool_size` fits even sizes and an odd
    one odd sizes (32 is 31 after `GroupMaxPooling2D(2, strides=1)`).

    Args:
        pool_size: int, or one per axis: length of the filter; 1 subsamples without blur. Axes that the group
            exchanges need the same.
        strides: int, or one per axis, likewise.
        padding: as in `GroupConv2D`; padded points have no weight, so that the border is not darkened.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        group: name of the group on which the input is given, or the `Group`.
        subgroup: the group on which the output is written, by the mean over its cosets as in `GroupAveragePooling2D`;
            `group` by default.
        keepdims: False drops the group axis, which gives an image; only for the trivial subgroup `"P1"`.
        allow_non_equivariance: go on where sizes, strides and padding break equivariance, instead of raising.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, |group|, channels); with channels_first (batch, channels, height, width, |group|).

    Output shape:
        (batch, new_height, new_width, |subgroup|, channels); with channels_first
        (batch, channels, new_height, new_width, |subgroup|).

    Raises:
        ValueError: if an argument is not understood; if the input is not a signal on the group; if size, filter, stride
            and padding cannot be equivariant and `allow_non_equivariance` is False.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 8, 8, 4, 3).astype("float32")
    >>> GroupBlurPooling2D(4, padding="same", group="P4")(signal).shape
    (1, 4, 4, 4, 3)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupBlurPooling3D(BaseGroupBlurPooling):
    """`GroupBlurPooling2D` for signals on a group of space."""

    rank = 3
