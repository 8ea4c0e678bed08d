"""Batch normalisation of signals on a group."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import keras
from keras import ops

from groco.layers.base import repeat_channels
from groco.layers.pooling import mean as mean_of


@keras.saving.register_keras_serializable(package="groco")
class GroupBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation of whole group channels: one mean, variance, scale and offset for all elements of the group.

    It computes what `keras.layers.BatchNormalization` computes on the channel axis of a signal on a group, which is
    equivariant because all elements share the statistics, and takes images as well. Elements and channels are one axis
    while it computes, and the moments of each element and channel are combined, which is faster than statistics over
    many axes and, on TensorFlow, loses fewer digits.

    Args:
        momentum, epsilon, center, scale, beta_initializer, gamma_initializer, moving_mean_initializer,
            moving_variance_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint,
            synchronized: as in `keras.layers.BatchNormalization`.
        data_format: `"channels_last"` or `"channels_first"`; default from the Keras config.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (batch, *spatial, |group|, channels); with channels_first (batch, channels, *spatial, |group|). Images as well.

    Output shape:
        That of the input.

    Raises:
        ValueError: if `data_format` is neither, `momentum` is no float from 0 to 1, or `axis` is given: which axis is
            normalised is known.

    Example:

    >>> import numpy as np
    >>> signal = np.random.rand(2, 8, 8, 4, 3).astype("float32")
    >>> layer = GroupBatchNormalization()
    >>> layer(signal, training=True).shape
    (2, 8, 8, 4, 3)
    >>> layer.gamma.shape
    (3,)
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3, *, data_format: str | None = None, **kwargs):
        if "axis" in kwargs or "renorm" in kwargs:
            raise ValueError(
                f"{type(self).__name__} takes neither axis, which data_format says, nor renorm; "
                "keras.layers.BatchNormalization takes both."
            )
        whole = isinstance(momentum, Integral)
        if whole or not isinstance(momentum, (float, Real)) or not 0 <= momentum <= 1:
            raise ValueError(
                f"{type(self).__name__}: momentum is a float from 0 to 1, got {momentum!r}. Which axis is normalised "
                "it does not take, as Keras' layer does in that place: data_format says it."
            )
        data_format = keras.config.image_data_format() if data_format is None else data_format
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"{type(self).__name__}: data_format is 'channels_last' or 'channels_first', got {data_format!r}."
            )
        super().__init__(axis=-1 if data_format == "channels_last" else 1, momentum=momentum, epsilon=epsilon, **kwargs)
        self.data_format = data_format

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for key in ("axis", "renorm", "renorm_clipping", "renorm_momentum"):
            config.pop(key, None)
        return {**config, "data_format": self.data_format}

    def call(self, inputs, training=None, mask=None):
        # Keras' own computes float64 in single precision on PyTorch and JAX, takes masks for channels last, is slow on
        # many axes, and its statistics lose digits on TensorFlow where there are many axes, and on PyTorch.
        training = bool(training and self.trainable)
        mask = mask if training else None
        double = keras.backend.standardize_dtype(inputs.dtype) == "float64" and not self.synchronized
        many = len(inputs.shape) > 3
        inexact = training and {"tensorflow": many, "torch": not self.synchronized}.get(keras.backend.backend(), False)
        if mask is None and not (double or inexact or (many and self.axis == -1)):
            return super().call(inputs, training=training)
        if self.axis == -1:
            return self._normalize(inputs, training, mask)
        return ops.moveaxis(self._normalize(ops.moveaxis(inputs, 1, -1), training, mask), -1, 1)

    def _normalize(self, inputs, training: bool, mask=None):
        """Normalises (..., |group|, channels), or (batch, channels), with elements and channels in one axis."""
        # Of an image it is the width that is merged with the channels, where it is known.
        copies = inputs.shape[-2] if len(inputs.shape) > 3 and isinstance(inputs.shape[-2], int) else 1
        channels = inputs.shape[-1]
        double = keras.backend.standardize_dtype(inputs.dtype) == "float64"
        dtype = "float64" if double else keras.backend.result_type(inputs.dtype, "float32")
        signal = ops.cast(inputs, dtype)
        offset = ops.cast(self.beta, dtype) if self.center else None
        scale = ops.cast(self.gamma, dtype) if self.scale else None
        if keras.backend.backend() == "torch" and mask is None and not (training and self.synchronized):
            outputs = self._normalize_on_torch(signal, copies, scale, offset, training)
            return ops.cast(outputs, self.compute_dtype)
        if copies > 1:
            signal = ops.reshape(signal, (*ops.shape(inputs)[:-2], copies * channels))
        if training:
            if mask is None:
                rows = ops.reshape(signal, (-1, copies * channels))
                mean, variance = _combined_moments(rows, copies, channels, self.synchronized)
            else:
                mean, variance = _masked_moments(ops.reshape(signal, ops.shape(inputs)), mask)
            self._follow(self.moving_mean, mean)
            self._follow(self.moving_variance, variance)
        else:
            mean, variance = ops.cast(self.moving_mean, dtype), ops.cast(self.moving_variance, dtype)
        # As `ops.batch_normalization`, which would have to be given all four numbers of a channel for each copy.
        factor = ops.rsqrt(variance + self.epsilon)
        factor = factor if scale is None else factor * scale
        shift = -mean * factor if offset is None else offset - mean * factor
        outputs = signal * repeat_channels(factor, copies) + repeat_channels(shift, copies)
        return ops.cast(ops.reshape(outputs, ops.shape(inputs)), self.compute_dtype)

    def _normalize_on_torch(self, signal, copies: int, scale, offset, training: bool):
        from groco.layers import on_torch

        channels = signal.shape[-1]
        rows = ops.reshape(signal, (-1, copies * channels))
        if training:
            scale = ops.ones(channels, signal.dtype) if scale is None else scale
            offset = ops.zeros(channels, signal.dtype) if offset is None else offset
            outputs, mean, variance = on_torch.joint_batch_norm(rows, scale, offset, self.epsilon)
            self._follow(self.moving_mean, mean)
            self._follow(self.moving_variance, variance)
        else:
            mean, variance = ops.cast(self.moving_mean, signal.dtype), ops.cast(self.moving_variance, signal.dtype)
            mean, variance, scale, offset = (
                None if values is None else repeat_channels(values, copies)
                for values in (mean, variance, scale, offset)
            )
            outputs = on_torch.batch_norm(rows, mean, variance, scale, offset, self.epsilon)
        return ops.reshape(outputs, signal.shape)

    def _follow(self, moving, value) -> None:
        moving.assign(moving * self.momentum + ops.cast(value, moving.dtype) * (1.0 - self.momentum))


def _masked_moments(signal, mask):
    """Mean and variance of each channel, of (batch, *points[, |group|], channels) where the mask is True.

    A mask of points, as layers in front of the lifting give it, is that of all elements of the group.
    """
    rank = len(signal.shape)
    if len(mask.shape) not in (rank - 1, rank - 2):
        raise ValueError(f"A mask has the axes of the signal but for channels and group, got {tuple(mask.shape)}.")
    for _ in range(rank - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    mask = ops.broadcast_to(ops.cast(mask, "bool"), ops.shape(signal))
    axes = tuple(range(rank - 1))
    number = ops.maximum(ops.sum(ops.cast(mask, signal.dtype), axes), 1.0)
    mean = ops.sum(ops.where(mask, signal, 0.0), axes) / number
    return mean, ops.sum(ops.square(ops.where(mask, signal - mean, 0.0)), axes) / number


def _combined_moments(rows, copies, channels, synchronized):
    """Mean and variance of each channel, from those of each of its copies: var = E[var_g] + var[mean_g]."""
    means, variances = ops.moments(rows, axes=[0])
    means, variances = (ops.reshape(m, (copies, channels)) for m in (means, variances))
    if not synchronized:
        mean, between = ops.moments(means, axes=[0])
        return mean, mean_of(variances, axis=0) + between
    # Copies of all devices, each device counting by its rows, of which it may have none.
    number = ops.cast(ops.shape(rows)[0], rows.dtype)

    def total(values):
        return ops.moments(ops.where(number > 0, number * values, 0.0), axes=[0], synchronized=True)[0]

    everything = total(ops.ones_like(means))
    mean = total(means) / everything
    return mean, total(variances + ops.square(means - mean)) / everything
