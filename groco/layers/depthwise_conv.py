"""Depthwise group convolutions: one kernel on the group for each channel, and no sum over channels."""

from __future__ import annotations

import itertools
import math
from typing import Any

import keras
from keras import ops

from groco.groups import GroupLike
from groco.kernels import expand_kernel
from groco.layers.base import merge_last_axes, split_last_axis
from groco.layers.convolve import convolve
from groco.layers.weighted import WeightedGroupLayer

# Feature maps of one dense convolution that stands for several channels; from there on wider ones only waste work.
BLOCK = 128


class BaseDepthwiseGroupConv(WeightedGroupLayer):
    """The depthwise group convolution of any dimension; see `DepthwiseGroupConv2D`."""

    roles: tuple[str, ...] = ("depthwise", "bias")

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding: str = "valid_equiv",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate=1,
        activation=None,
        use_bias: bool = True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        allow_non_equivariance: bool = False,
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
        self.depth_multiplier = self._positive("depth_multiplier", depth_multiplier)
        self._set_windows(kernel_size, strides, dilation_rate, padding)
        self._set_weight_options(
            activation,
            use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
        )

    # -- weights ---------------------------------------------------------------------------------------------------

    def build(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=True)
        spatial, order, channels = self._split_shape(input_shape)
        self._window_paddings(spatial, self._windows, self.strides)
        self._add_kernels(() if order is None else (order,), channels)
        self._add_bias(self._filters(channels))
        self.input_spec = self._spec_of(input_shape)
        super().build(input_shape)

    def _add_kernels(self, order: tuple[int, ...], channels: int) -> None:
        """`order` is (|group|,), or () for an image."""
        self.kernel = self._add_depthwise_kernel("kernel", (*order, channels, self.depth_multiplier))

    def _add_depthwise_kernel(self, name: str, axes: tuple[int, ...]):
        return self._add_kernel((*self.kernel_size, *axes), name, "depthwise")

    def _filters(self, channels: int) -> int:
        """The number of output channels."""
        return channels * self.depth_multiplier

    # -- computation -----------------------------------------------------------------------------------------------

    def call(self, inputs, training=None):
        outputs = self._convolve(self._to_channels_last(inputs), training)
        return self._finish(outputs)

    def _convolve(self, signal, training: bool | None):
        """An image or a signal on the group, channels last -> (batch, *new_spatial, |subgroup|, filters)."""
        return self._depthwise(signal, self.kernel)

    def _depthwise(self, signal, kernel):
        """The depthwise group convolution: -> (batch, *new_spatial, |subgroup|, channels depth_multiplier)."""
        lifting = len(signal.shape) == self.rank + 2
        order, channels = 1 if lifting else self.group.order, kernel.shape[-2]  # those of the signal may not be known
        group = None if lifting else self.group

        def expand(kernel):
            kernel = ops.reshape(kernel, (*kernel.shape[:-2], 1, channels * self.depth_multiplier))
            kernel = expand_kernel(kernel, group, self.subgroup, groups=channels)
            return split_last_axis(kernel, channels, self.subgroup.order * self.depth_multiplier)

        kernel = self._prepare(kernel, expand, "depthwise")
        outputs = self._convolve_channels(signal if lifting else merge_last_axes(signal), kernel, order)
        outputs = split_last_axis(outputs, channels, self.subgroup.order, self.depth_multiplier)
        return merge_last_axes(ops.swapaxes(outputs, -3, -2))

    def _convolve_channels(self, maps, kernel, order: int):
        """Pads, and convolves (batch, *spatial, order c) with (*kernel_size, order, c, n) to (..., c n)."""
        # With strides backends pad differently, or go wrong; see `convolve`.
        leave_same = max(self.strides) == 1 and (order > 1 or _axes_of_backend(self.strides) == self.rank)
        maps, padding = self._pad_windows(maps, self._windows, self.strides, leave_same=leave_same)
        if order == 1:
            return depthwise_conv(maps, ops.squeeze(kernel, self.rank), self.strides, padding, self.dilation_rate)
        maps = split_last_axis(maps, order, kernel.shape[-2])
        return channelwise_conv(maps, kernel, self.strides, padding, self.dilation_rate)

    # -- shapes and configuration ----------------------------------------------------------------------------------

    def compute_output_shape(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=True)
        spatial, _, channels = self._split_shape(input_shape)
        sizes = self._window_output_sizes(spatial, self._windows, self.strides)
        return self._join_shape(input_shape[0], sizes, self.subgroup.order, self._filters(channels))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "depth_multiplier": self.depth_multiplier,
            "dilation_rate": self.dilation_rate,
        }


