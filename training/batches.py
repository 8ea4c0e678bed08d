"""The batches of one epoch, for any backend: made by NumPy, ahead of their use by tf.data on TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from groco.finetuning.batches import preparing_threads
from training import augment


class Batches(keras.utils.PyDataset):
    """Batches that depend on the seed, the epoch and their place alone, whichever thread makes them.

    Args:
        inputs: prepared, (n, *spatial, channels).
        labels: (n, ...).
        batch_size: the last batch may be smaller.
        examples: in the epoch: all once in random order, or as many rounds of them as it takes.
        augmentations: as in `training.augment`.
        targets: from labels to what the loss takes.
        workers: threads that prepare batches on TensorFlow; see `groco.finetuning.batches.preparing_threads`.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        epoch: int,
        examples: int | None = None,
        augmentations: Sequence = (),
        targets: Callable[[np.ndarray], np.ndarray] = np.asarray,
        workers: int = 1,
    ):
        super().__init__(workers=preparing_threads(workers), use_multiprocessing=False, max_queue_size=8)
        self.inputs, self.labels = inputs, labels
        self.batch_size, self.seed, self.epoch = batch_size, seed, epoch
        self.augmentations, self.targets = augmentations, targets
        self.order = draw_order(len(inputs), examples or len(inputs), seed, epoch)

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    @property
    def last_size(self) -> int:
        """Number of examples in the last batch."""
        return (len(self.order) - 1) % self.batch_size + 1

    def __getitem__(self, index: int):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        inputs, labels = augment.apply(self.augmentations, self.inputs[chosen], self.labels[chosen], rng)
        return np.ascontiguousarray(inputs), np.ascontiguousarray(self.targets(labels))


class InOrder(keras.utils.PyDataset):
    """Inputs as they come, to be predicted on."""

    def __init__(self, inputs: np.ndarray, batch_size: int):
        super().__init__(workers=preparing_threads(), max_queue_size=8)
        self.inputs, self.batch_size = inputs, batch_size

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.batch_size)

    def __getitem__(self, index: int):
        return (np.asarray(self.inputs[index * self.batch_size : (index + 1) * self.batch_size]),)


@contextlib.contextmanager
def feed(batches: keras.utils.PyDataset) -> Iterator[Any]:
    """What `fit` and `predict` are given: the batches, on TensorFlow as a tf.data.Dataset.

    Its threads are as many as the batches have workers; each batch has its place, whichever thread makes it. What
    making one raises is raised as it is.
    """
    if keras.backend.backend() != "tensorflow":
        yield batches
        return
    failed: list[Exception] = []
    try:
        yield _dataset(batches, failed)
    except Exception:
        if failed:
            raise failed[0] from None
        raise


def _dataset(batches: keras.utils.PyDataset, failed: list[Exception]):
    import tensorflow as tf

    example = batches[0]

    def make(index):
        try:
            return batches[index]
        except Exception as error:  # of which TensorFlow gives the text of the traceback
            failed.append(error)
            raise

    @tf.autograph.experimental.do_not_convert
    def get(index):
        arrays = tf.numpy_function(make, [index], [array.dtype for array in example])
        for array, known in zip(arrays, example, strict=True):
            array.set_shape((None, *known.shape[1:]))
        return tuple(arrays)

    options = tf.data.Options()
    options.autotune.enabled = False  # at its end an epoch would wait for the tuner to wake
    indices = tf.data.Dataset.range(len(batches))
    made = indices.map(get, num_parallel_calls=batches.workers, deterministic=True)
    return made.prefetch(batches.max_queue_size).with_options(options)


def draw_order(available: int, wanted: int, seed: int, epoch: int) -> np.ndarray:
    """Indices of the `wanted` examples of an epoch: all the `available` ones as often, give or take one."""
    rng = np.random.default_rng([seed, epoch])
    rounds = [rng.permutation(available) for _ in range(-(-wanted // available))]
    return np.concatenate(rounds)[:wanted]
