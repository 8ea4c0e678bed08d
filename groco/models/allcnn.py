"""All-CNN-C (Springenberg et al. 2015, arXiv 1412.6806) on a group (Cohen & Welling 2016, arXiv 1602.07576)."""

from __future__ import annotations

import keras

from groco.groups import GroupLike, get_group
from groco.models.blocks import EXACT, PAPER, Blocks, check_choice, check_widths, new_input
from groco.models.registry import register_variants


def allcnn_c(
    input_shape=(32, 32, 3),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike = "P4M",
    widths: tuple[int, int] = (32, 64),
    form: str = EXACT,
    name: str = "allcnn_c",
) -> keras.Model:
    """All-CNN-C: nine convolutions, two of them strided, and no dense layer.

    Args:
        input_shape: (height, width, channels); sizes may be None, and are multiples of 4 then.
        num_classes: number of classes.
        include_top: False leaves out the convolution to the classes and the pooling.
        pooling: `"avg"` or `"max"`, over space and group.
        classifier_activation: None gives logits.
        group: any 2-D group; `"P1"` gives the planar net.
        widths: channels of the first three and of the next five convolutions.
        form: `"exact"`, equivariant on every size the strides take; or `"paper"`, whose strided convolutions are not on
            even sizes. Both have the same weights: 1,372,254 parameters on P1 with widths (96, 192), 1,371,006 on P4
            with (48, 96), 1,219,678 on P4M with (32, 64).
        name: the model's name.

    Returns:
        An uncompiled functional model; with the top its output is (batch, num_classes).
    """
    check_choice("form", form, (EXACT, PAPER))
    narrow, wide = check_widths(widths, 2)
    group = get_group(group, 2)
    stddev = 0.05 if group.order == 1 else 0.035  # the authors'
    initializer = {"class_name": "RandomNormal", "config": {"stddev": stddev}}
    blocks = Blocks(2, exact=form == EXACT, initializer=initializer)
    inputs = new_input(name, input_shape)
    x = blocks.halvable(name, inputs, group, 2)
    x = keras.layers.Dropout(0.2, name="dropout0")(x)
    plan = [(narrow, 3, 1), (narrow, 3, 1), (narrow, 3, 2), (wide, 3, 1), (wide, 3, 1), (wide, 3, 2)]
    plan += [(wide, 3, 1), (wide, 1, 1)]
    for index, (filters, size, strides) in enumerate(plan, start=1):
        if strides > 1:
            x = blocks.odd(x, group, f"layer{index}_mean")
        x = blocks.conv_norm_relu(x, filters, size, group, f"layer{index}", strides=strides)
        if strides > 1:
            x = keras.layers.Dropout(0.5, name=f"dropout{index}")(x)
    if include_top:
        x = blocks.norm_relu(blocks.conv(x, num_classes, 1, group, "head"), "head")
        x = blocks.global_pool(x, group, pooling)
        x = keras.layers.Activation(classifier_activation or "linear", name="classes")(x)
    return keras.Model(inputs, x, name=name)


register_variants(
    allcnn_c,
    z2_allcnn={"group": "P1", "widths": (96, 192)},
    p4_allcnn={"group": "P4", "widths": (48, 96)},
    p4m_allcnn={"group": "P4M", "widths": (32, 64)},
)
