"""The action of a group's elements on signals: (g f)(x, h) = f(g^-1 x, g^-1 h)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from groco.groups.group import Group


def act(
    group: Group,
    element: int,
    signal,
    spatial_axes: Sequence[int],
    group_axis: int | None = None,
    signal_group: Group | None = None,
):
    """Transforms a signal with one element of a group, as turning the picture would.

    Args:
        group: the group that acts.
        element: index of the element in `group`.
        signal: a numpy array or a backend tensor.
        spatial_axes: the `group.ndim` axes of the grid, in the order (d,) h, w.
        group_axis: the axis of the values on the group, None for a signal on the grid alone.
        signal_group: the group on which the signal is given, `group` by default. It must contain `group`.

    Returns:
        The transformed signal, of the same kind. Its shape differs only where the element swaps unequal spatial axes.

    Raises:
        ValueError: if the axes do not fit the group or the signal.
    """
    if len(spatial_axes) != group.ndim:
        raise ValueError(f"{group!r} acts on {group.ndim} spatial axes, got spatial_axes={tuple(spatial_axes)}.")
    xp = np if isinstance(signal, np.ndarray) else keras.ops
    axes = [axis % signal.ndim for axis in spatial_axes]
    permutation, flipped = list(range(signal.ndim)), []
    for row, axis in zip(group.matrices[element], axes, strict=True):
        source = int(np.flatnonzero(row)[0])
        permutation[axis] = axes[source]
        if row[source] < 0:
            flipped.append(axis)
    if permutation != list(range(signal.ndim)):
        signal = xp.transpose(signal, permutation)
    if flipped:
        signal = xp.flip(signal, axis=tuple(flipped))
    if group_axis is None:
        return signal
    signal_group = signal_group or group
    if signal.shape[group_axis] != signal_group.order:
        raise ValueError(
            f"A signal on {signal_group!r} has {signal_group.order} values along the group axis, "
            f"got shape {tuple(signal.shape)} with group_axis={group_axis}."
        )
    within = signal_group.positions(group)[element]
    source = signal_group.product[signal_group.inverse[within]]
    return xp.take(signal, source, axis=group_axis)