def channelwise_conv(inputs, kernel, strides, padding, dilation_rate):
    """Convolves each channel by itself, over its own few maps.

    Args:
        inputs: (batch, *spatial, order, channels).
        kernel: (*kernel_size, order, channels, n).

    Returns:
        (batch, *new_spatial, channels n).
    """
    *size, order, channels, maps = kernel.shape
    if keras.backend.backend() == "torch":
        inputs = merge_last_axes(ops.swapaxes(inputs, -2, -1))
        kernel = ops.reshape(kernel, (*size, order, channels * maps))
        return convolve(inputs, kernel, strides, padding, dilation_rate)
    # The gradient of XLA's convolution of groups of channels, which Keras takes here, is many times slower on a CPU
    # than that of a dense convolution of a few channels with zeros where they would mix.
    width = max(1, BLOCK // max(order, maps))
    outputs = []
    for start in range(0, channels, width):
        block = kernel[..., start : start + width, :]
        count = block.shape[-2]
        unmixed = ops.expand_dims(ops.eye(count, dtype=keras.backend.standardize_dtype(kernel.dtype)), -1)
        block = ops.reshape(ops.expand_dims(block, -2) * unmixed, (*size, order * count, count * maps))
        part = merge_last_axes(inputs[..., start : start + width])
        outputs.append(convolve(part, block, strides, padding, dilation_rate))
    return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)


