"""A fixed matrix applied to the group axis of a signal.

Here and in the convolutions products are written `@`: `keras.ops.matmul` makes float64 into float32 on PyTorch.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops


def transform_group_axis(matrix: np.ndarray, signal):
    """(m, n) and (..., n, channels) -> (..., m, channels)."""
    leading, (order, channels) = ops.shape(signal)[:-2], signal.shape[-2:]
    fibres = ops.reshape(signal, (-1, order, channels))
    constant = ops.convert_to_tensor(matrix, dtype=signal.dtype)
    if keras.backend.backend() == "jax":  # products of many small matrices have an up to 8 times slower gradient
        transformed = ops.conv(fibres, ops.transpose(constant)[None], data_format="channels_first")
        return ops.reshape(transformed, (*leading, matrix.shape[0], channels))
    if 4 * channels <= order:  # one product for the whole batch: 2 to 20 times faster than one for each point
        rows = ops.reshape(ops.swapaxes(fibres, 1, 2), (-1, order)) @ ops.transpose(constant)
        transformed = ops.swapaxes(ops.reshape(rows, (-1, channels, matrix.shape[0])), 1, 2)
        return ops.reshape(transformed, (*leading, matrix.shape[0], channels))
    return ops.reshape(constant @ fibres, (*leading, matrix.shape[0], channels))
