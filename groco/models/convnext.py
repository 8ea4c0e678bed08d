"""ConvNeXt (Liu et al. 2022, arXiv 2201.03545) on a group: depthwise and pointwise group convolutions."""

from __future__ import annotations

import keras

from groco.groups import GroupLike
from groco.models.blocks import Blocks, check_widths, classify, new_input
from groco.models.registry import register_variants
from groco.models.sizes import take_multiples


def convnext(
    input_shape=(32, 32, 3),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike = "P4M",
    widths: tuple[int, ...] = (8, 16, 32),
    numbers: tuple[int, ...] = (2, 2, 2),
    patch: int = 2,
    kernel_size: int = 7,
    name: str = "convnext",
) -> keras.Model:
    """ConvNeXt: depthwise convolution, layer norm, and a pointwise net of four times the width, beside a shortcut.

    Exactly equivariant: the stem and the steps between stages read windows that do not overlap. There is no scale per
    channel at the end of a block, which the original needs for its depth.

    Args:
        input_shape: (height, width, channels): multiples of patch * 2 ** (stages - 1), or None.
        num_classes, include_top, pooling, classifier_activation: as in `groco.models.resnet`.
        group: any 2-D group; `"P1"` gives the planar net.
        widths: channels of each stage, each on the whole group.
        numbers: blocks of each stage.
        patch: size and stride of the stem's windows; 4 for larger images.
        kernel_size: of the depthwise convolutions; odd where the group turns or mirrors.
        name: the model's name.
    """
    if len(widths) != len(numbers) or not numbers or any(number < 1 for number in numbers):
        raise ValueError(f"widths and numbers have one positive int for each stage, got {widths} and {numbers}.")
    widths = check_widths(widths, len(numbers))
    blocks = Blocks(2)
    group = blocks.group(group)

    def norm(x, name: str):
        return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(x)

    def pointwise(x, filters: int, name: str, size: int = 1):
        layer = blocks.layer("GroupConv", filters=filters, kernel_size=size, strides=size, group=group, name=name)
        return layer(x)

    if kernel_size % 2 == 0 and any(group.mirrored_axes):
        raise ValueError(f"kernel_size is odd where the group turns or mirrors, got {kernel_size}.")
    inputs = new_input(name, input_shape)
    x = inputs
    if any(group.mirrored_axes):  # else a rest that fills no window is left out, as Keras does
        x = take_multiples(name, inputs, patch * 2 ** (len(widths) - 1))
    x = norm(pointwise(x, widths[0], "stem_conv", patch), "stem_norm")
    for stage, (width, number) in enumerate(zip(widths, numbers, strict=True), start=1):
        if stage > 1:
            x = pointwise(norm(x, f"stage{stage}_norm"), width, f"stage{stage}_down", 2)
        for index in range(1, number + 1):
            block, shortcut = f"stage{stage}_block{index}", x
            x = blocks.layer(
                "DepthwiseGroupConv",
                kernel_size=kernel_size,
                padding="same_equiv",
                group=group,
                name=f"{block}_depthwise",
            )(x)
            x = pointwise(norm(x, f"{block}_norm"), 4 * width, f"{block}_expand")
            x = keras.layers.Activation("gelu", name=f"{block}_gelu")(x)
            x = keras.layers.Add(name=f"{block}_add")([shortcut, pointwise(x, width, f"{block}_project")])
    if include_top:
        x = norm(blocks.global_pool(x, group, pooling), "final_norm")
        x = classify(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


register_variants(
    convnext,
    convnext={"group": "P1", "widths": (24, 48, 96)},
    p4_convnext={"group": "P4", "widths": (12, 24, 48)},
    p4m_convnext={"group": "P4M", "widths": (8, 16, 32)},
)
