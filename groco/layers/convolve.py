"""The ordinary convolution of the backend, without strides that reach no further window."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops


def convolve(inputs, kernel, strides, padding: str = "valid", dilation_rate=1, bias=None):
    """`keras.ops.conv` of (batch, *spatial, channels) with (*kernel_size, channels, filters), and a bias.

    Where an axis has room for one window only, or the window is a single point, the stride is left to the choice of the
    points that are read. The numbers are the same, and backends go wrong with such strides: the bfloat16 convolution of
    oneDNN, which TensorFlow takes on a CPU, where input, window and stride are one size, and PyTorch 2.13 with windows
    of 1.
    """
    if padding == "valid" and max(strides) > 1:  # strides and dilation are not above 1 together
        taken, steps, left = [], [], []
        for size, window, stride in zip(inputs.shape[1:-1], kernel.shape, strides, strict=False):
            alone = isinstance(size, int) and size < window + stride
            taken.append(slice(window) if alone else slice(None))
            steps.append(stride if window == 1 and not alone else 1)
            left.append(1 if alone or window == 1 else stride)
        if any(part.stop for part in taken):  # a slice of everything has a gradient that copies everything
            inputs = inputs[(slice(None), *taken)]
        inputs, strides = every(inputs, steps), tuple(left)
    if keras.backend.backend() == "torch":
        from groco.layers import on_torch

        return on_torch.convolve(inputs, kernel, strides, padding, dilation_rate, bias)
    outputs = ops.conv(
        inputs, kernel, strides=strides, padding=padding, data_format="channels_last", dilation_rate=dilation_rate
    )
    return outputs if bias is None else ops.add(outputs, bias)


def every(inputs, steps: Sequence[int]):
    """The points of (batch, *spatial, channels) at multiples of the steps.

    On TensorFlow, where choosing them by an index is slow, by a pooling over single points: the same numbers, with the
    gradient in a tenth of the time.
    """
    if max(steps) == 1:
        return inputs
    if keras.backend.backend() == "tensorflow" and len(steps) == 2:
        return ops.average_pool(inputs, 1, strides=steps, padding="valid", data_format="channels_last")
    return inputs[(slice(None), *(slice(None, None, step) for step in steps))]
