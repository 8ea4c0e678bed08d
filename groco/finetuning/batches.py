"""The batches of a fine-tuning, and what is done to them at random."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from groco.groups import Group, act, get_group

Batch = tuple[np.ndarray, np.ndarray]
Augmentation = Callable[[np.ndarray, np.ndarray, np.random.Generator], Batch]
ROTATE = "rotate"


def preparing_threads(wanted: int = 2) -> int:
    """How many threads prepare batches for Keras: on TensorFlow as many as wanted, elsewhere one.

    With one, TensorFlow tunes the pipeline; an epoch ends when its tuner next wakes, up to twice as late. With more,
    Keras on JAX and PyTorch, which look at a batch before they train, begin the first epoch with the second batch.
    """
    return wanted if keras.backend.backend() == "tensorflow" else 1


class Batches(keras.utils.PyDataset):
    """Batches that depend on the seed, the epoch and their place alone; sizes differ by one example at most.

    Args:
        inputs: (n, *spatial, channels), prepared.
        labels: (n,) or (n, *spatial).
        batch_size: the most examples in a batch.
        seed: of the order and the augmentations.
        augmentations: functions of inputs, labels and a random generator.
        targets: from labels to what the loss takes.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        augmentations: Sequence[Augmentation] = (),
        targets: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ):
        super().__init__(workers=preparing_threads())
        self.lock = threading.Lock()  # an augmentation may be a function that is not safe in two threads
        self.inputs, self.labels, self.targets = inputs, labels, targets
        self.steps = -(-len(inputs) // batch_size)
        self.seed, self.epoch, self.augmentations = seed, 0, augmentations

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Batch:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.inputs))
        chosen = np.array_split(order, self.steps)[index]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        inputs, labels = self.inputs[chosen], self.labels[chosen]
        with self.lock:
            for augmentation in self.augmentations:
                inputs, labels = augmentation(inputs, labels, rng)
        return np.ascontiguousarray(inputs, np.float32), np.ascontiguousarray(self.targets(labels))

    def on_epoch_end(self) -> None:
        self.epoch += 1


def make_augmentations(augment: Any, sizes: Sequence[int]) -> list[Augmentation]:
    """The functions that are meant by `augment`.

    Args:
        augment: one or several of: a group or its name, by whose elements inputs are turned and mirrored; `"rotate"`,
            turning by any angle; a function of inputs, labels and a random generator that returns inputs and labels.
        sizes: of the inputs.

    Raises:
        ValueError: if something else is given, or a group exchanges axes that differ in size.
    """
    several = augment if isinstance(augment, (list, tuple)) else [augment]
    return [_make(item, tuple(sizes)) for item in several if item is not None]


def try_out(augmentations: Sequence[Augmentation], inputs: np.ndarray, labels: np.ndarray) -> None:
    """Raises ValueError that says what is wrong with an augmentation that cannot be applied to such examples."""
    rng = np.random.default_rng(0)
    for augmentation in augmentations:
        name = getattr(augmentation, "__name__", repr(augmentation))
        form = "an augmentation takes inputs, labels and a random generator, and returns inputs and labels"
        try:
            made = augmentation(inputs.copy(), labels.copy(), rng)
            if not isinstance(made, (tuple, list)):
                raise TypeError(f"got {type(made).__name__}")
            new_inputs, new_labels = made
            lengths = len(new_inputs), len(new_labels)
        except Exception as error:  # whatever a function of the user's own raises
            raise ValueError(f"{form}; {name} does not: {type(error).__name__}: {error}") from error
        if lengths != (len(inputs), len(labels)):
            raise ValueError(f"{form}; {name} makes {lengths[0]} inputs and {lengths[1]} labels of {len(inputs)}.")
        inputs, labels = np.asarray(new_inputs), np.asarray(new_labels)


def _make(item: Any, sizes: tuple[int, ...]) -> Augmentation:
    if item == ROTATE:
        if len(sizes) != 2:
            raise ValueError(f"{ROTATE!r} turns images, not inputs with {len(sizes)} spatial axes; give a group.")
        return rotate
    if isinstance(item, (str, Group)):
        group = get_group(item, len(sizes))
        for orbit in group.axis_orbits:
            if len({sizes[axis] for axis in orbit}) > 1:
                raise ValueError(
                    f"The group {group.name} exchanges axes, so it needs inputs whose sizes on them are equal, got "
                    f"{' x '.join(map(str, sizes))}; subgroups such as P2MM in two dimensions do not."
                )
        return lambda inputs, labels, rng: symmetry(inputs, labels, rng, group)
    if callable(item):
        return item
    raise ValueError(f"augment is a group, {ROTATE!r} or a function, got {item!r}.")


def symmetry(inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator, group: Group) -> Batch:
    """Turns or mirrors each example by an element of a group, drawn uniformly."""
    axes, elements = range(group.ndim), rng.integers(group.order, size=len(inputs))

    def move(arrays: np.ndarray) -> np.ndarray:
        return np.stack([act(group, int(g), array, axes) for g, array in zip(elements, arrays, strict=True)])

    return move(inputs), move(labels) if labels.ndim > 1 else labels


def rotate(inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Batch:
    """Turns each image about its centre by any angle: linear interpolation, borders continued; masks by the nearest."""
    n, height, width = inputs.shape[:3]
    angles = rng.uniform(0, 2 * np.pi, size=(n, 1, 1))
    y, x = np.ogrid[:height, :width]
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    rows = np.clip(np.cos(angles) * y - np.sin(angles) * x + (height - 1) / 2, 0, height - 1)
    columns = np.clip(np.sin(angles) * y + np.cos(angles) * x + (width - 1) / 2, 0, width - 1)
    which = np.arange(n)[:, None, None]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, along = (rows - top)[..., None], (columns - left)[..., None]
    above = inputs[which, top, left] * (1 - along) + inputs[which, top, right] * along
    below = inputs[which, bottom, left] * (1 - along) + inputs[which, bottom, right] * along
    turned = (above * (1 - down) + below * down).astype(inputs.dtype)
    return turned, labels[which, np.rint(rows).astype(int), np.rint(columns).astype(int)] if labels.ndim > 1 else labels


def crop(size: int) -> Augmentation:
    """Cuts a window of `size` points on each axis out of each example, anywhere."""

    def cut(inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Batch:
        starts = np.stack([rng.integers(n - size + 1, size=len(inputs)) for n in labels.shape[1:]], axis=1)
        windows = [tuple(slice(s, s + size) for s in start) for start in starts]
        return (
            np.stack([array[window] for array, window in zip(inputs, windows, strict=True)]),
            np.stack([array[window] for array, window in zip(labels, windows, strict=True)]),
        )

    return cut
