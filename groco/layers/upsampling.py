"""Upsampling by repetition and by linear interpolation, to a multiple of the size or to a given size."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from groco.groups import GroupLike
from groco.layers.base import AXIS_NAMES, GridLayer, is_expression, is_judged
from groco.layers.checked import checked

# Linear interpolation along each axis has a name of its own in each dimension; Keras says bilinear.
_INTERPOLATIONS = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear", "trilinear": "bilinear"}


class BaseGroupUpSampling(GridLayer):
    """Upsampling in any dimension; see `GroupUpSampling2D`."""

    def __init__(
        self,
        size=2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        *,
        group: GroupLike | None = None,
        target_size=None,
        allow_non_equivariance: bool = False,
        **kwargs,
    ):
        super().__init__(
            group=group,
            subgroup=None,
            data_format=data_format,
            allow_non_equivariance=allow_non_equivariance,
            **kwargs,
        )
        self.size = self._per_axis("size", size)
        self.target_size = None if target_size is None else self._per_axis("target_size", target_size)
        if interpolation not in _INTERPOLATIONS:
            raise self._error(f"interpolation is one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}.")
        self.interpolation = _INTERPOLATIONS[interpolation]
        if not self.allow_non_equivariance:
            if self.target_size is None:
                self._check_equal_on_orbits("size", self.size)
            else:
                self._check_equal_on_orbits("target_size", self.target_size)

    def call(self, inputs):
        outputs = self._to_channels_last(inputs)
        self._output_sizes(tuple(outputs.shape[1 : self.rank + 1]))
        for axis in range(self.rank):
            outputs = self._resize(outputs, axis)
        return self._from_channels_last(outputs)

    def _resize(self, inputs, axis: int):
        """Resizes one spatial axis of (batch, *spatial, ...)."""
        known = inputs.shape[axis + 1]
        if known is not None and self._target(axis, known) == known:
            return inputs
        if self.interpolation == "nearest" and self.target_size is None:
            return ops.repeat(inputs, self.size[axis], axis=axis + 1)
        size = ops.cast(ops.shape(inputs)[axis + 1], "int64") if known is None else known
        target = self._target(axis, size)
        if self.interpolation == "nearest":
            points = _nearest(size, target)
            if known is None and self._must_be_symmetric(axis):
                fits = ops.all(ops.equal(points[::-1], size - 1 - points))
                inputs = checked(inputs, fits, str(self._error(self._broken_nearest(axis, None, target))))
            return _take(inputs, points, axis)
        return sum(
            self._along(inputs, axis, weights) * ops.cast(_take(inputs, points, axis), self.compute_dtype)
            for points, weights in _linear(size, target)
        )

    def _along(self, inputs, axis: int, weights):
        """Weights of the points of one spatial axis, to be multiplied with (batch, *spatial, ...)."""
        return ops.reshape(ops.cast(weights, self.compute_dtype), (-1, *(1,) * (len(inputs.shape) - axis - 2)))

    def _target(self, axis: int, size):
        return size * self.size[axis] if self.target_size is None else self.target_size[axis]

    def _must_be_symmetric(self, axis: int) -> bool:
        return self.group.mirrored_axes[axis] and not self.allow_non_equivariance

    def _output_sizes(self, sizes) -> tuple:
        """The sizes of the output, None where not known yet.

        Raises ValueError where the nearest points of a mirrored axis are not the same read from its other end.
        """
        if self.interpolation == "nearest" and self.target_size is not None:
            for axis, (size, target) in enumerate(zip(sizes, self.target_size, strict=True)):
                if not self._must_be_symmetric(axis):
                    continue
                if is_expression(size):
                    raise self._error(
                        f"whether interpolation='nearest' with target_size {target} is equivariant depends on the "
                        f"{AXIS_NAMES[self.rank][axis]}, which is not known here but as {size}; give it a size, use "
                        "interpolation='bilinear' or TensorFlow."
                    )
                if is_judged(size) and not _is_symmetric(size, target):
                    raise self._error(self._broken_nearest(axis, size, target))
        return tuple(
            None if size is None and self.target_size is None else self._target(axis, size)
            for axis, size in enumerate(sizes)
        )

    def _broken_nearest(self, axis: int, size: int | None, target: int) -> str:
        remedies = []
        if size is not None:
            near = sorted(range(1, 2 * (target + size)), key=lambda other: abs(other - target))
            working = sorted([other for other in near if _is_symmetric(size, other)][:2])
            remedies.append(f"a target_size of {' or '.join(map(str, working))} there")
        remedies += ["interpolation='bilinear'", "allow_non_equivariance=True"]
        return (
            f"interpolation='nearest' breaks equivariance to {self.group.name!r} with {AXIS_NAMES[self.rank][axis]}"
            f"{'' if size is None else f' {size}'}, target_size {target}: some points of the output lie halfway "
            "between two of the input, and whichever is taken, it is the other one in the mirror. "
            f"What works: {'; or '.join(remedies)}."
        )

    def compute_output_shape(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=True)
        spatial, order, channels = self._split_shape(input_shape)
        return self._join_shape(input_shape[0], self._output_sizes(spatial), order, channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "interpolation": self.interpolation,
            "target_size": self.target_size,
        }


def _take(inputs, points, axis: int):
    return ops.take(inputs, ops.cast(points, "int32"), axis=axis + 1)


def _nearest(size, target):
    """(target,): the point of an axis of `size` points in whose cell the centre of each new point lies.

    Centre i is at (i + 1/2) size / target. In integers, so that nothing is rounded. Sizes are ints, or int64 tensors
    where a TensorFlow graph does not know them.
    """
    return (2 * _count(size, target) + 1) * size // (2 * target)


def _linear(size, target):
    """The points below and above each new point, each with the weights with which they are taken, (target,) each.

    Point i is at (i + 1/2) size / target - 1/2. Beyond the outermost points their values are kept.
    """
    place = (2 * _count(size, target) + 1) * size - target  # in units of 1 / (2 target)
    below, rest = place // (2 * target), place % (2 * target)
    clip = np.clip if isinstance(size, int) else ops.clip
    return (
        (clip(below, 0, size - 1), (2 * target - rest) / (2 * target)),
        (clip(below + 1, 0, size - 1), rest / (2 * target)),
    )


def _count(size, target):
    return np.arange(target) if isinstance(size, int) else ops.arange(target, dtype="int64")


def _is_symmetric(size: int, target: int) -> bool:
    """Whether the nearest points are the same ones when the axis is read from its other end."""
    points = _nearest(size, target)
    return np.array_equal(points[::-1], size - 1 - points)


@keras.saving.register_keras_serializable(package="groco")
class GroupUpSampling1D(BaseGroupUpSampling):
    """`GroupUpSampling2D` for sequences and for signals on a group of the line, (batch, steps, |group|, channels)."""

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupUpSampling2D(BaseGroupUpSampling):
    """Upsampling of the grid by repeating points or by linear interpolation; the group axis is left as it is.

    It is used like `keras.layers.UpSampling2D`. The pixels of input and output are cells that divide the same square,
    and values belong to the cells' centres ("half-pixel centres"), so that the two grids have the same middle: linear
    interpolation is equivariant for every size and target, and so is the repetition of points. Taking the nearest
    point for a given `target_size` is so where no new point lies halfway between two old ones (from 5 to any size,
    from 4 to 8 or 12, but not from 4 to 6), and is refused elsewhere.

    Args:
        size: int, or one per axis: the factors. Axes that the group exchanges need the same.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        interpolation: `"nearest"` or `"bilinear"` (or `"linear"` or `"trilinear"`, which all mean interpolation that is
            linear along each axis, in any dimension). There is no antialiasing where a target is smaller than the
            input.
        group: name of the group on which the input is given, or the `Group`.
        target_size: int, or one per axis: the output's size, whatever the input's, instead of the factors `size`.
            Axes that the group exchanges need the same.
        allow_non_equivariance: go on where factors or targets break equivariance, instead of raising.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        A signal on the group (batch, height, width, |group|, channels) or an image (batch, height, width, channels);
        with channels_first (batch, channels, height, width, |group|) or (batch, channels, height, width).

    Output shape:
        As the input's, with the new height and width. Sizes may be unknown (None).

    Raises:
        ValueError: if an argument is not understood; if the input fits neither the group nor an image; if factors,
            sizes and targets cannot be equivariant and `allow_non_equivariance` is False. Where a TensorFlow graph
            only learns the sizes at run time it raises `tf.errors.InvalidArgumentError` then.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 7, 7, 8, 3).astype("float32")
    >>> GroupUpSampling2D(2, group="P4M")(signal).shape
    (1, 14, 14, 8, 3)
    >>> GroupUpSampling2D(interpolation="bilinear", target_size=15, group="P4M")(signal).shape
    (1, 15, 15, 8, 3)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupUpSampling3D(BaseGroupUpSampling):
    """`GroupUpSampling2D` for volumes and for signals on a group of space."""

    rank = 3
