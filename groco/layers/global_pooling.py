"""Pooling over the whole grid and over the group."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from groco.groups import GroupLike
from groco.layers.pooling import CosetPooling, mean


class BaseGlobalGroupPooling(CosetPooling):
    """Global pooling in any dimension; see `GlobalGroupMaxPooling2D`."""

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        **kwargs,
    ):
        super().__init__(group=group, subgroup=subgroup, data_format=data_format, **kwargs)
        if subgroup is None:
            self.subgroup = self.group.subgroups[0]
        self.keepdims = bool(keepdims)

    def build(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=False)
        self.input_spec = self._spec_of(input_shape, weights=False)
        super().build(input_shape)

    def call(self, inputs):
        signal = self._to_channels_last(inputs)
        return self._pool_group(self._reduce(signal, axis=tuple(range(1, self.rank + 1)), keepdims=self.keepdims))

    def _pool_group(self, outputs):
        """What is left of the signal without its points, channels last -> the outputs."""
        outputs = self._pool_cosets(outputs)
        if not self.keepdims and self.subgroup.order == 1:
            outputs = ops.squeeze(outputs, axis=-2)
        return self._from_channels_last(outputs)

    def compute_output_shape(self, input_shape):
        self._check_input_shape(input_shape, image_allowed=False)
        _, _, channels = self._split_shape(input_shape)
        spatial = (1,) * self.rank if self.keepdims else ()
        order = self.subgroup.order if self.keepdims or self.subgroup.order > 1 else None
        return self._join_shape(input_shape[0], spatial, order, channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        self._forget_if_strict(config)
        return {**config, "keepdims": self.keepdims}


@keras.saving.register_keras_serializable(package="groco")
class GlobalGroupMaxPooling1D(BaseGlobalGroupPooling):
    """`GlobalGroupMaxPooling2D` for signals on a group of the line, (batch, steps, |group|, channels)."""

    rank = 1
    _reduce = staticmethod(ops.max)


@keras.saving.register_keras_serializable(package="groco")
class GlobalGroupMaxPooling2D(BaseGlobalGroupPooling):
    """Maximum over all points and over the group: features that do not change when the input is turned.

    It is used like `keras.layers.GlobalMaxPooling2D`, before a classifier.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        keepdims: whether to keep the pooled axes with length 1.
        group: name of the group on which the input is given, or the `Group`.
        subgroup: a subgroup on which the output stays a signal: the maximum is taken over its cosets only, as in
            `GroupMaxPooling2D`. By default the trivial one: the whole group is pooled and its axis dropped.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, height, width, |group|, channels); with channels_first (batch, channels, height, width, |group|).

    Output shape:
        (batch, channels); for a nontrivial subgroup (batch, |subgroup|, channels), with channels_first
        (batch, channels, |subgroup|). With `keepdims` (batch, 1, 1, |subgroup|, channels), or likewise.

    Raises:
        ValueError: if an argument is not understood or the input is not a signal on the group.
    """

    rank = 2
    _reduce = staticmethod(ops.max)


@keras.saving.register_keras_serializable(package="groco")
class GlobalGroupMaxPooling3D(BaseGlobalGroupPooling):
    """`GlobalGroupMaxPooling2D` for signals on a group of space, (batch, depth, height, width, |group|, channels)."""

    rank = 3
    _reduce = staticmethod(ops.max)


@keras.saving.register_keras_serializable(package="groco")
class GlobalGroupAveragePooling1D(BaseGlobalGroupPooling):
    """`GlobalGroupAveragePooling2D` for signals on a group of the line, (batch, steps, |group|, channels).

    As `keras.layers.GlobalAveragePooling1D` it leaves out of the mean the steps where `mask`, (batch, steps), is False.
    """

    rank = 1
    _reduce = staticmethod(mean)

    def call(self, inputs, mask=None):
        if mask is None:
            return super().call(inputs)
        signal = self._to_channels_last(inputs)
        kept = ops.cast(mask, "bool")[:, :, None, None]
        total = ops.sum(ops.where(kept, signal, 0), axis=1, keepdims=self.keepdims)
        return self._pool_group(total / ops.sum(ops.cast(kept, signal.dtype), axis=1, keepdims=self.keepdims))

    def compute_mask(self, inputs, mask=None):
        return None  # no steps are left


@keras.saving.register_keras_serializable(package="groco")
class GlobalGroupAveragePooling2D(BaseGlobalGroupPooling):
    """Mean over all points and over the group, or over the cosets of a subgroup; see `GlobalGroupMaxPooling2D`."""

    rank = 2
    _reduce = staticmethod(mean)


@keras.saving.register_keras_serializable(package="groco")
class GlobalGroupAveragePooling3D(BaseGlobalGroupPooling):
    """`GlobalGroupAveragePooling2D` for signals on a group of space."""

    rank = 3
    _reduce = staticmethod(mean)
