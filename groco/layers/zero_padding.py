"""Zero padding and cropping of the grid's borders."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from groco.groups import GroupLike
from groco.layers.base import AXIS_NAMES, GridLayer, is_int, is_judged
from groco.layers.checked import checked


class BorderLayer(GridLayer):
    """Base of the layers that add points to the borders of the grid or take them away."""

    def _border(self, argument: str, value) -> tuple[tuple[int, int], ...]:
        """An int, an int per axis or a pair per axis as (before, after) pairs, mapped onto themselves by the group."""
        pairs = self._pairs(argument, value)
        if not self.allow_non_equivariance:
            for name, matrix in zip(self.group.element_names, self.group.matrices, strict=True):
                for axis, row in enumerate(matrix):
                    source = int(np.flatnonzero(row)[0])
                    if pairs[axis] != pairs[source][:: int(row[source])]:
                        raise self._error(self._uneven(argument, pairs, name, axis))
        return pairs

    def _pairs(self, argument: str, value) -> tuple[tuple[int, int], ...]:
        if self.rank == 1 and isinstance(value, (tuple, list)) and len(value) == 2:
            value = (value,)  # as in Keras, (before, after)
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * self.rank
        pairs = [tuple(v) if isinstance(v, (tuple, list)) else (v, v) for v in values]
        if len(pairs) != self.rank or any(len(p) != 2 or not all(is_int(v) and v >= 0 for v in p) for p in pairs):
            per_axis = f"{self.rank} ints, or {self.rank} pairs" if self.rank > 1 else "a pair"
            raise self._error(f"{argument} is an int, {per_axis} (before, after), none below 0, got {value!r}.")
        return tuple((int(before), int(after)) for before, after in pairs)

    def _uneven(self, argument: str, pairs, element: str, axis: int) -> str:
        axes = AXIS_NAMES[self.rank]
        needs = [f"as much before as after along {axes[a]}" for a in range(self.rank) if self.group.mirrored_axes[a]]
        needs += [
            f"the same along {', '.join(axes[a] for a in orbit)}" for orbit in self.group.axis_orbits if len(orbit) > 1
        ]
        return (
            f"{argument}={pairs} breaks equivariance to {self.group.name!r}: its element {element} changes the amounts "
            f"along the {axes[axis]}. What works: {'; '.join(needs)}; or allow_non_equivariance=True."
        )

    def _new_size(self, axis: int, size: int) -> int:
        raise NotImplementedError

    def compute_output_shape(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=True)
        spatial, order, channels = self._split_shape(input_shape)
        sizes = tuple(None if size is None else self._new_size(axis, size) for axis, size in enumerate(spatial))
        return self._join_shape(input_shape[0], sizes, order, channels)


class BaseGroupZeroPadding(BorderLayer):
    """Zero padding in any dimension; see `GroupZeroPadding2D`."""

    def __init__(
        self,
        padding=1,
        data_format: str | None = None,
        *,
        group: GroupLike | None = None,
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
        self.padding = self._border("padding", padding)

    def call(self, inputs):
        outputs = self._to_channels_last(inputs)
        rest = ((0, 0),) * (len(outputs.shape) - self.rank - 1)
        return self._from_channels_last(ops.pad(outputs, ((0, 0), *self.padding, *rest)))

    def _new_size(self, axis: int, size: int) -> int:
        return size + sum(self.padding[axis])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}


class BaseGroupCropping(BorderLayer):
    """Cropping in any dimension; see `GroupCropping2D`."""

    def __init__(
        self,
        cropping=1,
        data_format: str | None = None,
        *,
        group: GroupLike | None = None,
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
        self.cropping = self._border("cropping", cropping)

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)  # sizes learned since the layer was built may be too small
        outputs = self._to_channels_last(inputs)
        for axis, crop in enumerate(self.cropping):
            if outputs.shape[axis + 1] is None and sum(crop) > 0:
                fits = ops.greater(ops.shape(outputs)[axis + 1], sum(crop))
                outputs = checked(outputs, fits, str(self._error(self._nothing_left(axis))))
        inside = tuple(slice(before, -after or None) for before, after in self.cropping)
        return self._from_channels_last(outputs[(slice(None), *inside)])

    def _new_size(self, axis: int, size: int) -> int:
        if is_judged(size) and size <= sum(self.cropping[axis]):
            raise self._error(self._nothing_left(axis, size))
        return size - sum(self.cropping[axis])

    def _nothing_left(self, axis: int, size: int | None = None) -> str:
        return (
            f"cropping={self.cropping} leaves nothing of the input's {AXIS_NAMES[self.rank][axis]}"
            f"{'' if size is None else f', {size}'}; crop less, or use a larger input."
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping}


@keras.saving.register_keras_serializable(package="groco")
class GroupZeroPadding1D(BaseGroupZeroPadding):
    """`GroupZeroPadding2D` for sequences and for signals on a group of the line, (batch, steps, |group|, channels).

    A pair of ints is (before, after), as in `keras.layers.ZeroPadding1D`.
    """

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupZeroPadding2D(BaseGroupZeroPadding):
    """Adds rows and columns of zeros around the grid; the group axis is left as it is.

    It is used like `keras.layers.ZeroPadding2D`, which a signal on a group does not fit.

    Args:
        padding: int; or one per axis; or a pair (before, after) per axis. The group must map the amounts onto
            themselves: equal before and after along axes that it reverses, equal on axes that it exchanges.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        group: name of the group on which the input is given, or the `Group`.
        allow_non_equivariance: go on where the amounts break equivariance, instead of raising.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        A signal on the group (batch, height, width, |group|, channels) or an image (batch, height, width, channels);
        with channels_first (batch, channels, height, width, |group|) or (batch, channels, height, width).

    Output shape:
        As the input's, with the new height and width. Sizes may be unknown (None).

    Raises:
        ValueError: if an argument is not understood; if the input fits neither the group nor an image; if the amounts
            are not equivariant and `allow_non_equivariance` is False.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 6, 7, 2, 3).astype("float32")
    >>> GroupZeroPadding2D(((1, 1), (0, 2)), group="PMh")(signal).shape
    (1, 8, 9, 2, 3)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupZeroPadding3D(BaseGroupZeroPadding):
    """`GroupZeroPadding2D` for volumes and for signals on a group of space."""

    rank = 3


@keras.saving.register_keras_serializable(package="groco")
class GroupCropping1D(BaseGroupCropping):
    """`GroupCropping2D` for sequences and for signals on a group of the line, (batch, steps, |group|, channels).

    A pair of ints is (before, after), as in `keras.layers.Cropping1D`.
    """

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupCropping2D(BaseGroupCropping):
    """Takes rows and columns away from the borders of the grid; the group axis is left as it is.

    It is used like `keras.layers.Cropping2D`, which a signal on a group does not fit. Arguments and shapes are those of
    `GroupZeroPadding2D`, with `cropping` for `padding`, which in 2-D is 0 by default, as in Keras; what is cropped to
    nothing raises ValueError as well.
    """

    rank = 2

    def __init__(
        self,
        cropping=0,
        data_format: str | None = None,
        *,
        group: GroupLike | None = None,
        allow_non_equivariance: bool = False,
        **kwargs,
    ):
        super().__init__(cropping, data_format, group=group, allow_non_equivariance=allow_non_equivariance, **kwargs)


@keras.saving.register_keras_serializable(package="groco")
class GroupCropping3D(BaseGroupCropping):
    """`GroupCropping2D` for volumes and for signals on a group of space."""

    rank = 3
