"""DenseNet on a group for pathology (Veeling et al. 2018, arXiv 1806.03962)."""

from __future__ import annotations

import keras

from groco.groups import GroupLike
from groco.models.blocks import Blocks, classify, new_input
from groco.models.registry import register_variants
from groco.models.sizes import take_multiples


def densenet(
    input_shape=(96, 96, 3),
    num_classes: int = 2,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike = "P4M",
    growth: int = 9,
    stages: int = 5,
    layers_per_stage: int = 1,
    name: str = "densenet",
) -> keras.Model:
    """DenseNet after the one for PatchCamelyon: stages of densely connected 3x3 convolutions, halved in between.

    The authors published neither their training script nor the last details of the net, so that it is built after the
    description, and no number of parameters is claimed to be theirs.

    Args:
        input_shape: (height, width, channels): multiples of 2 ** stages, or None.
        num_classes, include_top, pooling, classifier_activation: as in `groco.models.resnet`.
        group: any 2-D group; `"P1"` gives the planar net.
        growth: channels that each convolution adds, each on the whole group.
        stages: each ends with a 1x1 convolution and a mean over 2x2 points.
        layers_per_stage: 3x3 convolutions in each stage.
        name: the model's name.
    """
    blocks = Blocks(2, use_bias=False)
    group = blocks.group(group)
    inputs = new_input(name, input_shape)
    x = inputs
    if any(group.mirrored_axes):  # else a rest that fills no window is left out, as Keras does
        x = take_multiples(name, inputs, 2**stages)
    x = blocks.conv(x, growth, 3, group, "stem_conv")
    for stage in range(1, stages + 1):
        for index in range(1, layers_per_stage + 1):
            layer = f"stage{stage}_layer{index}"
            new = blocks.conv(blocks.norm_relu(x, layer), growth, 3, group, f"{layer}_conv")
            x = keras.layers.Concatenate(name=f"{layer}_concatenate")([x, new])
        x = blocks.conv(blocks.norm_relu(x, f"stage{stage}_down"), x.shape[-1], 1, group, f"stage{stage}_down_conv")
        x = blocks.layer("GroupAveragePooling", pool_size=2, group=group, name=f"stage{stage}_down_pool")(x)
    x = blocks.norm_relu(x, "final")
    if include_top:
        x = classify(blocks.global_pool(x, group, pooling), num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


register_variants(
    densenet,
    densenet={"group": "P1", "growth": 24},
    p4_densenet={"group": "P4", "growth": 13},
    p4m_densenet={"group": "P4M", "growth": 9},
)
