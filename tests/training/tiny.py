"""`python -m tests.training.tiny ARGUMENTS`: training.train on a tiny net and data set, in a process of its own.

The net has batch normalisation on images and on signals on a group; the data are 8 x 8 pixels in three classes. With
DIE_AT="EPOCH STEP SIGNAL" in the environment the process sends itself a signal when it makes that batch.
"""

import os
import signal
import sys
import time
import types

import keras
import numpy as np

from groco import layers
from groco._backend import leave_out_tensorflow
from groco.models.registry import register_model
from training import datasets, train
from training.batches import Batches

EXAMPLES = 45
CONFIG = [
    "p4cnn_rotmnist", "--set", "name=tiny", "--set", "model=tiny", "--set", "dataset=tiny", "--set", "batch_size=8",
    "--set", "epochs=3", "--set", "checkpoint_every=1", "--set", "preprocess=standardize_channels",
]  # fmt: skip


@register_model
def tiny(input_shape=(8, 8, 1), num_classes=3, dropout=0.0, name="tiny"):
    """Two convolutions, three weights each way."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(3, 3, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = layers.GroupConv2D(3, 3, group="P4", use_bias=False)(x)
    x = keras.layers.ReLU()(layers.GroupBatchNormalization()(x))
    x = keras.layers.Dropout(dropout)(x)
    x = layers.GlobalGroupAveragePooling2D(group="P4")(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x), name=name)


def load(source, variant, splits):
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "test"):
        labels = rng.integers(3, size=EXAMPLES).astype(np.uint8)
        images = rng.integers(100, size=(EXAMPLES, 8, 8, 1)) + 60 * labels[:, None, None, None]
        arrays[split] = (images.astype(np.uint8), labels)
    return arrays


def install() -> None:
    """Makes the data set known."""
    info = datasets.Info("classification", ("a", "b", "c"), ("made",), "made", "none")
    module = types.SimpleNamespace(INFO=info, SPLITS=("train", "test"), load=load)
    sys.modules["training.datasets.tiny"] = module
    datasets.DATASETS = (*datasets.DATASETS, "tiny")


def die_at(epoch: int, step: int, name: str) -> None:
    get = Batches.__getitem__

    def get_or_die(batches, index):
        if (batches.epoch, index) == (epoch, step):
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(5)  # so that the epoch does not end before the signal is seen
        return get(batches, index)

    Batches.__getitem__ = get_or_die


if __name__ == "__main__":
    leave_out_tensorflow()
    install()
    if "DIE_AT" in os.environ:
        epoch, step, name = os.environ["DIE_AT"].split()
        die_at(int(epoch), int(step), name)
    status = train.main([*CONFIG, *sys.argv[1:]])
    train.leave(status)
