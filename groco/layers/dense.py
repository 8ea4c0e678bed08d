"""Dense layers on the point group alone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from groco.fourier import gradients_follow, pointwise_conv
from groco.groups import Group, GroupLike, get_group
from groco.groups._holohedry import NDIMS
from groco.kernels import expand_kernel
from groco.layers.base import reshape
from groco.layers.implementations import ChoiceOfImplementation


@keras.saving.register_keras_serializable(package="groco")
class GroupDense(ChoiceOfImplementation):
    """Dense layer that is equivariant to a point group: a group convolution without a grid.

    It is used like `keras.layers.Dense`, on what is left when the grid is pooled but not the group, for instance by
    `GlobalGroupAveragePooling2D(group="P4", subgroup="P4")`. Writing on the subgroup H, it computes, with the kernel k
    and the input f on the group G,

        out(g) = sum over h in G of f(h) k(g^-1 h),    g in H

    (Cohen & Welling 2016, arXiv 1602.07576, section 6). What is permuted in the input by an element of H is permuted
    likewise in the output. More axes before the group's are treated alike, so that on a signal with a grid it is the
    group convolution of kernel size 1.

    Args:
        units: number of output channels; each is one value on every element of the subgroup.
        activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `keras.layers.Dense`. The kernel is
            (|group|, channels, units), its fan-in |group| channels; the bias is shared over the group.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        group: name of the group on which the input is given, or the `Group`.
        subgroup: the group on which the output is written and to which the layer is equivariant; `group` by default.
        ndim: dimension of the grid to which the group belongs. It is needed for names that there are in several
            dimensions, as `"P1"`.
        implementation: as in `GroupConv2D`; there is a `"fourier"` for every group but the trivial one.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, ..., |group|, channels); with channels_first (batch, channels, ..., |group|).

    Output shape:
        (batch, ..., |subgroup|, units); with channels_first (batch, units, ..., |subgroup|).

    A mask, for instance (batch, steps), is passed on, unless it is one of the group's elements as well and the subgroup
    has fewer.

    Raises:
        ValueError: if an argument is not understood, the dimension of the group is not clear, the input is not a
            signal on the group, or `implementation="fourier"` and the subgroup is trivial.

    Example:

    >>> import numpy as np
    >>> fibre = np.random.rand(2, 8, 16).astype("float32")
    >>> GroupDense(10, group="P4M", activation="relu")(fibre).shape
    (2, 8, 10)
    >>> GroupDense(10, group="P4M", subgroup="P4")(fibre).shape
    (2, 4, 10)
    """

    def __init__(
        self,
        units: int,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        data_format: str | None = None,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        ndim: int | None = None,
        implementation: str = "auto",
        **kwargs,
    ):
        self.ndim = ndim  # groups are looked up with it
        super().__init__(
            group=group,
            subgroup=subgroup,
            data_format=data_format,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.units = self._positive("units", units)
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

    def _find_group(self, argument: str, group: GroupLike) -> Group:
        if self.ndim is None:
            self.ndim = self._find_ndim(group)
        if self.ndim not in NDIMS:
            raise self._error(f"ndim is 1, 2 or 3, got {self.ndim!r}.")
        self.rank = self.ndim
        return super()._find_group(argument, group)

    def _find_ndim(self, group: GroupLike) -> int:
        if isinstance(group, Group):
            return group.ndim
        found = [ndim for ndim in NDIMS if _is_group(group, ndim)]
        if len(found) != 1:
            where = f"in {', '.join(f'{ndim}-D' for ndim in found)}" if found else "in no dimension"
            raise self._error(f"there is a group {group!r} {where}; use ndim to say which, or give a Group.")
        return found[0]

    def build(self, input_shape):
        channels = self._check_fibre(input_shape)
        self._check_implementation(self.group, self.subgroup, (1,) * self.rank)
        self.kernel = self._add_kernel((self.group.order, channels, self.units))
        self._add_bias(self.units)
        last = self.data_format == "channels_last"
        axes = {-2: self.group.order, -1: channels} if last else {1: channels, -1: self.group.order}
        self.input_spec = keras.InputSpec(min_ndim=3, axes=axes)
        super().build(input_shape)

    def _check_fibre(self, shape) -> int:
        """The number of channels of an input shape. Raises ValueError unless it is that of a signal on the group."""
        last, order = self.data_format == "channels_last", self.group.order
        wanted = f"(batch, ..., {order}, channels)" if last else f"(batch, channels, ..., {order})"
        if len(shape) < 3:
            raise self._error(
                f"it needs a signal on {self.group.name!r} {wanted}, got shape {tuple(shape)}; keep the group axis by "
                f"pooling with subgroup={self.group.name!r}, or use keras.layers.Dense for features without one."
            )
        length, channels = (shape[-2], shape[-1]) if last else (shape[-1], shape[1])
        if length != order:
            raise self._error(
                f"a signal on {self.group.name!r} has a group axis of length {order}, {wanted}, "
                f"got shape {tuple(shape)}; use the group that the layer before writes."
            )
        if channels is None:
            raise self._error(f"the number of channels must be known, got shape {tuple(shape)}.")
        return channels

    def call(self, inputs, training=None):
        signal = self._to_channels_last(inputs)
        if keras.backend.standardize_dtype(signal.dtype) != self.compute_dtype:
            signal = ops.cast(signal, self.compute_dtype)  # Keras leaves whole numbers as they are
        point = (1,) * self.rank  # the kernel is that of a convolution of size 1
        shape = (point, point, self.kernel.shape[-2], self.units)
        grid, gradient = signal.shape[:-2], gradients_follow(training)
        if self._is_fourier(self.group, self.subgroup, *shape, grid=grid, gradient=gradient):
            return self._finish(pointwise_conv(signal, self.kernel, self.group, self.subgroup, self._prepare))
        # Two matrices: TensorFlow's einsum over two axes takes up to 30 times as long with its gradients.
        matrix = self._prepare(self.kernel, self._expanded_matrix)
        outputs = reshape(signal, (-1, matrix.shape[0])) @ matrix
        if self.bias is not None:
            outputs = ops.add(outputs, self._spread_bias(self.subgroup.order))
        return self._activate(reshape(outputs, (*ops.shape(signal)[:-2], self.subgroup.order, self.units)))

    def _expanded_matrix(self, kernel):
        """(|group| channels, |subgroup| units), from (|group|, channels, units)."""
        kernel = ops.reshape(kernel, (1,) * self.rank + tuple(kernel.shape))
        kernel = expand_kernel(kernel, self.group, self.subgroup)
        return ops.reshape(kernel, kernel.shape[self.rank :])

    def compute_mask(self, inputs, mask=None):
        covers_group = mask is not None and len(mask.shape) > len(inputs.shape) - 2
        return None if covers_group and self.subgroup is not self.group else mask

    def _is_on_group(self, rank: int) -> bool:
        return True

    def compute_output_shape(self, input_shape):
        self._check_fibre(input_shape)
        if self.data_format == "channels_last":
            return (*input_shape[:-2], self.subgroup.order, self.units)
        return (input_shape[0], self.units, *input_shape[2:-1], self.subgroup.order)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        self._forget_if_strict(config)
        return {
            **config,
            "units": self.units,
            "ndim": self.ndim,
        }


def _is_group(name: GroupLike, ndim: int) -> bool:
    try:
        get_group(name, ndim)
    except ValueError:
        return False
    return True
