"""Separable group convolutions: the kernel on the group is a product of smaller ones."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from groco.fourier import gradients_follow, pointwise_conv
from groco.groups import Group, GroupLike
from groco.kernels import expand_kernel
from groco.layers.base import merge_last_axes, split_last_axis
from groco.layers.convolve import convolve
from groco.layers.depthwise_conv import BaseDepthwiseGroupConv
from groco.layers.implementations import ChoiceOfImplementation

FACTORIZATIONS = ("depthwise", "gc", "g")


class BaseSeparableGroupConv(ChoiceOfImplementation, BaseDepthwiseGroupConv):
    """The separable group convolution of any dimension; see `SeparableGroupConv2D`."""

    roles: tuple[str, ...] = ("depthwise", "pointwise", "bias")

    def __init__(
        self,
        filters: int,
        kernel_size,
        strides=1,
        padding: str = "valid_equiv",
        data_format: str | None = None,
        dilation_rate=1,
        depth_multiplier: int = 1,
        activation=None,
        use_bias: bool = True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        factorization: str = "depthwise",
        allow_non_equivariance: bool = False,
        implementation: str = "auto",
        **kwargs,
    ):
        super().__init__(
            kernel_size,
            strides=strides,
            padding=padding,
            depth_multiplier=depth_multiplier,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
            group=group,
            subgroup=subgroup,
            allow_non_equivariance=allow_non_equivariance,
            **kwargs,
        )
        self.filters = self._positive("filters", filters)
        if factorization not in FACTORIZATIONS:
            raise self._error(f"factorization is one of {', '.join(FACTORIZATIONS)}, got {factorization!r}.")
        self.factorization = factorization
        self._set_implementation(implementation)
        if self.factorization != "depthwise" and self.depth_multiplier > 1:
            raise self._error(
                f"depth_multiplier={depth_multiplier} needs factorization='depthwise'; with {factorization!r} "
                "the spatial kernels belong to the filters, use depth_multiplier=1."
            )
        self.pointwise_initializer = keras.initializers.get(pointwise_initializer)
        self.pointwise_regularizer = keras.regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = keras.constraints.get(pointwise_constraint)

    def _filters(self, channels: int) -> int:
        return self.filters

    def _add_kernels(self, order: tuple[int, ...], channels: int) -> None:
        group_in = self.subgroup if self.factorization == "depthwise" else self.group if order else None
        size = self.kernel_size if self.factorization == "g" else (1,) * self.rank
        self._check_implementation(group_in, self.subgroup, size)
        depthwise, pointwise = {
            "depthwise": (
                (*order, channels, self.depth_multiplier),
                (self.subgroup.order, channels * self.depth_multiplier, self.filters),
            ),
            "gc": ((1, self.filters), (*order, channels, self.filters)),
            "g": ((channels, self.filters), (*order, channels, self.filters)),
        }[self.factorization]
        self.depthwise_kernel = self._add_depthwise_kernel("depthwise_kernel", depthwise)
        self.pointwise_kernel = None
        if self.factorization != "g" or order:  # an image has no values on the group to separate
            shape = (1,) * self.rank + pointwise
            self.pointwise_kernel = self._add_kernel(shape, "pointwise_kernel", "pointwise")

    def _convolve(self, signal, training: bool | None):
        group = None if len(signal.shape) == self.rank + 2 else self.group
        gradient = gradients_follow(training)
        if self.factorization == "depthwise":
            return self._pointwise(self._depthwise(signal, self.depthwise_kernel), self.subgroup, gradient)
        if self.factorization == "gc":
            return self._spatial(self._pointwise(signal, group, gradient))
        return self._composed(signal, group, gradient)

    def _pointwise(self, signal, group: Group | None, gradient: bool):
        """The 1x1 group convolution with the pointwise kernel: mixes channels and orientations, not points."""
        kernel, point = ops.convert_to_tensor(self.pointwise_kernel), (1,) * self.rank
        shape = (point, point, kernel.shape[-2], self.filters)
        grid = signal.shape[:-2]
        if group is not None and self._is_fourier(group, self.subgroup, *shape, grid=grid, gradient=gradient):
            kernel = ops.reshape(kernel, kernel.shape[self.rank :])
            return pointwise_conv(signal, kernel, group, self.subgroup, self._prepare)
        signal = signal if group is None else merge_last_axes(signal)
        kernel = self._prepare(kernel, lambda kernel: expand_kernel(kernel, group, self.subgroup))
        outputs = convolve(signal, kernel, point)
        return split_last_axis(outputs, self.subgroup.order, self.filters)

    def _spatial(self, signal):
        """Convolves the map of each filter f and each g in the subgroup with the kernel of f turned by g."""
        maps = self.subgroup.order * self.filters
        kernel = self._prepare(
            self.depthwise_kernel,
            lambda kernel: split_last_axis(expand_kernel(kernel, None, self.subgroup), maps, 1),
            "depthwise",
        )
        outputs = self._convolve_channels(merge_last_axes(signal), kernel, order=1)
        return split_last_axis(outputs, self.subgroup.order, self.filters)

    def _composed(self, signal, group: Group | None, gradient: bool):
        """The group convolution with the product of both kernels.

        Between the factors there would be |subgroup| channels filters maps: the product, as small as the kernel of a
        `GroupConv`, is faster and needs less memory.
        """
        kernel = ops.convert_to_tensor(self.depthwise_kernel)
        if group is not None:
            kernel = ops.expand_dims(kernel, self.rank) * self.pointwise_kernel
            shape = (self.kernel_size, self.strides, kernel.shape[-2], self.filters)
            grid = self._output_grid(signal)
            if self._is_fourier(group, self.subgroup, *shape, grid=grid, gradient=gradient):
                return self._fourier_conv(signal, kernel)
            signal = merge_last_axes(signal)
        signal, padding = self._pad_windows(signal, self._windows, self.strides)
        kernel = self._prepare(kernel, lambda kernel: expand_kernel(kernel, group, self.subgroup))
        outputs = convolve(signal, kernel, self.strides, padding, self.dilation_rate)
        return split_last_axis(outputs, self.subgroup.order, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "factorization": self.factorization,
        }


@keras.saving.register_keras_serializable(package="groco")
class SeparableGroupConv1D(BaseSeparableGroupConv):
    """Separable group convolution of sequences and of signals on a group of the line (`"P1"`, `"PM"`).

    As `SeparableGroupConv2D`, with one spatial axis: an image is (batch, steps, channels), a signal on the group is
    (batch, steps, |group|, channels).
    """

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class SeparableGroupConv2D(BaseSeparableGroupConv):
    """Group convolution whose kernel is a product of smaller ones, for images and for signals on a group of the plane.

    It is used like `keras.layers.SeparableConv2D`, which by default it is for the trivial group. It equals a
    `GroupConv2D` from the group G to the subgroup H with a kernel K(y, h, c, o), y a point of the window, h in G (left
    out, where the input is an image), c an input channel and o a filter. `factorization` says what K is made of:

    - `"depthwise"` (the default): a `DepthwiseGroupConv2D` from G to H, and then a 1x1 `GroupConv2D` on H,

          K(y, h, c, o) = sum over t in H, m of D(t^-1 y, t^-1 h, c, m) P(t, (c, m), o).

      As for Keras' layer, each channel is filtered by itself, over points and orientations, and then mixed.
    - `"gc"`: separable over group and channels. A 1x1 `GroupConv2D` from G to H, and then one kernel of the plane for
      each filter, turned with the orientation,

          K(y, h, c, o) = S(y, o) P(h, c, o).

      The smallest, and where channels are many the fastest.
    - `"g"`: separable over the group, one kernel of the plane for each pair of channels,

          K(y, h, c, o) = S(y, c, o) P(h, c, o).

      It saves parameters, not time. An image has no orientations to separate: it is lifted by an ordinary `GroupConv2D`
      with the kernel S, and there is no P.

    `"g"` and `"gc"` are those of Lengyel & van Gemert 2021 (arXiv 2106.04914). The weights `depthwise_kernel` and
    `pointwise_kernel`, besides the bias (filters,), with n = kh kw, C channels, O filters and multiplier M; n_G is the
    order of G, left out with its axis where the input is an image, and n_H that of H:

    - `"depthwise"`: (kh, kw, n_G, C, M) and (1, 1, n_H, C M, O); n n_G C M + n_H C M O parameters.
    - `"gc"`: (kh, kw, 1, O) and (1, 1, n_G, C, O); n O + n_G C O parameters.
    - `"g"`: (kh, kw, C, O) and (1, 1, n_G, C, O); n C O + n_G C O parameters, n C O for an image.

    Args:
        filters: number of output channels; each is one feature map over the whole subgroup.
        kernel_size: int, or one per axis. Axes that the subgroup exchanges need the same.
        strides: int, or one per axis, likewise. The default padding keeps strides equivariant.
        padding: as in `GroupConv2D`.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        dilation_rate: int, or one per axis; it and the strides cannot both be above 1.
        depth_multiplier: number of depthwise kernels for each input channel; 1 unless `factorization="depthwise"`.
        activation, use_bias, depthwise_initializer, pointwise_initializer, bias_initializer, depthwise_regularizer,
            pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint, pointwise_constraint,
            bias_constraint: as in `keras.layers.SeparableConv2D`. The bias is shared over the group. As in Keras'
            layer, the initialisers see each kernel by itself.
        group: name of the group on which the input is given (`groco.groups.list_groups(2)`), or the `Group`.
        subgroup: the group on which the output is written and to which the layer is equivariant; `group` by default.
        factorization: `"depthwise"`, `"gc"` or `"g"`.
        allow_non_equivariance: go on where sizes, strides and padding break equivariance, instead of raising.
        implementation: as in `GroupConv2D`, of the pointwise factor, and for `"g"` of the product.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        An image (batch, height, width, channels) or a signal on the group (batch, height, width, |group|, channels);
        with channels_first (batch, channels, height, width) or (batch, channels, height, width, |group|).

    Output shape:
        (batch, new_height, new_width, |subgroup|, filters); with channels_first
        (batch, filters, new_height, new_width, |subgroup|). Sizes may be unknown (None).

    Raises:
        ValueError: as `GroupConv2D`; if the factorization is unknown or does not know a `depth_multiplier`.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 28, 28, 4, 8).astype("float32")
    >>> SeparableGroupConv2D(16, 3, group="P4", activation="relu")(signal).shape
    (1, 26, 26, 4, 16)
    >>> smaller = SeparableGroupConv2D(16, 3, group="P4", factorization="gc")
    >>> smaller(signal).shape, smaller.count_params()
    ((1, 26, 26, 4, 16), 672)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class SeparableGroupConv3D(BaseSeparableGroupConv):
    """Separable group convolution of volumes and of signals on a group of space (`"Oh"`, `"O"`, `"D4h"`, ...).

    As `SeparableGroupConv2D`, with three spatial axes: an image is (batch, depth, height, width, channels), a signal
    on the group is (batch, depth, height, width, |group|, channels).
    """

    rank = 3
