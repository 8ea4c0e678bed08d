"""The three nets of Cohen & Welling 2016 (arXiv 1602.07576, section 8.1) for rotated MNIST.

All have six 3x3 convolutions, each followed by batch normalisation and ReLU, a 2x2 max pool after the second, and a 4x4
convolution to the classes: 28-26-24-12-10-8-6-4-1. Batch normalisation has the defaults of the authors' framework.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import keras
from keras import layers

from groco.groups import GroupLike, get_group
from groco.layers import (
    GlobalGroupAveragePooling2D,
    GlobalGroupMaxPooling2D,
    GroupBatchNormalization,
    GroupConv2D,
    GroupMaxPooling2D,
    SeparableGroupConv2D,
)
from groco.models.blocks import LAST, check_choice, new_input
from groco.models.registry import register_model, register_variants

_DEPTH = 6
_POOL_AFTER = 2
_TOP_SIZE = 4
_POOLINGS = ("max", "avg")
_GROUP_POOLS = {"max": GlobalGroupMaxPooling2D, "avg": GlobalGroupAveragePooling2D}
_PLANAR_POOLS = {"max": layers.GlobalMaxPooling2D, "avg": layers.GlobalAveragePooling2D}
_GROUP_NORM = functools.partial(GroupBatchNormalization, momentum=0.9, epsilon=2e-5, **LAST)
_PLANAR_NORM = functools.partial(layers.BatchNormalization, momentum=0.9, epsilon=2e-5)


@register_model
def z2cnn(
    input_shape=(28, 28, 1),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "max",
    classifier_activation=None,
    width: int = 20,
    dropout: float = 0.3,
    name: str = "z2cnn",
) -> keras.Model:
    """The planar net of the paper, the one that the group nets are compared with: 21,750 parameters.

    Args:
        input_shape: (height, width, channels); height and width at least 28, or None.
        num_classes: number of classes.
        include_top: False leaves out the last convolution: features (batch, 4, 4, width) for 28x28 images.
        pooling: `"max"`, as in the paper, or `"avg"`: of the logits, over what is left of space, and the group.
        classifier_activation: None gives logits.
        width: channels of each layer.
        dropout: rate after layers 1, 3, 4, 5 and 6.
        name: the model's name.

    Returns:
        An uncompiled functional model; with the top its output is (batch, num_classes).
    """

    def convolve(x, filters: int, size: int, name: str):
        return layers.Conv2D(filters, size, kernel_initializer=_initializer(), name=name, **LAST)(x)

    def pool(x, size: int, name: str):
        return layers.MaxPooling2D(size, name=name, **LAST)(x) if size > 1 else x

    inputs = new_input(name, input_shape)
    outputs = _body(inputs, convolve, _PLANAR_NORM, pool, width, dropout)
    if include_top:
        outputs = convolve(outputs, num_classes, _TOP_SIZE, "head")
        outputs = _global_pool(outputs, _PLANAR_POOLS, pooling)
        outputs = layers.Activation(classifier_activation or "linear", name="classes")(outputs)
    return keras.Model(inputs, outputs, name=name)


@register_model
def p4cnn(
    input_shape=(28, 28, 1),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "max",
    classifier_activation=None,
    group: GroupLike = "P4",
    width: int = 10,
    dropout: float = 0.0,
    name: str = "p4cnn",
) -> keras.Model:
    """The group net of the paper: 24,680 parameters. Its logits do not change when the image is turned by 90 degrees.

    Args:
        input_shape: (height, width, channels). Height and width at least 28 and even, or None; a net for
            unknown sizes raises an error when it is given an odd one, which its pooling could not halve exactly.
        num_classes: number of classes.
        include_top: False leaves out the last convolution: features (batch, 4, 4, |group|, width) for 28x28 images.
        pooling: `"max"`, as in the paper, or `"avg"`: of the logits, over what is left of space, and the group.
        classifier_activation: None gives logits.
        group: any 2-D group; `"P1"` gives the planar twin.
        width: channels of each layer, each on the whole group.
        dropout: rate after layers 1, 3, 4, 5 and 6; the paper used none.
        name: the model's name.

    Returns:
        An uncompiled functional model; with the top its output is (batch, num_classes).
    """
    group = get_group(group, 2)

    def convolve(x, filters: int, size: int, name: str):
        return GroupConv2D(filters, size, group=group, kernel_initializer=_initializer(), name=name, **LAST)(x)

    def pool(x, size: int, name: str):
        return GroupMaxPooling2D(size, group=group, name=name, **LAST)(x) if size > 1 else x

    inputs = new_input(name, input_shape)
    outputs = _body(inputs, convolve, _GROUP_NORM, pool, width, dropout)
    if include_top:
        outputs = convolve(outputs, num_classes, _TOP_SIZE, "head")
        outputs = _global_pool(outputs, _GROUP_POOLS, pooling, group=group)
        outputs = layers.Activation(classifier_activation or "linear", name="classes")(outputs)
    return keras.Model(inputs, outputs, name=name)


@register_model
def p4cnn_rp(
    input_shape=(28, 28, 1),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "max",
    classifier_activation=None,
    group: GroupLike = "P4",
    width: int = 20,
    dropout: float = 0.0,
    name: str = "p4cnn_rp",
) -> keras.Model:
    """The net of the paper with rotation pooling: 21,750 parameters, as many as the planar net.

    Every layer lifts an image to the group and takes the maximum over it after its ReLU, so that its features forget
    the orientation they were found in. Its logits do not change when the image is turned by 90 degrees.

    Args:
        input_shape: as in `p4cnn`.
        num_classes: number of classes.
        include_top: False leaves out the last convolution: features (batch, 4, 4, width) for 28x28 images.
        pooling: `"max"`, as in the paper, or `"avg"`: of the logits, over what is left of space, and the group.
        classifier_activation: None gives logits.
        group: any 2-D group.
        width: channels of each layer.
        dropout: rate after layers 1, 3, 4, 5 and 6; the paper used none.
        name: the model's name.

    Returns:
        An uncompiled functional model; with the top its output is (batch, num_classes).
    """
    group = get_group(group, 2)

    def convolve(x, filters: int, size: int, name: str):
        return GroupConv2D(filters, size, group=group, kernel_initializer=_initializer(), name=name, **LAST)(x)

    def pool(x, size: int, name: str):
        if size > 1:
            x = GroupMaxPooling2D(size, group=group, name=name, **LAST)(x)
        name = f"rotation_{name}"
        return GroupMaxPooling2D(1, group=group, subgroup="P1", keepdims=False, name=name, **LAST)(x)

    inputs = new_input(name, input_shape)
    outputs = _body(inputs, convolve, _GROUP_NORM, pool, width, dropout)
    if include_top:
        outputs = convolve(outputs, num_classes, _TOP_SIZE, "head")
        outputs = _global_pool(outputs, _GROUP_POOLS, pooling, group=group)
        outputs = layers.Activation(classifier_activation or "linear", name="classes")(outputs)
    return keras.Model(inputs, outputs, name=name)


def _body(x, convolve: Callable, normalization: Callable, pool: Callable, width: int, dropout: float):
    for depth in range(1, _DEPTH + 1):
        x = convolve(x, width, 3, f"conv{depth}")
        x = normalization(name=f"norm{depth}")(x)
        x = layers.Activation("relu", name=f"relu{depth}")(x)
        if dropout and depth != _POOL_AFTER:
            x = layers.Dropout(dropout, name=f"dropout{depth}")(x)
        x = pool(x, 2 if depth == _POOL_AFTER else 1, f"pool{depth}")
    return x


def _global_pool(x, pools: Mapping[str, Callable], pooling: str, **kwargs):
    return pools[check_choice("pooling", pooling, _POOLINGS)](name="global_pool", **kwargs, **LAST)(x)


def _initializer(scale: float = 1.0) -> keras.initializers.Initializer:
    """N(0, scale / fan_in), fan_in = |group| k^2 channels."""
    return keras.initializers.VarianceScaling(float(scale), mode="fan_in", distribution="untruncated_normal")


def separable_p4cnn(
    input_shape=(28, 28, 1),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "max",
    classifier_activation=None,
    group: GroupLike = "P4",
    width: int = 30,
    dropout: float = 0.0,
    factorization: str = "gc",
    name: str = "separable_p4cnn",
) -> keras.Model:
    """P4CNN of separable group convolutions (Lengyel & van Gemert 2021, arXiv 2106.04914).

    The first layer is an ordinary lifting convolution; all others are separable, the 4x4 one too, which normalisation
    and ReLU follow as they do the others, and a linear classifier. The gc-separable net of width 30 then has 24,640
    parameters, near the paper's 24.6 thousand; its text does not settle the last layers.

    Args:
        input_shape: as in `p4cnn`.
        num_classes: number of classes.
        include_top: False leaves out pooling and classifier: features (batch, 1, 1, |group|, width) for 28x28 images.
        pooling: `"max"` or `"avg"`, over space and group.
        classifier_activation: None gives logits.
        group: any 2-D group.
        width: channels of each layer, each on the whole group.
        dropout: rate after layers 1, 3, 4, 5 and 6.
        factorization: `"g"`, separable over the group, or `"gc"`, over group and channels; see
            `groco.layers.SeparableGroupConv2D`.
        name: the model's name.

    Returns:
        An uncompiled functional model; with the top its output is (batch, num_classes).
    """
    group = get_group(group, 2)

    def convolve(x, filters: int, size: int, name: str):
        if len(x.shape) == 4:
            return GroupConv2D(filters, size, group=group, kernel_initializer=_initializer(), name=name, **LAST)(x)
        return SeparableGroupConv2D(
            filters,
            size,
            depthwise_initializer=_initializer(),
            # Of g-separable kernels both factors count the channels, in the product they are to count once.
            pointwise_initializer=_initializer(x.shape[-1] if factorization == "g" else 1),
            group=group,
            factorization=factorization,
            name=name,
            **LAST,
        )(x)

    def pool(x, size: int, name: str):
        return GroupMaxPooling2D(size, group=group, name=name, **LAST)(x) if size > 1 else x

    inputs = new_input(name, input_shape)
    outputs = _body(inputs, convolve, _GROUP_NORM, pool, width, dropout)
    outputs = convolve(outputs, width, _TOP_SIZE, "conv_top")
    outputs = _GROUP_NORM(name="norm_top")(outputs)
    outputs = layers.Activation("relu", name="relu_top")(outputs)
    if include_top:
        outputs = _global_pool(outputs, _GROUP_POOLS, pooling, group=group)
        outputs = layers.Dense(num_classes, activation=classifier_activation, name="head")(outputs)
    return keras.Model(inputs, outputs, name=name)


register_variants(p4cnn, p4mcnn={"group": "P4M", "width": 7})
register_variants(
    separable_p4cnn,
    p4cnn_g={"factorization": "g", "width": 17},
    p4cnn_gc={"factorization": "gc", "width": 30},
)
