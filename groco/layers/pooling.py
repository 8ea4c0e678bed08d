"""Pooling over windows of the grid and over the cosets of a subgroup."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import keras
import numpy as np
from keras import ops

from groco.groups import Group, GroupLike
from groco.layers.base import GroupLayer, is_judged, merge_last_axes, split_last_axis


def mean(inputs, axis, keepdims: bool = False):
    """The mean over axes, in the precision of the inputs: Keras' own is in single precision on PyTorch and JAX."""
    if keras.backend.standardize_dtype(inputs.dtype) != "float64":
        return ops.mean(inputs, axis=axis, keepdims=keepdims)
    total = ops.sum(inputs, axis=axis, keepdims=keepdims)
    return total / ops.cast(ops.size(inputs) / ops.size(total), "float64")


class CosetPooling(GroupLayer):
    """Base of the layers that reduce a signal on `group` to one on `subgroup`, over cosets, by `_reduce`."""

    _reduce: Any  # ops.max or mean

    def _pool_cosets(self, signal):
        """(..., |group|, channels) -> (..., |subgroup|, channels)."""
        if self.subgroup is self.group:
            return signal
        if self.subgroup.order == 1:
            return self._reduce(signal, axis=-2, keepdims=True)
        regions = self.group.pooling_regions(self.subgroup)
        signal = ops.take(signal, regions.reshape(-1).astype("int32"), axis=-2)
        shape = ops.shape(signal)
        return self._reduce(ops.reshape(signal, (*shape[:-2], *regions.shape, shape[-1])), axis=-2)


