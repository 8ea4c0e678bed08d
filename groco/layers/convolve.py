"""The ordinary convolution of the backend, without strides that reach no further window."""

from __future__ import annotations

from keras import ops


def convolve(inputs, kernel, strides, padding: str = "valid", dilation_rate=1):
    """`keras.ops.conv` of (batch, *spatial, channels) with (*kernel_size, channels, filters).

    Where an axis has room for one window only, or the window is a single point, the stride is left to the choice of the
    points that are read. The numbers are the same, and backends go wrong with such strides: the bfloat16 convolution of
    oneDNN, which TensorFlow takes on a CPU, where input, window and stride are one size, and PyTorch 2.13 with windows
    of 1.
    """
    if padding == "valid" and max(strides) > 1:  # strides and dilation are not above 1 together
        taken, left = [], []
        for size, window, stride in zip(inputs.shape[1:-1], kernel.shape, strides, strict=False):
            alone = isinstance(size, int) and size < window + stride
            taken.append(slice(window) if alone else slice(None, None, stride) if window == 1 else slice(None))
            left.append(1 if alone or window == 1 else stride)
        inputs, strides = inputs[(slice(None), *taken)], tuple(left)
    return ops.conv(
        inputs, kernel, strides=strides, padding=padding, data_format="channels_last", dilation_rate=dilation_rate
    )
