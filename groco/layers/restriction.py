"""Restriction of a signal to a subgroup, with nothing lost."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from groco.groups import GroupLike
from groco.layers.base import GroupLayer, merge_last_axes


class BaseGroupRestriction(GroupLayer):
    """Restriction in any dimension; see `GroupRestriction2D`."""

    def __init__(
        self,
        data_format: str | None = None,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        **kwargs,
    ):
        super().__init__(group=group, subgroup=subgroup, data_format=data_format, **kwargs)
        if subgroup is None:
            raise TypeError(
                f"{type(self).__name__} (name={self.name!r}): it needs subgroup=, on which the output is a signal."
            )

    @property
    def _index(self) -> int:
        return self.group.order // self.subgroup.order

    def build(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=False)
        self.input_spec = self._spec_of(input_shape, weights=False)
        super().build(input_shape)

    def call(self, inputs):
        if self.subgroup is self.group:
            return inputs
        outputs = self._to_channels_last(inputs)
        regions = self.group.pooling_regions(self.subgroup)
        outputs = ops.take(outputs, regions.reshape(-1).astype("int32"), axis=-2)
        shape = ops.shape(outputs)
        outputs = merge_last_axes(ops.reshape(outputs, (*shape[:-2], *regions.shape, shape[-1])))
        return self._from_channels_last(outputs)

    def compute_output_shape(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=False)
        spatial, _, channels = self._split_shape(input_shape)
        return self._join_shape(input_shape[0], spatial, self.subgroup.order, self._index * channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        self._forget_if_strict(config)
        return config


@keras.saving.register_keras_serializable(package="groco")
class GroupRestriction1D(BaseGroupRestriction):
    """`GroupRestriction2D` for signals on a group of the line, (batch, steps, |group|, channels)."""

    rank = 1


@keras.saving.register_keras_serializable(package="groco")
class GroupRestriction2D(BaseGroupRestriction):
    """Gives up the symmetry to all but a subgroup, and keeps every feature: cosets become channels.

    A net may be equivariant to a large group in its first layers and to a smaller one in the later ones (Weiler & Cesa
    2019, arXiv 1911.08251, section 2.7). Where pooling keeps one number of each coset, the restriction to the subgroup
    H of the group G keeps all,

        out(x, h, (t, c)) = f(x, h t, c),    h in H, t in the first elements of the right cosets H t,

    a signal on H with |G| / |H| times the channels, equivariant to H whether it is normal or not. A `GroupConv2D` with
    `group=H` reads it.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        group: name of the group on which the input is given, or the `Group`.
        subgroup: the group on which the output is written and to which what follows is equivariant.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, |group|, channels); with channels_first (batch, channels, height, width, |group|).

    Output shape:
        (batch, height, width, |subgroup|, channels |group| / |subgroup|); with channels_first
        (batch, channels |group| / |subgroup|, height, width, |subgroup|).

    Raises:
        ValueError: if an argument is not understood or the input is not a signal on the group.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(1, 6, 6, 8, 3).astype("float32")
    >>> GroupRestriction2D(group="P4M", subgroup="PMh")(signal).shape
    (1, 6, 6, 2, 12)
    """

    rank = 2


@keras.saving.register_keras_serializable(package="groco")
class GroupRestriction3D(BaseGroupRestriction):
    """`GroupRestriction2D` for signals on a group of space, (batch, depth, height, width, |group|, channels)."""

    rank = 3