def depthwise_conv(inputs, kernel, strides, padding, dilation_rate):
    """The ordinary depthwise convolution, in any dimension and on any backend.

    Args:
        inputs: (batch, *spatial, channels).
        kernel: (*kernel_size, channels, n).
        strides, dilation_rate: int per axis.
        padding: `"valid"`; or `"same"`, where the backend has it along all axes.

    Returns:
        (batch, *new_spatial, channels n).
    """
    rank, known = len(strides), _axes_of_backend(strides)
    if known == rank:
        return _depthwise_conv_of_backend(inputs, kernel, strides, padding, dilation_rate)
    if padding != "valid":
        raise ValueError(f"The backend pads no depthwise convolution of {rank} axes, got padding={padding!r}.")
    # The sum over the taps along the first axes, of whose points each is an example of its own.
    first = rank - known
    batch, *sizes, channels = ops.shape(inputs)
    taps = kernel.shape[:first]
    counts = [(sizes[i] - (taps[i] - 1) * dilation_rate[i] - 1) // strides[i] + 1 for i in range(first)]
    total = None
    for tap in itertools.product(*map(range, taps)):
        starts = [tap[i] * dilation_rate[i] for i in range(first)]
        ends = [starts[i] + (counts[i] - 1) * strides[i] + 1 for i in range(first)]
        term = inputs[(slice(None), *map(slice, starts, ends, strides))]
        if known:
            term = ops.reshape(term, (batch * math.prod(counts), *sizes[first:], channels))
            term = _depthwise_conv_of_backend(term, kernel[tap], strides[first:], "valid", dilation_rate[first:])
        else:
            term = merge_last_axes(ops.expand_dims(term, -1) * kernel[tap])
        total = term if total is None else total + term
    return ops.reshape(total, (batch, *counts, *ops.shape(total)[1:])) if known else total


def _axes_of_backend(strides) -> int:
    """Along how many of the last axes the backend has a fast depthwise convolution.

    TensorFlow has it up to the plane, for equal strides. That of XLA is slow, and its gradient slower yet, while it
    fuses the sum over the taps: on JAX both passes are 7 to 9 times as fast.
    """
    if keras.backend.backend() == "torch":
        return len(strides)
    if keras.backend.backend() == "tensorflow":
        return min(len(strides), 2) if len(set(strides[-2:])) == 1 else 1
    return 0


def _depthwise_conv_of_backend(inputs, kernel, strides, padding, dilation_rate):
    if keras.backend.backend() == "torch":
        from groco.layers import on_torch

        kernel = ops.reshape(kernel, (*kernel.shape[:-2], 1, -1))
        return on_torch.convolve(inputs, kernel, strides, padding, dilation_rate)
    return ops.depthwise_conv(
        inputs, kernel, strides, padding, data_format="channels_last", dilation_rate=dilation_rate
    )


@keras.saving.register_keras_serializable(package="groco")
class DepthwiseGroupConv1D(BaseDepthwiseGroupConv):
    """Depthwise group convolution of sequences and of signals on a group of the line (`"P1"`, `"PM"`).

    As `DepthwiseGroupConv2D`, with one spatial axis: an image is (batch, steps, channels), a signal on the group is
    (batch, steps, |group|, channels), and the kernel is (k, |group|, channels, depth_multiplier).
    """

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class DepthwiseGroupConv2D(BaseDepthwiseGroupConv):
    """Group convolution of each channel by itself, for images and for signals on a group of the plane.

    It is used like `keras.layers.DepthwiseConv2D`, which it is for the trivial group. Each channel c of the input has
    `depth_multiplier` kernels on the group G of its own (or on the grid, without h, where the input is an image), and
    a layer that writes on the subgroup H computes

        out(x, g, (c, m)) = sum over y in Z^2, h in G of f(x + y, h, c) k(g^-1 y, g^-1 h, c, m),    g in H.

    That is a `GroupConv2D` with `groups=channels`: orientations are mixed, channels are not.

    Args:
        kernel_size: int, or one per axis. Axes that the subgroup exchanges need the same.
        strides: int, or one per axis, likewise. The default padding keeps strides equivariant.
        padding: as in `GroupConv2D`.
        depth_multiplier: number of output channels for each input channel. Output channel
            `c * depth_multiplier + m` is the m-th of channel c.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        dilation_rate: int, or one per axis; it and the strides cannot both be above 1.
        activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer,
            activity_regularizer, depthwise_constraint, bias_constraint: as in `keras.layers.DepthwiseConv2D`. The bias
            is shared over the group.
        group: name of the group on which the input is given (`groco.groups.list_groups(2)`), or the `Group`.
        subgroup: the group on which the output is written and to which the layer is equivariant; `group` by default.
        allow_non_equivariance: go on where sizes, strides and padding break equivariance, instead of raising.
        **kwargs: `name`, `dtype`, `trainable`.

    The weights are `kernel`, (kh, kw, |group|, channels, depth_multiplier), or (kh, kw, channels, depth_multiplier)
    where the input is an image, and `bias`, (channels depth_multiplier,).

    Input shape:
        An image (batch, height, width, channels) or a signal on the group (batch, height, width, |group|, channels);
        with channels_first (batch, channels, height, width) or (batch, channels, height, width, |group|).

    Output shape:
        (batch, new_height, new_width, |subgroup|, channels depth_multiplier); with channels_first
        (batch, channels depth_multiplier, new_height, new_width, |subgroup|). Sizes may be unknown (None).

    Raises:
        ValueError: as `GroupConv2D`.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 28, 28, 4, 8).astype("float32")
    >>> DepthwiseGroupConv2D(3, padding="same", depth_multiplier=2, group="P4")(signal).shape
    (1, 28, 28, 4, 16)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class DepthwiseGroupConv3D(BaseDepthwiseGroupConv):
    """Depthwise group convolution of volumes and of signals on a group of space (`"Oh"`, `"O"`, `"D4h"`, ...).

    As `DepthwiseGroupConv2D`, with three spatial axes: an image is (batch, depth, height, width, channels), a signal
    on the group is (batch, depth, height, width, |group|, channels), and the kernel is
    (k, k, k, |group|, channels, depth_multiplier).
    """

    rank = 3
