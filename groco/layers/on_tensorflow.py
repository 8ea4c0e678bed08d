"""How TensorFlow makes the kernel of an ordinary convolution, in a fraction of the time of its own ways."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

FEWEST = 16  # filters of a row that is worth to be copied by itself; shorter ones are copied with those of all channels


def expand_rows(kernel, rows: np.ndarray, places: np.ndarray, channels: int, groups: int):
    """The copies of a kernel for each element, next to one another.

    The gradient is a choice of rows and a sum. TensorFlow's own adds row by row, and takes up to twice as long.

    Args:
        kernel: (n channels, filters) in any shape.
        rows: (n, copies): which row of the kernel, of all channels, each row of the result is, in each of the copies.
        places: (n, copies): where each row of the kernel has gone, in each of the copies.
        channels: those of the input that a filter sees.
        groups: of channels, which have filters / groups of the filters each.

    Returns:
        The result in one row: (n, channels, groups, copies, filters / groups).
    """
    filters = kernel.shape[-1]
    if filters // groups < FEWEST:
        copies = _permuted_copies(tf.reshape(kernel, (rows.shape[0], channels * filters)), rows, places, 1)
        copies = tf.reshape(copies, (*rows.shape, channels, groups, filters // groups))
        return tf.transpose(copies, (0, 2, 3, 1, 4))
    parts = channels * groups
    return _permuted_copies(tf.reshape(kernel, (rows.shape[0] * parts, filters // groups)), rows, places, parts)


def _permuted_copies(values, rows: np.ndarray, places: np.ndarray, parts: int):
    """(n parts, numbers) -> (n parts copies, numbers), of whose n rows the copies have each its own order.

    The indices of several parts are worked out in the graph, which would be several times as large with them.
    """
    copies = rows.shape[1]

    @tf.custom_gradient
    def copy(values):
        def gradient(of_copies):
            back = _of_parts(places, parts) * copies + np.arange(copies, dtype="int32")
            return tf.reduce_sum(tf.gather(of_copies, back), axis=1)

        return tf.gather(values, tf.reshape(_of_parts(rows, parts), [-1])), gradient

    return copy(values)


def _of_parts(rows: np.ndarray, parts: int):
    """(n, copies) -> (n parts, copies)."""
    if parts == 1:
        return rows
    return tf.reshape(rows[:, None] * parts + tf.range(parts)[:, None], (-1, rows.shape[1]))
