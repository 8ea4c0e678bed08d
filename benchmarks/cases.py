"""What is timed: layers and nets at the shapes of P4CNN, the P4M-ResNets, U-Nets, and nets for volumes."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

import groco
from groco import layers
from groco.groups import get_group
from groco.models import get_builder
from groco.surgery.folding import fold_batch_norms

SCALING_GROUPS: dict[str, tuple[int, ...]] = {"P4": (16, 16), "P4M": (16, 16), "O": (6, 6, 6), "Oh": (6, 6, 6)}
SCALING_KERNELS = (1, 3)
WAYS = ("dense", "fourier")  # the implementations
SCALING_BATCH = 8  # 64 on a GPU
SCALING_WIDTHS = (8, 16, 32, 64, 96, 128, 256)  # channels of each element


@dataclass(frozen=True)
class LayerCase:
    """A layer of groco, in one way or several, and the plain one of the same expanded width.

    Attributes:
        name: what the tables say.
        group: the group's name.
        size: spatial sizes; () for vectors on a group of the plane.
        channels: channels on the group that the layer reads.
        plain: makes the plain one from the group's order.
        variants: by name, what makes the layer of groco.
        batch: batch size.
        window: points along each axis of the kernel, and filters, of a convolution that other libraries have too.
    """

    name: str
    group: str
    size: tuple[int, ...]
    channels: int
    plain: Callable[[int], keras.layers.Layer]
    variants: dict[str, Callable[[], keras.layers.Layer]]
    batch: int = 64
    window: tuple[int, int] | None = None

    @property
    def order(self) -> int:
        return get_group(self.group, len(self.size) or 2).order

    def model(self, variant: str) -> tuple[keras.Model, np.ndarray]:
        """The net of one layer, plain or one of groco, and its inputs: the same numbers, merged for the plain one."""
        shape = (self.batch, *self.size, self.order, self.channels)
        inputs = np.random.default_rng(0).normal(size=shape).astype("float32")
        if variant == "plain":
            inputs = inputs.reshape(self.batch, *self.size, -1)
        image = keras.Input(inputs.shape[1:])
        layer = self.plain(self.order) if variant == "plain" else self.variants[variant]()
        return keras.Model(image, layer(image)), inputs

    def models(self) -> dict[str, tuple[keras.Model, np.ndarray]]:
        return {variant: self.model(variant) for variant in ("plain", *self.variants)}


def convolution(
    name: str,
    group: str,
    size: Sequence[int],
    channels: int,
    filters: int,
    kernel: int,
    batch: int = 64,
    implementations: Sequence[str] = (),
) -> LayerCase:
    """A group convolution as users have it or, each a variant of its own, with the implementations that are named."""
    plain = getattr(keras.layers, f"Conv{len(size)}D")
    ours = functools.partial(getattr(layers, f"GroupConv{len(size)}D"), filters, kernel, padding="same", group=group)
    variants = {name: functools.partial(ours, implementation=name) for name in implementations} or {"groco": ours}
    return LayerCase(
        name,
        group,
        tuple(size),
        channels,
        lambda order: plain(order * filters, kernel, padding="same"),
        variants,
        batch,
        (kernel, filters),
    )


def _on_p4m(name: str, size: tuple[int, ...], channels: int, plain, ours, batch: int = 64) -> LayerCase:
    """A layer as users have it, on signals of P4M."""
    return LayerCase(name, "P4M", size, channels, plain, {"groco": ours}, batch)


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
        _on_p4m(
            "3x3, stride 2",
            (17, 17),
            23,
            lambda order: keras.layers.Conv2D(order * 23, 3, strides=2),
            lambda: layers.GroupConv2D(23, 3, strides=2, group="P4M"),
        ),
        _on_p4m(
            "transposed 2x2, stride 2",
            (8, 8),
            23,
            lambda order: keras.layers.Conv2DTranspose(order * 23, 2, strides=2),
            lambda: layers.GroupConv2DTranspose(23, 2, strides=2, group="P4M"),
        ),
        _on_p4m(
            "separable 3x3 (gc)",
            (16, 16),
            23,
            lambda order: keras.Sequential(
                [keras.layers.Conv2D(order * 23, 1, use_bias=False), keras.layers.DepthwiseConv2D(3, padding="same")]
            ),
            lambda: layers.SeparableGroupConv2D(23, 3, padding="same", group="P4M", factorization="gc"),
        ),
        _on_p4m(
            "depthwise 3x3",
            (16, 16),
            23,
            lambda order: keras.layers.Conv2D(order * 23, 3, padding="same", groups=23),
            lambda: layers.DepthwiseGroupConv2D(3, padding="same", group="P4M"),
            batch=8,  # of more, the plain gradient takes many seconds on TensorFlow and JAX
        ),
        _on_p4m(
            "dense",
            (),
            64,
            lambda order: keras.layers.Dense(order * 64),
            lambda: layers.GroupDense(64, group="P4M", ndim=2),
            batch=512,
        ),
        _on_p4m(
            "max pooling 2x2",
            (32, 32),
            11,
            lambda order: keras.layers.MaxPooling2D(2),
            lambda: layers.GroupMaxPooling2D(2, group="P4M"),
        ),
        _on_p4m(
            "average pooling 2x2",
            (32, 32),
            11,
            lambda order: keras.layers.AveragePooling2D(2),
            lambda: layers.GroupAveragePooling2D(2, group="P4M"),
        ),
        _on_p4m(
            "batch normalisation",
            (32, 32),
            11,
            lambda order: keras.layers.BatchNormalization(),
            layers.GroupBatchNormalization,
        ),
        _on_p4m("ReLU", (32, 32), 11, lambda order: keras.layers.ReLU(), keras.layers.ReLU),
    ]
    if large:
        cases += [
            convolution("P4M 3x3, 64 channels", "P4M", (32, 32), 64, 64, 3, batch=64),
            convolution("P4 3x3, 128 channels", "P4", (56, 56), 128, 128, 3, batch=32),
            convolution("Oh 3x3x3, 8 channels", "Oh", (24, 24, 24), 8, 8, 3, batch=8),
        ]
    return cases


@dataclass(frozen=True)
class NetCase:
    """An architecture of groco, its exports, and the planar net of the same expanded widths, of plain layers."""

    name: str
    shape: tuple[int, ...]
    batch: int
    kwargs: dict[str, Any] = field(default_factory=dict)

    def build(self) -> keras.Model:
        return groco.create_model(self.name, input_shape=self.shape, **self.kwargs)

    def build_plain(self) -> keras.Model:
        """The same architecture on the trivial group, with |G| times the channels, of layers of Keras alone."""
        parameters = inspect.signature(get_builder(self.name)).parameters
        arguments = {"group": parameters["group"].default, **self.kwargs}
        group = get_group(arguments["group"], len(self.shape) - 1)
        width = "width" if "width" in parameters else "widths"
        widths = self.kwargs.get(width, parameters[width].default)
        arguments[width] = group.order * widths if isinstance(widths, int) else tuple(group.order * n for n in widths)
        arguments["group"] = group.subgroups[0]
        return groco.export_plain(groco.create_model(self.name, input_shape=self.shape, **arguments))

    def inputs(self) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(self.batch, *self.shape)).astype("float32")

    def models(self) -> dict[str, tuple[keras.Model, np.ndarray]]:
        net = self.build()
        exported = groco.export_plain(net)
        inputs = self.inputs()
        made = {"plain": self.build_plain(), "groco": net, "exported": exported}
        made["exported, folded"] = fold_batch_norms(exported)
        auto = groco.export_plain(net, implementation="auto")
        if len(auto.layers) != len(exported.layers):  # some of its layers are in the Fourier basis
            made["exported, auto"] = auto
        return {name: (model, inputs) for name, model in made.items()}


def net_cases(large: bool = False) -> list[NetCase]:
    batch = 8 if large else 1
    return [
        NetCase("p4cnn", (28, 28, 1), 128),
        NetCase("p4m_resnet20", (32, 32, 3), 8 * batch, {"widths": (11, 23, 45)}),
        NetCase("p4_unet", (64, 64, 1), 4 * batch),
        NetCase("o_resnet3d", (16, 16, 16, 1), 4 * batch),
    ]


def scaling_cases(batch: int) -> list[tuple[int, LayerCase]]:
    """(points along each axis of the kernel, case), over groups and widths, in both implementations."""
    cases = []
    for group, size in SCALING_GROUPS.items():
        for kernel, width in itertools.product(SCALING_KERNELS, SCALING_WIDTHS):
            name = f"{group} {window(kernel, size)}, {width} channels"
            cases.append((kernel, convolution(name, group, size, width, width, kernel, batch, WAYS)))
    return cases


def window(kernel: int, size: Sequence[int]) -> str:
    """As in 3x3x3, on a grid of a size."""
    return "x".join([str(kernel)] * len(size))
