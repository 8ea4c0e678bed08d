"""Lifting of images to a group, without weights."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from groco.groups import GroupLike
from groco.layers.base import GroupLayer


class BaseGroupLifting(GroupLayer):
    """Lifting in any dimension; see `GroupLifting2D`."""

    def __init__(self, data_format: str | None = None, *, group: GroupLike | None = None, **kwargs):
        super().__init__(group=group, subgroup=None, data_format=data_format, **kwargs)
        self.supports_masking = True  # a mask of steps is passed on

    def build(self, input_shape):
        self._check_image(input_shape)
        self.input_spec = self._spec_of(input_shape, weights=False)
        super().build(input_shape)

    def _check_image(self, shape) -> None:
        self._check_input_shape(shape, image_allowed=True)
        if len(shape) != self.rank + 2:
            raise self._error(
                f"it lifts images, of rank {self.rank + 2}, got shape {tuple(shape)}, "
                f"which is on {self.group.name!r} already; leave the lifting out."
            )

    def call(self, inputs):
        axis = -2 if self.data_format == "channels_last" else -1
        return ops.repeat(ops.expand_dims(inputs, axis), self.group.order, axis=axis)

    def compute_output_shape(self, input_shape):
        self._check_image(input_shape)
        spatial, _, channels = self._split_shape(input_shape)
        return self._join_shape(input_shape[0], spatial, self.group.order, channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["subgroup"]  # it is the group
        self._forget_if_strict(config)
        return config


@keras.saving.register_keras_serializable(package="groco")
class GroupLifting1D(BaseGroupLifting):
    """`GroupLifting2D` for sequences, (batch, steps, channels)."""

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupLifting2D(BaseGroupLifting):
    """Puts an image on a group without weights: the same image for each element, `out(x, g) = f(x)`.

    An image is a function on the grid whose values do not turn, so this is equivariant. It brings images together with
    signals on the group, for instance to concatenate them. To learn features use `GroupConv2D`, which lifts by itself:
    after this layer a convolution sees no more than it would see of the image.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        group: name of the group on which the output is written, or the `Group`.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, channels); with channels_first (batch, channels, height, width).

    Output shape:
        (batch, height, width, |group|, channels); with channels_first (batch, channels, height, width, |group|).

    Raises:
        ValueError: if an argument is not understood or the input is not an image.

    Example:

    >>> import numpy as np
    >>> GroupLifting2D(group="P4")(np.random.rand(1, 6, 6, 3).astype("float32")).shape
    (1, 6, 6, 4, 3)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupLifting3D(BaseGroupLifting):
    """`GroupLifting2D` for volumes, (batch, depth, height, width, channels)."""

    rank = 3
