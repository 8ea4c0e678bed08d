"""What PyTorch computes of signals whose channels are last, (batch, *spatial, channels), without copies of them.

Its functions see the channels first. Those of Keras copy a signal to that order, and for a convolution back to the
memory format channels_last. Seen with other axes it has that format as it is, and all these functions take it: on a
CPU layers take 0.1 to 0.9 times as long so (docs/benchmarks.md).
"""

from __future__ import annotations

from keras import ops

from groco.layers.padding import total_padding


def convolve(inputs, kernel, strides, padding: str, dilation_rate, bias=None):
    """As `groco.layers.convolve.convolve`.

    Args:
        inputs: (batch, *spatial, channels).
        kernel: (*kernel_size, channels / groups, filters), of any number of groups of channels.
        strides, dilation_rate: int, or one per axis.
        padding: `"valid"` or `"same"`.
        bias: (filters,), or None.

    Returns:
        (batch, *new_spatial, filters).
    """
    from torch.nn import functional

    inputs, kernel = ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel)
    bias = None if bias is None else ops.convert_to_tensor(bias)
    rank = len(inputs.shape) - 2
    strides, dilation_rate = _per_axis(strides, rank), _per_axis(dilation_rate, rank)
    signal, amounts = inputs.movedim(-1, 1), (0,) * rank
    if padding == "same":
        windows = [(size - 1) * rate + 1 for size, rate in zip(kernel.shape, dilation_rate, strict=False)]
        axes = zip(inputs.shape[1:-1], windows, strides, strict=True)
        totals = [total_padding("same", size, window, stride, mirrored=False) for size, window, stride in axes]
        if all(total % 2 == 0 for total in totals):
            amounts = tuple(total // 2 for total in totals)
        else:
            ends = [end for total in reversed(totals) for end in (total // 2, total - total // 2)]
            signal = functional.pad(signal, ends)
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    groups = inputs.shape[-1] // kernel.shape[-2]
    outputs = function(signal, _filters_first(kernel), bias, strides, amounts, dilation_rate, groups)
    return outputs.movedim(1, -1)


def conv_transpose(inputs, kernel, strides):
    """The full transposed convolution of (batch, *spatial, channels) with (*kernel_size, filters, channels)."""
    from torch.nn import functional

    inputs, kernel = ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel)
    functions = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
    function = functions[len(inputs.shape) - 3]
    return function(inputs.movedim(-1, 1), _filters_first(kernel), stride=strides).movedim(1, -1)


def max_pool(inputs, pool_size, strides):
    """`keras.ops.max_pool` of (batch, *spatial, channels), without padding."""
    from torch.nn import functional

    functions = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
    return functions[len(inputs.shape) - 3](inputs.movedim(-1, 1), pool_size, strides).movedim(1, -1)


def average_pool(inputs, pool_size, strides):
    """`keras.ops.average_pool` of (batch, *spatial, channels), without padding."""
    from torch.nn import functional

    functions = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
    return functions[len(inputs.shape) - 3](inputs.movedim(-1, 1), pool_size, strides).movedim(1, -1)


def _filters_first(kernel):
    """(*kernel_size, a, b) -> (b, a, *kernel_size), as PyTorch has kernels."""
    return kernel.movedim((-1, -2), (0, 1))


def _per_axis(values, rank: int) -> tuple[int, ...]:
    return (values,) * rank if isinstance(values, int) else tuple(values)
