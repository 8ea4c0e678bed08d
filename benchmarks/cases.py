"""What is timed: layers and nets at the shapes of P4CNN, the P4M-ResNets, U-Nets, and nets for volumes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

import groco
from groco import layers
from groco.groups import get_group
from groco.surgery.folding import fold_batch_norms


@dataclass(frozen=True)
class LayerCase:
    """A layer of groco and the plain one of the same expanded width.

    Attributes:
        name: what the tables say.
        group: the group's name.
        size: spatial sizes.
        channels: channels on the group that the layer reads.
        layer: makes the layer of groco from the group.
        plain: makes the plain one from the group's order.
        batch: batch size.
    """

    name: str
    group: str
    size: tuple[int, ...]
    channels: int
    layer: Callable[[str], keras.layers.Layer]
    plain: Callable[[int], keras.layers.Layer]
    batch: int = 64

    @property
    def order(self) -> int:
        return get_group(self.group, len(self.size)).order

    def models(self) -> dict[str, tuple[keras.Model, np.ndarray]]:
        """The two nets of one layer, each with its inputs: the same numbers, merged for the plain one."""
        shapes = {"plain": (*self.size, self.order * self.channels), "groco": (*self.size, self.order, self.channels)}
        inputs = np.random.default_rng(0).normal(size=(self.batch, *shapes["groco"])).astype("float32")
        made = {}
        for name, shape in shapes.items():
            layer = self.plain(self.order) if name == "plain" else self.layer(self.group)
            image = keras.Input(shape)
            made[name] = keras.Model(image, layer(image)), inputs.reshape(self.batch, *shape)
        return made


def convolution(name: str, group: str, size, channels: int, filters: int, kernel: int, batch: int = 64, **kwargs):
    rank = len(size)
    stem = f"GroupConv{rank}D"

    def plain(order: int):
        return getattr(keras.layers, f"Conv{rank}D")(order * filters, kernel, padding="same", **kwargs)

    def ours(group: str):
        return getattr(layers, stem)(filters, kernel, padding="same", group=group, **kwargs)

    return LayerCase(name, group, tuple(size), channels, ours, plain, batch)


def layer_cases(large: bool = False) -> list[LayerCase]:
    """`large`: more and larger ones, for a GPU."""
    cases = [
        convolution("P4CNN 3x3", "P4", (24, 24), 10, 10, 3),
        convolution("P4M-ResNet 3x3, stage 1", "P4M", (32, 32), 11, 11, 3),
        convolution("P4M-ResNet 3x3, stage 2", "P4M", (16, 16), 23, 23, 3),
        convolution("P4M-ResNet 3x3, stage 3", "P4M", (8, 8), 45, 45, 3),
        convolution("P4-U-Net 3x3", "P4", (64, 64), 8, 8, 3, batch=16),
        convolution("P4M 1x1", "P4M", (16, 16), 23, 23, 1),
        convolution("Oh 3x3x3", "Oh", (12, 12, 12), 2, 2, 3, batch=2),
        LayerCase(
            "max pooling 2x2", "P4M", (32, 32), 11,
            lambda group: layers.GroupMaxPooling2D(2, group=group), lambda order: keras.layers.MaxPooling2D(2),
        ),
        LayerCase(
            "average pooling 2x2", "P4M", (32, 32), 11,
            lambda group: layers.GroupAveragePooling2D(2, group=group), lambda order: keras.layers.AveragePooling2D(2),
        ),
        LayerCase(
            "batch normalisation", "P4M", (32, 32), 11,
            lambda group: layers.GroupBatchNormalization(), lambda order: keras.layers.BatchNormalization(),
        ),
        LayerCase(
            "ReLU", "P4M", (32, 32), 11, lambda group: keras.layers.ReLU(), lambda order: keras.layers.ReLU()
        ),
    ]  # fmt: skip
    if large:
        cases += [
            convolution("P4M 3x3, 64 channels", "P4M", (32, 32), 64, 64, 3, batch=64),
            convolution("P4 3x3, 128 channels", "P4", (56, 56), 128, 128, 3, batch=32),
            convolution("Oh 3x3x3, 8 channels", "Oh", (24, 24, 24), 8, 8, 3, batch=8),
        ]
    return cases


@dataclass(frozen=True)
class NetCase:
    """An architecture of groco and, from `export_plain`, the same net of plain layers."""

    name: str
    shape: tuple[int, ...]
    batch: int
    kwargs: dict[str, Any] = field(default_factory=dict)

    def build(self) -> keras.Model:
        return groco.create_model(self.name, input_shape=self.shape, **self.kwargs)

    def inputs(self) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(self.batch, *self.shape)).astype("float32")

    def models(self) -> dict[str, tuple[keras.Model, np.ndarray]]:
        net = self.build()
        plain = groco.export_plain(net)
        again = keras.Model.from_config(plain.get_config())
        again.set_weights(plain.get_weights())
        inputs = self.inputs()
        made = {"plain": again, "groco": net, "exported": plain, "exported, folded": fold_batch_norms(plain)}
        return {name: (model, inputs) for name, model in made.items()}


def net_cases(large: bool = False) -> list[NetCase]:
    batch = 8 if large else 1
    return [
        NetCase("p4cnn", (28, 28, 1), 128),
        NetCase("p4m_resnet20", (32, 32, 3), 8 * batch, {"widths": (11, 23, 45)}),
        NetCase("p4_unet", (64, 64, 1), 4 * batch),
        NetCase("o_resnet3d", (16, 16, 16, 1), 4 * batch),
    ]


def implementations() -> list[str]:
    """The ways in which a convolution can be computed, where the layer has several."""
    known = inspect.signature(layers.GroupConv2D.__init__).parameters
    return ["dense", "fourier"] if "implementation" in known else []


def scaling_cases(width: int, batch: int) -> list[tuple[str, int, LayerCase]]:
    """(group, kernel size, case) at a width, in channels of each element."""
    cases = []
    for group, size in (("P4", (16, 16)), ("P4M", (16, 16)), ("O", (6, 6, 6)), ("Oh", (6, 6, 6))):
        for kernel in (1, 3):
            name = f"{group} {'x'.join([str(kernel)] * len(size))}, {width} channels"
            cases.append((group, kernel, convolution(name, group, size, width, width, kernel, batch)))
    return cases
