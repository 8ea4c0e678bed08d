"""U-Nets on groups, in two and three dimensions (Ronneberger et al. 2015, arXiv 1505.04597)."""

from __future__ import annotations

import math
from numbers import Real

import keras

from groco.groups import GroupLike
from groco.models.blocks import Blocks, check_choice, new_input
from groco.models.registry import register_variants
from groco.models.sizes import take_multiples


def unet(
    input_shape=(None, None, 1),
    num_classes: int = 1,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike = "P4M",
    width: float = 6,
    depth: int = 4,
    decoder: str = "transposed",
    output: str = "invariant",
    dropout: float = 0.0,
    skip_connections: bool = True,
    name: str = "unet",
) -> keras.Model:
    """U-Net for segmentation: the map of a turned image is the turned map, exactly.

    `depth` levels of two 3x3 convolutions (norm, ReLU), each with half the size and twice the channels of the one
    before, then up again, beside the features of the same size on the way down. The number of dimensions is that of
    `input_shape`: (height, width, channels) or (depth, height, width, channels).

    Args:
        input_shape: sizes are multiples of 2 ** (depth - 1), or None.
        num_classes: channels of the output at each point: 1 for a foreground's logit.
        include_top: False leaves out the last convolution: features on the group, of the size of the input.
        pooling: `"avg"` or `"max"`: how the orientations of each point are pooled before the last convolution.
        classifier_activation: None gives logits.
        group: any group of that many dimensions; `"P1"` gives the planar net.
        width: channels of the first level, each on the whole group. Twice as many at each next one, rounded: 8.5 stands
            for 9, 17, 34, 68.
        depth: number of levels.
        decoder: `"transposed"`, a transposed 2x2 convolution of stride 2; or `"upsampling"`, nearest neighbours and a
            convolution.
        output: `"invariant"`, one value per class and point; or `"signal"`, one for each element of the group.
        dropout: rate at the lowest level.
        skip_connections: False leaves out the features of the way down on the way up: an encoder and a decoder.
        name: the model's name.

    Returns:
        An uncompiled functional model; with the top its output is (batch, *spatial, num_classes), or
        (batch, *spatial, |group|, num_classes).

    Raises:
        ValueError: if a size is not a multiple of 2 ** (depth - 1); the message names the nearest that are.
    """
    check_choice("decoder", decoder, ("transposed", "upsampling"))
    check_choice("output", output, ("invariant", "signal"))
    kind = {"avg": "Average", "max": "Max"}[check_choice("pooling", pooling, ("avg", "max"))]
    if depth < 1:
        raise ValueError(f"depth is at least 1, got {depth}.")
    if not isinstance(width, Real) or isinstance(width, bool) or not 0.5 <= width < math.inf:
        raise ValueError(f"width is a number of channels, got {width!r}.")
    widths = [math.floor(width * 2**level + 0.5) for level in range(depth)]
    if len(input_shape) not in (3, 4):
        raise ValueError(
            f"{name}: input_shape is (height, width, channels) or (depth, height, width, channels), got {input_shape}."
        )
    blocks = Blocks(len(input_shape) - 1, use_bias=False)
    group = blocks.group(group)
    inputs = new_input(name, input_shape, blocks.rank)
    x, skips = take_multiples(name, inputs, 2 ** (depth - 1)), []
    for level in range(depth):
        if level:
            skips.append(x)
            x = blocks.layer("GroupMaxPooling", pool_size=2, group=group, name=f"down{level}_pool")(x)
        for index in (1, 2):
            x = blocks.conv_norm_relu(x, widths[level], 3, group, f"down{level}_{index}")
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    for level in reversed(range(depth - 1)):
        filters = widths[level]
        if decoder == "transposed":
            up = {"filters": filters, "kernel_size": 2, "strides": 2, "group": group}
            x = blocks.layer("GroupConv|Transpose", **up, name=f"up{level}_transposed")(x)
        else:
            x = blocks.layer("GroupUpSampling", size=2, group=group, name=f"up{level}_nearest")(x)
            x = blocks.conv(x, filters, 3, group, f"up{level}_conv")
        if skip_connections:
            x = keras.layers.Concatenate(name=f"up{level}_concatenate")([skips.pop(), x])
        for index in (1, 2):
            x = blocks.conv_norm_relu(x, filters, 3, group, f"up{level}_{index}")
    if include_top:
        if output == "signal":
            head = {"filters": num_classes, "kernel_size": 1, "activation": classifier_activation}
            x = blocks.layer("GroupConv", **head, group=group, name="head")(x)
        else:
            pool = {"pool_size": 1, "subgroup": group.subgroups[0], "keepdims": False}
            x = blocks.layer(f"Group{kind}Pooling", **pool, group=group, name="orientation_pool")(x)
            x = keras.layers.Dense(num_classes, activation=classifier_activation, name="head")(x)
    return keras.Model(inputs, x, name=name)


register_variants(
    unet,
    unet={"group": "P1", "width": 17},
    p4_unet={"group": "P4", "width": 8},
    p4m_unet={"group": "P4M", "width": 6},
    unet3d={"input_shape": (None, None, None, 1), "group": "C1", "width": 16, "depth": 3},
    o_unet3d={"input_shape": (None, None, None, 1), "group": "O", "width": 3, "depth": 3},
    oh_unet3d={"input_shape": (None, None, None, 1), "group": "Oh", "width": 2, "depth": 3},
    d4h_unet3d={"input_shape": (None, None, None, 1), "group": "D4h", "width": 4, "depth": 3},
)
