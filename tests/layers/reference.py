"""The layers by definition, in plain numpy loops and float64: slow, and sharing no code with the layers.

Signals are (batch, *spatial, channels) or (batch, *spatial, |G|, channels). `paddings` are (before, after) per axis.
"""

import functools
import itertools

import numpy as np

from groco.groups import Group


def _pad(signal, paddings, value=0.0):
    rest = signal.ndim - 1 - len(paddings)
    return np.pad(signal, [(0, 0), *paddings, *[(0, 0)] * rest], constant_values=value)


def _positions(padded, ndim, windows, strides):
    counts = [(padded.shape[a + 1] - windows[a]) // strides[a] + 1 for a in range(ndim)]
    return itertools.product(*[range(count) for count in counts]), counts


def kernel_point(matrix, point, kernel_size):
    """Where a kernel is read for the copy turned by `matrix`: g^-1 y, about the kernel's centre."""
    centre = np.array([(k - 1) / 2 for k in kernel_size])
    return tuple(np.rint(matrix.T @ (np.array(point) - centre) + centre).astype(int))


def find(group: Group, matrix) -> int:
    return _places(group)[np.asarray(matrix, "int8").tobytes()]


@functools.cache
def _places(group: Group) -> dict[bytes, int]:
    return {matrix.tobytes(): i for i, matrix in enumerate(np.asarray(group.matrices, "int8"))}


def window_paddings(padding, sizes, windows, strides, group: Group) -> list[tuple[int, int]]:
    """By definition: what Keras' padding adds; `_equiv` the least above it by which a mirrored axis is used up evenly.

    Where no even number of points will do it is, as the layers have it where that is allowed, the least by which the
    axis is used up, and one more at the end.
    """
    paddings = []
    for axis, (size, window, stride) in enumerate(zip(sizes, windows, strides, strict=True)):
        total = 0 if padding.startswith("valid") else max((-(-size // stride) - 1) * stride + window - size, 0)
        if padding.endswith("_equiv") and any((matrix[axis] == -1).any() for matrix in group.matrices):
            enough = [t for t in range(total, total + 2 * stride) if (size + t - window) % stride == 0]
            total = next((t for t in enough if t % 2 == 0), enough[0])
        paddings.append((total // 2, total - total // 2))
    return paddings


def group_conv(signal, kernel, group_in, group_out, strides, dilation, paddings):
    """out(x, g) = sum over y, h of f(x + y, h) k(g^-1 y, g^-1 h), g in group_out, h in group_in (or no h)."""
    ndim = group_out.ndim
    size = kernel.shape[:ndim]
    padded = _pad(signal, paddings)
    positions, counts = _positions(
        padded, ndim, [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)], strides
    )
    out = np.zeros((signal.shape[0], *counts, group_out.order, kernel.shape[-1]))
    copies = []
    for matrix in group_out.matrices:
        copy = {}
        for y in np.ndindex(*size):
            source = kernel[kernel_point(matrix, y, size)]
            if group_in is not None:
                order = [find(group_in, matrix.T @ h) for h in group_in.matrices]
                source = source[order]
            copy[y] = source
        copies.append(copy)
    for x in positions:
        for g, copy in enumerate(copies):
            for y, values in copy.items():
                at = tuple(x[a] * strides[a] + y[a] * dilation[a] for a in range(ndim))
                f = padded[(slice(None), *at)]
                axes = "bc,co->bo" if group_in is None else "bhc,hco->bo"
                out[(slice(None), *x, g)] += np.einsum(axes, f, values)
    return out


def group_pool(signal, reduce, pool_size, strides, group, subgroup, paddings):
    """Pools the windows, padding left out, and then each coset region {h t}: t the first elements of cosets H t."""
    ndim = group.ndim
    padded = _pad(signal, paddings, np.nan)
    positions, counts = _positions(padded, ndim, pool_size, strides)
    transversal, seen = [], []
    for t, matrix in enumerate(group.matrices):
        if not any(np.array_equal(matrix, other) for other in seen):
            transversal.append(t)
            seen.extend(h @ matrix for h in subgroup.matrices)
    out = np.zeros((signal.shape[0], *counts, subgroup.order, signal.shape[-1]))
    for x in positions:
        window = tuple(slice(x[a] * strides[a], x[a] * strides[a] + pool_size[a]) for a in range(ndim))
        values = padded[(slice(None), *window)]
        for h, matrix in enumerate(subgroup.matrices):
            members = [find(group, matrix @ group.matrices[t]) for t in transversal]
            out[(slice(None), *x, h)] = reduce(values[..., members, :], axis=tuple(range(1, ndim + 2)))
    return out
