"""Group convolutions in one, two and three dimensions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from groco.fourier import gradients_follow
from groco.groups import Group, GroupLike
from groco.kernels import expand_kernel
from groco.layers.base import merge_last_axes, split_last_axis
from groco.layers.convolve import convolve
from groco.layers.implementations import ChoiceOfImplementation


class BaseGroupConv(ChoiceOfImplementation):
    """The group convolution of any dimension; see `GroupConv2D`."""

    def __init__(
        self,
        filters: int,
        kernel_size,
        strides=1,
        padding: str = "valid_equiv",
        data_format: str | None = None,
        dilation_rate=1,
        groups: int = 1,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        allow_non_equivariance: bool = False,
        implementation: str = "auto",
        **kwargs,
    ):
        super().__init__(
            group=group,
            subgroup=subgroup,
            data_format=data_format,
            allow_non_equivariance=allow_non_equivariance,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.filters = self._positive("filters", filters)
        self.groups = self._positive("groups", groups)
        if self.filters % self.groups:
            raise self._error(f"filters={filters} is not a multiple of groups={groups}.")
        self._set_windows(kernel_size, strides, dilation_rate, padding)
        self._set_implementation(implementation)
        self._set_weight_options(
            activation,
            use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=True)
        spatial, order, channels = self._split_shape(input_shape)
        if channels % self.groups:
            raise self._error(f"the input has {channels} channels, not a multiple of groups={self.groups}.")
        self._window_paddings(spatial, self._windows, self.strides)
        group_in = None if order is None else self.group
        self._check_implementation(group_in, self.subgroup, self.kernel_size, self.groups)
        axes = () if order is None else (order,)
        self.kernel = self._add_kernel((*self.kernel_size, *axes, channels // self.groups, self.filters))
        self._add_bias(self.filters)
        self.input_spec = self._spec_of(input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        signal = self._to_channels_last(inputs)
        group_in = None if len(signal.shape) == self.rank + 2 else self.group
        if group_in is not None:
            channels = self.kernel.shape[-2] * self.groups  # those of the signal may not be known
            shape = (self.kernel_size, self.strides, channels, self.filters, self.groups)
            grid, gradient = self._output_grid(signal), gradients_follow(training)
            if self._is_fourier(group_in, self.subgroup, *shape, grid=grid, gradient=gradient):
                return self._finish(self._fourier_conv(signal, self.kernel))
        return self._activate(self._dense_conv(signal, group_in))

    def _dense_conv(self, signal, group_in: Group | None):
        """The ordinary convolution with the expanded kernel, and the bias."""
        if group_in is not None:
            signal = self._merge_group_axis(signal)
        signal, padding = self._pad_windows(signal, self._windows, self.strides)
        kernel = self._prepare(self.kernel, lambda kernel: expand_kernel(kernel, group_in, self.subgroup, self.groups))
        bias = self._spread_bias(self.subgroup.order, self.groups)
        outputs = convolve(signal, kernel, self.strides, padding, self.dilation_rate, bias)
        return self._split_group_axis(outputs)

    def _merge_group_axis(self, signal):
        """(..., |group|, channels) -> (..., groups |group| channels / groups), the order of the expanded kernel."""
        if self.groups > 1:
            signal = split_last_axis(signal, self.groups, self.kernel.shape[-2])
            signal = merge_last_axes(ops.swapaxes(signal, -3, -2))
            return merge_last_axes(signal)
        return merge_last_axes(signal)

    def _split_group_axis(self, signal):
        """(..., groups |subgroup| filters / groups) -> (..., |subgroup|, filters)."""
        if self.groups > 1:
            signal = split_last_axis(signal, self.groups, self.subgroup.order, self.filters // self.groups)
            return merge_last_axes(ops.swapaxes(signal, -3, -2))
        return split_last_axis(signal, self.subgroup.order, self.filters)

    def compute_output_shape(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=True)
        spatial, _, _ = self._split_shape(input_shape)
        sizes = self._window_output_sizes(spatial, self._windows, self.strides)
        return self._join_shape(input_shape[0], sizes, self.subgroup.order, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }


@keras.saving.register_keras_serializable(package="groco")
class GroupConv1D(BaseGroupConv):
    """Group convolution of sequences and of signals on a group of the line (`"P1"`, `"PM"`).

    As `GroupConv2D`, with one spatial axis: an image is (batch, steps, channels), a signal on the group is
    (batch, steps, |group|, channels), and the kernel is (k, |group|, channels / groups, filters).
    """

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupConv2D(BaseGroupConv):
    """Group convolution of images and of signals on a group of the plane.

    It is used like `keras.layers.Conv2D`. The first one in a net reads an ordinary image, known by its rank, and lifts
    it to the group; the next read signals on the group. A layer that writes `out` on the subgroup H computes, with
    the kernel k and the input f on the group G (or without h, where the input is an image),

        out(x, g) = sum over y in Z^2, h in G of f(x + y, h) k(g^-1 y, g^-1 h),    g in H

    (Cohen & Welling 2016, arXiv 1602.07576, equations 10 and 11). If the input is turned by an element of H, then so is
    the output, exactly: a turned picture with its |H| orientations turned likewise.

    Args:
        filters: number of output channels; each is one feature map over the whole subgroup.
        kernel_size: int, or one per axis. Axes that the subgroup exchanges need the same.
        strides: int, or one per axis, likewise. The default padding keeps strides equivariant.
        padding: `"valid_equiv"` (the default) and `"same_equiv"` pad both sides by the least, above that of `"valid"`
            and `"same"`, that keeps the layer equivariant. `"valid"` and `"same"` are Keras' own, and are refused
            where they would break equivariance.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        dilation_rate: int, or one per axis.
        groups: number of groups of channels that are convolved separately. It splits channels, never the point group,
            so it keeps equivariance.
        activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `keras.layers.Conv2D`. The bias is
            shared over the group. The fan-in of the kernel is |G| k^2 channels / groups. On a group it has one axis
            more than that of Keras, (*kernel_size, |G|, channels / groups, filters), which constraints by axis must
            name: `MaxNorm(axis=[0, 1, 2, 3])` is of whole filters.
        group: name of the group on which the input is given (`groco.groups.list_groups(2)`), or the `Group`.
        subgroup: the group on which the output is written and to which the layer is equivariant; `group` by default.
        allow_non_equivariance: go on where sizes, strides and padding break equivariance, instead of raising.
        implementation: `"dense"` convolves with the expanded kernel, `"fourier"` in a basis of the group's irreducible
            representations, with fewer multiplications, and `"auto"` (the default) with the faster one for the shape
            and the backend. Weights and, up to rounding, outputs are the same.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        An image (batch, height, width, channels) or a signal on the group (batch, height, width, |group|, channels);
        with channels_first (batch, channels, height, width) or (batch, channels, height, width, |group|).
        Height and width need not be equal: a quarter turn exchanges them.

    Output shape:
        (batch, new_height, new_width, |subgroup|, filters); with channels_first
        (batch, filters, new_height, new_width, |subgroup|). Sizes may be unknown (None).

    Raises:
        ValueError: if an argument is not understood; if the input's rank, group axis or channels do not fit; if size,
            kernel, stride and padding cannot be equivariant and `allow_non_equivariance` is False; if
            `implementation="fourier"` and there is none: for images, `groups` above 1, or, with kernels of more than
            one point, subgroups without an element that only flips axes. Where a TensorFlow graph only learns the sizes
            at run time it raises `tf.errors.InvalidArgumentError` then.

    Example:

    >>> import numpy as np
    >>> images = np.random.rand(1, 28, 28, 3).astype("float32")
    >>> lifted = GroupConv2D(8, 3, group="P4", activation="relu")(images)
    >>> lifted.shape
    (1, 26, 26, 4, 8)
    >>> GroupConv2D(16, 3, group="P4", strides=1, padding="same")(lifted).shape
    (1, 26, 26, 4, 16)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupConv3D(BaseGroupConv):
    """Group convolution of volumes and of signals on a group of space (`"Oh"`, `"O"`, `"D4h"`, ...).

    As `GroupConv2D`, with three spatial axes: an image is (batch, depth, height, width, channels), a signal on the
    group is (batch, depth, height, width, |group|, channels), and the kernel is
    (k, k, k, |group|, channels / groups, filters).
    """

    rank = 3