class BaseGroupPooling(CosetPooling):
    """Pooling in any dimension; see `GroupMaxPooling2D`. Subclasses say how windows are reduced."""

    def __init__(
        self,
        pool_size=2,
        strides=None,
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
            group=group,
            subgroup=subgroup,
            data_format=data_format,
            allow_non_equivariance=allow_non_equivariance,
            **kwargs,
        )
        self.pool_size = self._per_axis("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else self._per_axis("strides", strides)
        self.padding = self._check_padding(padding)
        self.keepdims = bool(keepdims)
        if not self.keepdims and self.subgroup.order > 1:
            raise self._error(
                f"keepdims=False drops the group axis, which is left with {self.subgroup.order} values on "
                f"{self.subgroup.name!r}; pool onto the trivial subgroup {self.group.subgroups[0].name!r}."
            )
        if not self.allow_non_equivariance:
            self._check_equal_on_orbits("pool_size", self.pool_size, self._window_group)
            self._check_equal_on_orbits("strides", self.strides, self._window_group)

    @property
    def _window_group(self) -> Group:
        """Without the group axis outputs are images, which the whole group turns."""
        return self.subgroup if self.keepdims else self.group

    def build(self, input_shape):
        self._check_shapes(input_shape)
        self.input_spec = self._spec_of(input_shape, weights=False)
        super().build(input_shape)

    def call(self, inputs):
        self._check_shapes(inputs.shape)  # sizes learned since the layer was built may need more padding
        outputs = self._to_channels_last(inputs)
        if max(self.pool_size) > 1 or max(self.strides) > 1:
            channels = outputs.shape[-1]
            outputs = self._pool_windows(merge_last_axes(outputs))
            outputs = split_last_axis(outputs, self.group.order, channels)
        outputs = self._pool_cosets(outputs)
        if not self.keepdims:
            outputs = ops.squeeze(outputs, axis=-2)
        return self._from_channels_last(outputs)

    def _pool_windows(self, inputs):
        """(batch, *spatial, channels) -> (batch, *new_spatial, channels)."""
        raise NotImplementedError

    def _check_shapes(self, input_shape) -> tuple:
        self._check_input_shape(input_shape, image_allowed=False)
        spatial, _, _ = self._split_shape(input_shape)
        paddings = self._window_paddings(spatial, self.pool_size, self.strides)
        for axis, (size, pool, (_, after)) in enumerate(zip(spatial, self.pool_size, paddings, strict=True)):
            unknown = size is None and self._may_be_nothing_but_padding(axis)
            if unknown or (is_judged(size) and after >= pool):
                raise self._error(
                    f"padding={self.padding!r} with pool_size={self.pool_size} and strides={self.strides} would make "
                    f"windows of nothing but padding (input shape {tuple(input_shape)}); "
                    "use strides of at most pool_size, or a size that needs less padding."
                )
        return self._window_output_sizes(spatial, self.pool_size, self.strides)

    def _may_be_nothing_but_padding(self, axis: int) -> bool:
        """Whether there is a window without a point of the input, for any of the sizes that are taken."""
        pool = self.pool_size[axis]
        totals = self._possible_totals(axis, pool, self.strides[axis]).values()
        return any(total - total // 2 >= pool for total in totals)

    def compute_output_shape(self, input_shape):
        sizes = self._check_shapes(input_shape)
        _, _, channels = self._split_shape(input_shape)
        return self._join_shape(input_shape[0], sizes, self.subgroup.order if self.keepdims else None, channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "keepdims": self.keepdims,
        }


class BaseGroupMaxPooling(BaseGroupPooling):
    _reduce = staticmethod(ops.max)

    def _pool_windows(self, inputs):
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        least = np.iinfo(dtype).min if "int" in dtype else -np.inf
        inputs, padding = self._pad_windows(inputs, self.pool_size, self.strides, value=least, leave_same=False)
        if _lacks_3d_pooling(inputs):
            return _pool_axis_by_axis(inputs, self.pool_size, self.strides, ops.maximum)
        if keras.backend.backend() == "torch":
            from groco.layers import on_torch

            return on_torch.max_pool(inputs, self.pool_size, self.strides)
        return ops.max_pool(inputs, self.pool_size, self.strides, padding, data_format="channels_last")


class BaseGroupAveragePooling(BaseGroupPooling):
    _reduce = staticmethod(mean)

    def _pool_windows(self, inputs):
        """The mean of the points inside the image: padding is left out of it."""
        padded, _ = self._pad_windows(inputs, self.pool_size, self.strides, leave_same=False)
        means = self._average(padded)
        if padded is inputs:
            return means
        ones = ops.ones_like(inputs[:1, ..., :1])
        inside, _ = self._pad_windows(ones, self.pool_size, self.strides, leave_same=False)
        return means / self._average(inside)

    def _average(self, inputs):
        if _lacks_3d_pooling(inputs):
            return _pool_axis_by_axis(inputs, self.pool_size, self.strides, operator.add) / math.prod(self.pool_size)
        if keras.backend.backend() == "torch":
            from groco.layers import on_torch

            return on_torch.average_pool(inputs, self.pool_size, self.strides)
        return ops.average_pool(inputs, self.pool_size, self.strides, "valid", data_format="channels_last")


# In which precisions a backend cannot pool volumes on every device.
_NO_3D_POOLING = {"tensorflow": ("float64", "float16"), "torch": ("float16", "bfloat16")}


def _lacks_3d_pooling(inputs) -> bool:
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    return len(inputs.shape) == 5 and dtype in _NO_3D_POOLING.get(keras.backend.backend(), ())


def _pool_axis_by_axis(inputs, windows, strides, combine):
    """Pools (batch, *spatial, channels) by combining strided slices, one axis after the other."""
    for axis, (window, stride) in enumerate(zip(windows, strides, strict=True), start=1):
        count = (ops.shape(inputs)[axis] - window) // stride + 1
        before = (slice(None),) * axis
        slices = [inputs[(*before, slice(i, i + (count - 1) * stride + 1, stride))] for i in range(window)]
        inputs = functools.reduce(combine, slices)
    return inputs


@keras.saving.register_keras_serializable(package="groco")
class GroupMaxPooling1D(BaseGroupMaxPooling):
    """`GroupMaxPooling2D` for signals on a group of the line, (batch, steps, |group|, channels)."""

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupMaxPooling2D(BaseGroupMaxPooling):
    """Maximum over windows of the grid and, given a subgroup, over its cosets.

    It is used like `keras.layers.MaxPooling2D`. Writing on a subgroup H of the group G, `out(x, h)` is the maximum
    of the inputs at the points of the window at x and at the elements h t, t over the first elements of the right
    cosets of H. As a stride subsamples the grid, this subsamples the point group, and what is left is equivariant to
    H, for every subgroup, normal or not (Cohen & Welling 2016, arXiv 1602.07576, section 6.3). `pool_size=1` pools
    over the group alone.

    Args:
        pool_size: int, or one per axis: size of the window.
        strides: int, or one per axis; `pool_size` by default.
        padding: as in `GroupConv2D`; padded points never win the maximum.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        group: name of the group on which the input is given, or the `Group`.
        subgroup: the group on which the output is written; `group` by default.
        keepdims: False drops the group axis, which gives an image that turns with the whole group, to which the windows
            must fit then; only for the trivial subgroup `"P1"`.
        allow_non_equivariance: go on where sizes, strides and padding break equivariance, instead of raising.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, |group|, channels); with channels_first (batch, channels, height, width, |group|).

    Output shape:
        (batch, new_height, new_width, |subgroup|, channels); with channels_first
        (batch, channels, new_height, new_width, |subgroup|).

    Raises:
        ValueError: if an argument is not understood; if the input is not a signal on the group; if size, pool, stride
            and padding cannot be equivariant and `allow_non_equivariance` is False.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 8, 8, 8, 3).astype("float32")
    >>> GroupMaxPooling2D(2, group="P4M", subgroup="P4")(signal).shape
    (1, 4, 4, 4, 3)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupMaxPooling3D(BaseGroupMaxPooling):
    """`GroupMaxPooling2D` for signals on a group of space, (batch, depth, height, width, |group|, channels)."""

    rank = 3


@keras.saving.register_keras_serializable(package="groco")
class GroupAveragePooling1D(BaseGroupAveragePooling):
    """`GroupAveragePooling2D` for signals on a group of the line, (batch, steps, |group|, channels)."""

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupAveragePooling2D(BaseGroupAveragePooling):
    """Mean over windows of the grid and, given a subgroup, over its cosets.

    As `GroupMaxPooling2D`, with the mean for the maximum. Padded points are left out of the mean.
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupAveragePooling3D(BaseGroupAveragePooling):
    """`GroupAveragePooling2D` for signals on a group of space, (batch, depth, height, width, |group|, channels)."""

    rank = 3
