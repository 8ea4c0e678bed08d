"""Transposed group convolutions in one, two and three dimensions.

Windows of `window` points at distance `stride` spread `size` points over (size - 1) * stride + window points, the full
transposed convolution. An output is cut out of it, or zeros extend it; on an axis that some element of the group
reverses the same number of points must go, or come, at both ends. That number does not depend on the size, so a layer
is equivariant for every size or for none.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from groco.groups import Group, GroupLike
from groco.kernels import expand_kernel
from groco.layers.base import AXIS_NAMES, is_judged, merge_last_axes, split_last_axis
from groco.layers.checked import checked
from groco.layers.conv import BaseGroupConv
from groco.layers.convolve import convolve


class BaseGroupConvTranspose(BaseGroupConv):
    """The transposed group convolution of any dimension; see `GroupConv2DTranspose`."""

    def __init__(
        self,
        filters: int,
        kernel_size,
        strides=1,
        padding: str = "valid_equiv",
        output_padding=None,
        data_format: str | None = None,
        dilation_rate=1,
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
        **kwargs,
    ):
        if "groups" in kwargs:
            raise ValueError(
                f"{type(self).__name__} takes no groups of channels, as Keras' transposed convolutions, got "
                f"groups={kwargs['groups']!r}; leave it out, or convolve parts of the channels by layers of their own."
            )
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=1,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            group=group,
            subgroup=subgroup,
            allow_non_equivariance=allow_non_equivariance,
            **kwargs,
        )
        self.output_padding = self._check_output_padding(output_padding)
        self._check_equivariance(self.subgroup)
        if self.implementation == "fourier":
            raise self._error(
                "implementation='fourier' does not exist for transposed convolutions. Use 'auto' or 'dense'."
            )

    def build(self, input_shape):
        self._output_sizes(input_shape)
        _, order, channels = self._split_shape(input_shape)
        axes = () if order is None else (self.group.order,)
        self.kernel = self._add_kernel((*self.kernel_size, *axes, self.filters, channels))
        self._add_bias(self.filters)
        self.input_spec = self._spec_of(input_shape)
        self.built = True

    def call(self, inputs, training=None):
        self._output_sizes(inputs.shape)  # sizes learned since the layer was built may be too small
        outputs = self._to_channels_last(inputs)
        for axis, (window, crop) in enumerate(zip(self._windows, self._total_crops, strict=True)):
            if outputs.shape[axis + 1] is None and window <= crop:
                left = (ops.shape(outputs)[axis + 1] - 1) * self.strides[axis] + window - crop
                outputs = checked(outputs, ops.greater(left, 0), str(self._error(self._nothing_left(axis, None))))
        lifting = len(outputs.shape) == self.rank + 2
        if not lifting:
            outputs = merge_last_axes(outputs)
        outputs = self._transpose(outputs, self._expanded_kernel(lifting))
        outputs = self._crop(outputs, self.group if lifting else self.subgroup)
        outputs = split_last_axis(outputs, self.group.order, self.filters)
        return self._finish(outputs)

    def _expanded_kernel(self, lifting: bool):
        """(*kernel_size, |group| filters, |subgroup| channels), or (*kernel_size, |group| filters, channels)."""
        if lifting:
            return self._prepare(
                self.kernel,
                lambda kernel: ops.swapaxes(expand_kernel(ops.swapaxes(kernel, -1, -2), None, self.group), -1, -2),
            )
        return self._prepare(self.kernel, lambda kernel: expand_kernel(kernel, self.group, self.subgroup))

    def _transpose(self, inputs, kernel):
        """The full transposed convolution: (size - 1) * stride + window points on each axis."""
        if max(self.dilation_rate) == 1:
            if keras.backend.backend() == "torch":
                from groco.layers import on_torch

                return on_torch.conv_transpose(inputs, kernel, self.strides)
            return ops.conv_transpose(
                inputs, kernel, strides=self.strides, padding="valid", output_padding=0, data_format="channels_last"
            )
        # Strides are 1 here, so it is a convolution with the reversed kernel, which TensorFlow can dilate on a CPU.
        margins = [(window - 1, window - 1) for window in self._windows]
        kernel = ops.swapaxes(ops.flip(kernel, axis=tuple(range(self.rank))), -1, -2)
        return convolve(ops.pad(inputs, ((0, 0), *margins, (0, 0))), kernel, self.strides, "valid", self.dilation_rate)

    def _crop(self, inputs, group: Group):
        """Cuts the output out of the full transposed convolution, (batch, *spatial, channels)."""
        crops = self._crops(group)
        kept = [slice(max(before, 0), -after if after > 0 else None) for before, after in crops]
        added = [(max(-before, 0), max(-after, 0)) for before, after in crops]
        if any(keep != slice(0, None) for keep in kept):
            inputs = inputs[(slice(None), *kept)]
        if any(pair != (0, 0) for pair in added):
            inputs = ops.pad(inputs, ((0, 0), *added, (0, 0)))
        for axis, (total, pair) in enumerate(zip(self._total_crops, crops, strict=True), start=1):
            if sum(pair) < total:  # one point is too many, and may go at either end: the mean of both
                first, last = (inputs[(*(slice(None),) * axis, end)] for end in (slice(None, -1), slice(1, None)))
                inputs = 0.5 * (first + last)
        return inputs

    @property
    def input_group(self) -> Group:
        return self.subgroup

    @property
    def output_group(self) -> Group:
        return self.group

    @property
    def _total_crops(self) -> list[int]:
        paddings = self.output_padding or (None,) * self.rank
        return [_total_crop(self.padding, *axis) for axis in zip(self._windows, self.strides, paddings, strict=True)]

    def _crops(self, group: Group) -> list[tuple[int, int]]:
        """(before, after) for each axis, the points of the full result that are dropped, negative for zeros added."""
        mirrored = group.mirrored_axes
        return [_split_crop(self.padding, *axis) for axis in zip(self._total_crops, mirrored, strict=True)]

    def _output_sizes(self, input_shape) -> tuple:
        self._check_input_shape(input_shape, image_allowed=True)
        spatial, order, _ = self._split_shape(input_shape)
        if order is None:
            self._check_equivariance(self.group)
        sizes = []
        for axis, (size, crop) in enumerate(zip(spatial, self._total_crops, strict=True)):
            new = None if size is None else (size - 1) * self.strides[axis] + self._windows[axis] - crop
            if new is not None and is_judged(size) and new < 1:
                raise self._error(self._nothing_left(axis, size))
            sizes.append(new)
        return tuple(sizes)

    def _nothing_left(self, axis: int, size: int | None) -> str:
        return (
            f"the {AXIS_NAMES[self.rank][axis]} of the input{'' if size is None else f' is {size}, which'} leaves no "
            f"output (padding={self.padding!r}, output_padding={self.output_padding}); use a larger input or "
            "output_padding."
        )

    def compute_output_shape(self, input_shape):
        sizes = self._output_sizes(input_shape)
        return self._join_shape(input_shape[0], sizes, self.group.order, self.filters)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["groups"]  # Keras' transposed convolutions have none
        return {**config, "output_padding": self.output_padding}

    # -- checks ----------------------------------------------------------------------------------------------------

    def _check_output_padding(self, output_padding) -> tuple[int, ...] | None:
        if output_padding is None:
            return None
        if self.padding.endswith("_equiv"):
            raise self._error(
                f"padding={self.padding!r} sets the size of the output by itself, got output_padding="
                f"{output_padding!r}; leave it out, or use padding={self.padding.removesuffix('_equiv')!r}."
            )
        values = self._per_axis("output_padding", output_padding, minimum=0)
        if any(value >= stride for value, stride in zip(values, self.strides, strict=True)):
            raise self._error(f"output_padding={values} must be below strides={self.strides} on each axis.")
        return values

    def _check_equivariance(self, group: Group) -> None:
        """Raises ValueError where the layer cannot be equivariant to `group`."""
        self._check_equal_on_orbits("kernel_size", self.kernel_size, group)
        if self.allow_non_equivariance:
            return
        self._check_equal_on_orbits("strides", self.strides, group)
        self._check_equal_on_orbits("dilation_rate", self.dilation_rate, group)
        if self.output_padding is not None:
            self._check_equal_on_orbits("output_padding", self.output_padding, group)
        for axis, (before, after) in enumerate(self._crops(group)):
            if group.mirrored_axes[axis] and before != after:
                raise self._error(self._uneven(axis, group, before, after))

    def _uneven(self, axis: int, group: Group, before: int, after: int) -> str:
        window, stride = self._windows[axis], self.strides[axis]
        got = "" if self.output_padding is None else f" and output_padding={self.output_padding[axis]}"
        cut = f"drops {before} points at the start and {after} at the end"
        if before + after < 0:
            cut = f"adds {-before} zeros at the start and {-after} at the end"
        totals = [_total_crop(self.padding, window, stride, value) for value in range(stride)]
        even = [value for value, total in enumerate(totals) if len(set(_split_crop(self.padding, total, True))) == 1]
        remedies = [f"padding='{self.padding}_equiv'{got and ' without output_padding'}"]
        remedies.append(f"output_padding={' or '.join(map(str, even))}")
        if not got:
            remedies.append(f"a window of at least {stride}{' and its parity' if self.padding == 'same' else ''}")
        return (
            f"padding={self.padding!r}{got} breaks equivariance to {group.name!r} with {AXIS_NAMES[self.rank][axis]} "
            f"window {window} ((kernel - 1) * dilation + 1), stride {stride}: it {cut} of the full transposed "
            f"convolution, and both must be the same. What works: {'; '.join(remedies)}; or "
            "allow_non_equivariance=True."
        )


def _total_crop(padding: str, window: int, stride: int, output_padding: int | None) -> int:
    """Points of the full transposed convolution that the output lacks on one axis; negative if it has more."""
    if padding == "valid_equiv":
        return 0
    if padding == "valid":
        return -output_padding if output_padding is not None else min(window - stride, 0)
    return window - stride if output_padding is None else window - window % 2 - output_padding


def _split_crop(padding: str, total: int, mirrored: bool) -> tuple[int, int]:
    """How many of `total` points are dropped at the start and at the end: Keras' choice, or, with `same_equiv` on
    a mirrored axis, as many at both ends, which is one too few if `total` is odd."""
    if padding == "same_equiv" and mirrored:
        return total // 2, total // 2
    before = max(total, 0) // 2
    return before, total - before


@keras.saving.register_keras_serializable(package="groco")
class GroupConv1DTranspose(BaseGroupConvTranspose):
    """Transposed group convolution of sequences and of signals on a group of the line (`"P1"`, `"PM"`).

    As `GroupConv2DTranspose`, with one spatial axis: an image is (batch, steps, channels), a signal on the group is
    (batch, steps, |subgroup|, channels), and the kernel is (k, |group|, filters, channels).
    """

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupConv2DTranspose(BaseGroupConvTranspose):
    """Transposed group convolution of images and of signals on a group of the plane: it makes them larger.

    It is used like `keras.layers.Conv2DTranspose`, and is the adjoint of a `GroupConv2D` with the same group, subgroup
    and kernel. As that layer subsamples the grid by its strides and the group G to the subgroup H, this one goes back:
    it reads a signal f on H and writes one on G,

        out(x, g) = sum over y in Z^2, h in H of f(y, h) k(h^-1 (x - s y), h^-1 g),    g in G,

    with the strides s. If the input is turned by an element of H then so is the output, exactly, the element acting
    on G. An ordinary image, known by its rank, is lifted to G instead, whatever the subgroup, and the layer is then
    equivariant to all of G,

        out(x, g) = sum over y in Z^2 of f(y) k(g^-1 (x - s y)),    g in G.

    Args:
        filters: number of output channels; each is one feature map over the whole group.
        kernel_size: int, or one per axis. Axes that the subgroup (for an image: the group) exchanges need the same.
        strides: int, or one per axis, likewise.
        padding: how an output is cut out of the full result, which has (n - 1) s + w points for an input of n, a
            stride of s and a window of w = (kernel - 1) dilation + 1.
            `"valid_equiv"` (the default) takes all of it.
            `"same_equiv"` takes n s points. On an axis that the subgroup (for an image: the group) mirrors, it drops
            (w - s) / 2 at both ends, or adds as many zeros if w < s; if w - s is odd, it takes the mean of the two ways
            to drop one more at one end, which is exact but blurs by a pixel. On other axes it is `"same"`.
            `"valid"` and `"same"` are Keras' own, and are refused where they would break equivariance, for every size
            of the input: `"valid"` with w < s, and `"same"` unless w - s is even and not negative.
        output_padding: int, or one per axis, below the strides. As in Keras it sets the size of the output, to
            (n - 1) s + w + output_padding with `"valid"` and (n - 1) s + w % 2 + output_padding with `"same"`. Where it
            would break equivariance it is refused; 0 never does.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        dilation_rate: int, or one per axis. Not above 1 together with strides above 1.
        activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `keras.layers.Conv2DTranspose`. The bias is
            shared over the group. The kernel has the shape, and the fans, of that of the adjoint `GroupConv2D`:
            on a group one axis more than that of Keras, which constraints by axis must name.
        group: name of the group on which the output is written (`groco.groups.list_groups(2)`), or the `Group`.
        subgroup: the group on which the input is given and to which the layer is equivariant; `group` by default.
        allow_non_equivariance: go on where strides and padding break equivariance, instead of raising.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        A signal on the subgroup (batch, height, width, |subgroup|, channels) or an image (batch, height, width,
        channels); with channels_first (batch, channels, height, width, |subgroup|) or (batch, channels, height, width).

    Output shape:
        (batch, new_height, new_width, |group|, filters); with channels_first
        (batch, filters, new_height, new_width, |group|). Sizes may be unknown (None).

    Raises:
        ValueError: if an argument is not understood; if the input's rank, group axis or channels do not fit; if
            kernel, strides and padding cannot be equivariant and `allow_non_equivariance` is False.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 14, 14, 2, 16).astype("float32")
    >>> GroupConv2DTranspose(8, 4, strides=2, padding="same", group="P4", subgroup="P2")(signal).shape
    (1, 28, 28, 4, 8)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupConv3DTranspose(BaseGroupConvTranspose):
    """Transposed group convolution of volumes and of signals on a group of space (`"Oh"`, `"O"`, `"D4h"`, ...).

    As `GroupConv2DTranspose`, with three spatial axes: an image is (batch, depth, height, width, channels), a signal
    on the group is (batch, depth, height, width, |subgroup|, channels), and the kernel is
    (k, k, k, |group|, filters, channels).
    """

    rank = 3
