"""Signals on a group with the group axis merged into the channels, in whatever order the layers leave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops


@dataclass(frozen=True, eq=False)
class Signal:
    """A symbolic tensor of a plain model that holds a signal on a group, or an image.

    Attributes:
        tensor: (batch, *spatial, |group| channels).
        channels: number of channels.
        order: (|group| channels,): the index `element * channels + channel` that each channel of the tensor holds. A
            permutation is done once, where some layer needs it, or never: convolutions permute their kernels.
        copies: the length of the group axis, None for an image.
        data_format: that of the tensor in the original model.
    """

    tensor: Any
    channels: int
    order: np.ndarray
    copies: int | None
    data_format: str

    @property
    def spatial(self) -> tuple:
        return tuple(self.tensor.shape[1:-1])

    @property
    def rank(self) -> int:
        """The rank of the tensor in the original model."""
        return len(self.tensor.shape) + (self.copies is not None)

    def with_tensor(self, tensor) -> Signal:
        """A signal whose channels are those of this one."""
        return Signal(tensor, self.channels, self.order, self.copies, self.data_format)


def natural(tensor, copies: int | None, data_format: str) -> Signal:
    """The signal of a tensor whose channels are in their natural order."""
    count = tensor.shape[-1]
    return Signal(tensor, count // (copies or 1), np.arange(count), copies, data_format)


def merge(tensor, on_group: bool, data_format: str) -> Signal:
    """A tensor of the original model, (batch, *spatial, [|group|,] channels) or with channels first, as a signal."""
    if data_format == "channels_first" and len(tensor.shape) > 2:
        tensor = layers.Permute((*range(2, len(tensor.shape)), 1), **_dtype(tensor))(tensor)
    if not on_group:
        return natural(tensor, None, data_format)
    copies = tensor.shape[-2]
    return natural(merge_last_axes(tensor), copies, data_format)


def restore(signal: Signal):
    """The tensor of the original model that a signal stands for."""
    tensor = unmerged(signal)
    if signal.data_format == "channels_first" and len(tensor.shape) > 2:
        last = len(tensor.shape) - 1
        tensor = layers.Permute((last, *range(1, last)), **_dtype(tensor))(tensor)
    return tensor


def unmerged(signal: Signal):
    """(batch, *spatial, [|group|,] channels), channels last whatever the original model has."""
    tensor = in_order(signal, np.arange(len(signal.order)))
    return tensor if signal.copies is None else split_last_axis(tensor, signal.copies)


def in_order(signal: Signal, order: np.ndarray):
    """The tensor of a signal with its channels, or some of them, in the order asked for."""
    place = np.empty(len(signal.order), "int32")
    place[signal.order] = np.arange(len(signal.order))
    return take(signal.tensor, place[order])


def take(tensor, places: np.ndarray, axis: int = -1):
    """The entries of an axis at the places given."""
    if np.array_equal(places, np.arange(tensor.shape[axis] or -1)):
        return tensor
    of_channels = axis in (-1, len(tensor.shape) - 1)
    exchanged = _exchanged(tensor, places) if of_channels and keras.backend.backend() == "torch" else None
    return ops.take(tensor, np.asarray(places, "int32"), axis=axis) if exchanged is None else exchanged


def _exchanged(tensor, places: np.ndarray):
    """The same where two factors of the last axis are exchanged, as a transposition, which PyTorch writes as ONNX."""
    sizes = _exchange(np.asarray(places), tensor.shape[-1])
    spatial = tensor.shape[1:-1]
    if sizes is None or sum(size is None for size in spatial) > 1:
        return None
    rank, dtype = len(spatial), _dtype(tensor)
    first, second = rank + 2, rank + 3
    tensor = layers.Reshape((*_unknown_as_rest(spatial), *sizes), **dtype)(tensor)
    tensor = layers.Permute((*range(1, rank + 2), second, first, rank + 4), **dtype)(tensor)
    return layers.Reshape((*_unknown_as_rest(spatial), len(places)), **dtype)(tensor)


def _exchange(places: np.ndarray, size: int) -> tuple[int, int, int, int] | None:
    """Sizes (a, b, c, d) such that the places are those of (a, c, b, d) in (a, b, c, d), or None."""
    if len(places) != size or size < 4 or places[0] != 0:
        return None
    run = int(np.argmax(np.diff(places) != 1)) + 1
    starts = places[::run] // run
    if run == size or size % run or len(starts) < 4:
        return None
    second = int(starts[1])
    first = int(np.argmax(starts == 1)) if 1 in starts else 0
    if first < 2 or second < 2 or size % (first * second * run):
        return None
    sizes = (size // (first * second * run), first, second, run)
    return sizes if np.array_equal(np.arange(size).reshape(sizes).swapaxes(1, 2).ravel(), places) else None


def split_last_axis(tensor, parts: int):
    """(batch, ..., parts n) -> (batch, ..., parts, n)."""
    shape = tensor.shape[1:-1]
    if sum(size is None for size in shape) > 1:  # Keras reshapes with one unknown size at most
        return ops.stack(ops.split(tensor, parts, axis=-1), axis=-2)
    shape = (*_unknown_as_rest(shape), parts, tensor.shape[-1] // parts)
    return layers.Reshape(shape, **_dtype(tensor))(tensor)


def merge_last_axes(tensor):
    """(batch, ..., parts, n) -> (batch, ..., parts n)."""
    *shape, parts, size = tensor.shape[1:]
    if sum(size is None for size in shape) > 1:
        return ops.concatenate(ops.unstack(tensor, axis=-2), axis=-1)
    return layers.Reshape((*_unknown_as_rest(shape), parts * size), **_dtype(tensor))(tensor)


def _dtype(tensor) -> dict[str, str]:
    """The precision of a layer that leaves that of its input alone."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return {"dtype": dtype} if "float" in dtype else {}


def _unknown_as_rest(shape) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in shape)


def to_numpy(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)
