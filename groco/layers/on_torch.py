"""What PyTorch computes of signals whose channels are last, (batch, *spatial, channels), without copies of them.

Its functions see the channels first. Those of Keras copy a signal to that order, and for a convolution back to the
memory format channels_last. Seen with other axes it has that format as it is, and all these functions take it: on a
CPU layers take 0.1 to 0.9 times as long so (docs/benchmarks.md).
"""

from __future__ import annotations

import numpy as np
import torch
from keras import ops
from torch.nn import functional

from groco.layers.padding import total_padding

TINY = 1e-12  # added to a variance that may be 0, before it is known what else is added to it
MOST_COLUMNS, FEWEST_ROWS = 2048, 64  # of a block of points, over which statistics are taken by themselves


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
    function = getattr(functional, f"conv{rank}d")
    groups = inputs.shape[-1] // kernel.shape[-2]
    outputs = function(signal, _filters_first(kernel), bias, strides, amounts, dilation_rate, groups)
    return outputs.movedim(1, -1)


def conv_transpose(inputs, kernel, strides):
    """The full transposed convolution of (batch, *spatial, channels) with (*kernel_size, filters, channels)."""
    inputs, kernel = ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel)
    function = getattr(functional, f"conv_transpose{len(inputs.shape) - 2}d")
    return function(inputs.movedim(-1, 1), _filters_first(kernel), stride=strides).movedim(1, -1)


def max_pool(inputs, pool_size, strides):
    """`keras.ops.max_pool` of (batch, *spatial, channels), without padding."""
    return _pool("max", inputs, pool_size, strides)


def average_pool(inputs, pool_size, strides):
    """`keras.ops.average_pool` of (batch, *spatial, channels), without padding."""
    return _pool("avg", inputs, pool_size, strides)


def _pool(kind: str, inputs, pool_size, strides):
    function = getattr(functional, f"{kind}_pool{len(inputs.shape) - 2}d")
    return function(inputs.movedim(-1, 1), pool_size, strides).movedim(1, -1)


def batch_norm(rows, mean, variance, gamma, beta, epsilon: float):
    """(points, channels), normalised by given statistics of the channels; `gamma` and `beta` may be None."""
    return functional.batch_norm(rows, mean, variance, gamma, beta, False, 0.0, epsilon)


def joint_batch_norm(rows, gamma, beta, epsilon: float):
    """(points, copies channels), normalised by the statistics of each channel over points and copies.

    Args:
        rows: (points, copies channels).
        gamma, beta: (channels,).
        epsilon: added to the variance.

    Returns:
        The outputs, and mean and variance of the channels, through which no gradients go.
    """
    points, columns = rows.shape
    blocks = 1  # of points are more copies: sums over fewer rows keep more digits, and are faster
    while isinstance(points, int) and points % (2 * blocks) == 0 and points >= 2 * blocks * FEWEST_ROWS:
        if 2 * blocks * columns > MOST_COLUMNS:
            break
        blocks *= 2
    outputs, mean, variance = _JointBatchNorm.apply(rows.reshape(-1, blocks * columns), gamma, beta, epsilon)
    return outputs.reshape(rows.shape), mean, variance


class _JointBatchNorm(torch.autograd.Function):
    """Normalises the copies by themselves, in PyTorch's own two passes, and then scales and shifts them to one another.

    Its own operations, differentiated, take three times as long, and its variance, E[x^2] - E[x]^2, loses digits.
    """

    @staticmethod
    def forward(rows, gamma, beta, epsilon):
        outputs, means, inverse = torch.native_batch_norm(rows, None, None, None, None, True, 0.0, TINY)
        means, inverse = (values.reshape(-1, gamma.shape[0]) for values in (means, inverse))
        mean = means.mean(0)
        variance = (inverse.pow(-2) - TINY).mean(0) + means.var(0, correction=0)
        factor = gamma * (variance + epsilon).rsqrt()
        shift = (means - mean) * factor + beta
        outputs = torch.addcmul(shift.reshape(-1), outputs, (factor / inverse).reshape(-1), out=outputs)
        return outputs, mean, variance

    @staticmethod
    def setup_context(ctx, inputs, output):
        rows, gamma, _, ctx.epsilon = inputs
        _, mean, variance = output
        ctx.save_for_backward(rows, gamma, mean, variance)
        ctx.mark_non_differentiable(mean, variance)

    @staticmethod
    def backward(ctx, gradient, *_):
        """With x^ = (x - mean) / s and means over the points: dx = gamma / s (dy - E[dy] - x^ E[dy x^])."""
        rows, gamma, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated, and mean and variance with it
            return *_differentiable_gradient(rows, gamma, gradient, ctx.epsilon), None
        copies = rows.shape[1] // gamma.shape[0]
        spread = [values.repeat(copies) for values in (gamma, mean, variance)]
        by_rows, *by_weights = torch.ops.aten.native_batch_norm_backward(
            gradient, rows, *spread, None, None, False, ctx.epsilon, [True, True, True]
        )
        by_gamma, by_beta = (values.reshape(copies, -1).sum(0) for values in by_weights)
        inverse = (variance + ctx.epsilon).rsqrt()
        factor = -gamma * inverse / (rows.shape[0] * copies)
        slope, offset = factor * inverse * by_gamma, factor * by_beta
        by_rows = (rows - spread[1]).mul(slope.repeat(copies)).add(offset.repeat(copies)).add(by_rows)
        return by_rows, by_gamma, by_beta, None


def _differentiable_gradient(rows, gamma, gradient, epsilon: float):
    """The same as `_JointBatchNorm.backward` in operations that know their own gradients."""
    signal, gradient = (values.reshape(-1, gamma.shape[0]) for values in (rows, gradient))
    variance, mean = torch.var_mean(signal, 0, correction=0)
    inverse = (variance + epsilon).rsqrt()
    signal = (signal - mean) * inverse
    by_gamma, by_beta = (gradient * signal).sum(0), gradient.sum(0)
    by_rows = gamma * inverse * (gradient - (by_beta + signal * by_gamma) / signal.shape[0])
    return by_rows.reshape(rows.shape), by_gamma, by_beta


def permuted_copies(rows, to: np.ndarray, back: np.ndarray):
    """Copies of rows, each with its own order of them.

    Args:
        rows: (n, numbers).
        to: (copies n,): which row each of the copies is.
        back: (copies n,): for each copy and row, which of the copies is that row.

    Returns:
        (copies n, numbers).
    """
    return _PermutedCopies.apply(rows, *(torch.as_tensor(index, device=rows.device) for index in (to, back)))


class _PermutedCopies(torch.autograd.Function):
    """A choice of rows whose gradient is one, too, and a sum; PyTorch's own adds row by row."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows, to, back):
        return rows.index_select(0, to)

    @staticmethod
    def setup_context(ctx, inputs, output):
        rows, to, back = inputs
        ctx.save_for_backward(back)
        ctx.save_for_forward(to)
        ctx.shape = rows.shape

    @staticmethod
    def backward(ctx, gradient):
        (back,) = ctx.saved_tensors
        return gradient.index_select(0, back).reshape(-1, *ctx.shape).sum(0), None, None

    @staticmethod
    def jvp(ctx, rows, to, back):
        (to,) = ctx.saved_tensors
        return rows.index_select(0, to)


def _filters_first(kernel):
    """(*kernel_size, a, b) -> (b, a, *kernel_size), as PyTorch has kernels."""
    return kernel.movedim((-1, -2), (0, 1))


def _per_axis(values, rank: int) -> tuple[int, ...]:
    return (values,) * rank if isinstance(values, int) else tuple(values)
