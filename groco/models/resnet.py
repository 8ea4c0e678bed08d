"""Residual nets on groups: those of Cohen & Welling 2016, wide ones, those for large images, and those for volumes."""

from __future__ import annotations

import math

import keras

from groco.groups import Group, GroupLike
from groco.models.blocks import EXACT, LAST, PAPER, Blocks, check_choice, check_widths, classify, new_input
from groco.models.registry import register_variants
from groco.models.sizes import check_parities, take_multiples


def resnet(
    input_shape=(32, 32, 3),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike = "P4M",
    widths: tuple[int, ...] = (11, 23, 45),
    depth: int = 44,
    form: str = EXACT,
    features: int | None = None,
    name: str = "resnet",
) -> keras.Model:
    """Pre-activation residual net of depth 6n + 2, as in Cohen & Welling 2016 (arXiv 1602.07576, section 8.2).

    A 3x3 convolution; three stages of n blocks (norm, ReLU, 3x3 convolution, twice, beside a shortcut), the second and
    third of which begin with stride 2; norm, ReLU, pooling and a dense layer.

    Args:
        input_shape: (height, width, channels); sizes may be None, and are multiples of 4 then.
        num_classes: number of classes.
        include_top: False leaves out pooling and classifier: features on the group.
        pooling: `"avg"` or `"max"`, over space and group.
        classifier_activation: None gives logits.
        group: any 2-D group; `"P1"` gives the planar net.
        widths: channels of the three stages, each on the whole group.
        depth: 6n + 2.
        form: `"exact"`, equivariant, with logits that do not change when the image is turned; or `"paper"`, whose
            strided convolutions are not equivariant on even sizes, and whose classifier sees the orientations, as in
            the authors' code: p4m_resnet44 has 2,622,878 parameters in this form, 2,619,728 in the exact one.
        features: channels of a pointwise convolution in front of the pooling, or None for none, as in the paper. The
            classifier of the exact form sees as many invariants as there are channels: few, where the net is narrow.
        name: the model's name.

    Returns:
        An uncompiled functional model; with the top its output is (batch, num_classes).
    """
    check_choice("form", form, (EXACT, PAPER))
    widths = check_widths(widths, 3)
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth is 6n + 2 (8, 14, 20, 26, 32, 44, ...), got {depth}.")
    blocks = Blocks(2, exact=form == EXACT)
    group = blocks.group(group)
    inputs = new_input(name, input_shape)
    x = blocks.halvable(name, inputs, group, 2)
    x = _stages(blocks, x, widths[0], widths, (depth - 2) // 6, (group,) * 3)
    x = _pointwise(blocks, x, features, group)
    if include_top:
        oriented = form == PAPER and group.order > 1
        x = _space_pool(blocks, x, group, pooling) if oriented else blocks.global_pool(x, group, pooling)
        x = classify(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


def wide_resnet(
    input_shape=(32, 32, 3),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike | tuple[GroupLike, ...] = "P1",
    widths: tuple[int, ...] | None = None,
    depth: int = 28,
    widen: int = 10,
    dropout: float = 0.0,
    name: str = "wide_resnet",
) -> keras.Model:
    """Wide residual net (Zagoruyko & Komodakis 2016, arXiv 1605.07146), with a group for each stage.

    With `group=("P4M", "P2MM", "P1")` the orientations are restricted after the first and the second stage, as in
    Weiler & Cesa 2019 (arXiv 1911.08251): what is symmetric at a small scale need not be at a large one. The net is
    equivariant to the last group.

    Args:
        input_shape, num_classes, include_top, pooling, classifier_activation: as in `resnet`.
        group: one group, or the group of each of the three stages, each a subgroup of the one before.
        widths: channels of the three stages; by default `widen` times 16, 32 and 64, divided by the square root of the
            order of the stage's group. The step onto a smaller group then costs what it had saved: p4m_wide_resnet16_4
            has 13 % more parameters than its planar net, p4m_wide_resnet28_10 6 %; `groco.planar_twin` has as many.
        depth: 6n + 4.
        widen: the widening factor.
        dropout: rate between the convolutions of a block; 0.3 in Weiler & Cesa 2019.
        name: the model's name.
    """
    blocks = Blocks(2)
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth is 6n + 4 (10, 16, 28, ...), got {depth}.")
    stages = tuple(group) if isinstance(group, (tuple, list)) else (group,) * 3
    if len(stages) != 3:
        raise ValueError(f"group is one group or three, one for each stage, got {group!r}.")
    groups = tuple(blocks.group(stage) for stage in stages)
    if widths is None:
        widths = tuple(
            max(1, round(base * widen / math.sqrt(stage.order)))
            for base, stage in zip((16, 32, 64), groups, strict=True)
        )
    widths = check_widths(widths, 3)
    inputs = new_input(name, input_shape)
    x = inputs
    for halvings, halved in enumerate(groups[:2], start=1):
        check_parities(name, inputs.shape[1:-1], halved, halvings)
    if any(any(halved.mirrored_axes) for halved in groups[:2]):
        x = take_multiples(name, inputs, 4, always=False)
    stem = max(1, round(16 / math.sqrt(groups[0].order)))
    x = _stages(blocks, x, stem, widths, (depth - 4) // 6, groups, dropout)
    if include_top:
        x = classify(blocks.global_pool(x, groups[-1], pooling), num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


def resnet3d(
    input_shape=(32, 32, 32, 1),
    num_classes: int = 10,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike = "O",
    widths: tuple[int, ...] = (3, 6, 12),
    blocks_per_stage: int = 1,
    features: int | None = None,
    dropout: float = 0.0,
    name: str = "resnet3d",
) -> keras.Model:
    """Residual net for volumes, after Winkels & Cohen 2018 (arXiv 1804.04656), whose nets were not residual.

    Args:
        input_shape: (depth, height, width, channels); sizes are even, and may be None, and are multiples of 8 then: the
            stem halves the volume once, the second and third stage do again.
        num_classes, include_top, pooling, classifier_activation: as in `resnet`.
        group: any 3-D group; `"C1"` gives the plain net.
        widths: channels of the stages, each on the whole group.
        blocks_per_stage: residual blocks in each stage.
        features: channels of a pointwise convolution in front of the pooling, or None for none. The classifier sees as
            many invariants as there are channels: few, where the group is large and the stages therefore narrow.
        dropout: rate between the convolutions of a block.
        name: the model's name.
    """
    blocks = Blocks(3)
    group = blocks.group(group)
    widths = check_widths(widths, max(1, len(widths)))
    inputs = new_input(name, input_shape, 3)
    x = inputs
    if any(group.mirrored_axes):
        x = take_multiples(name, inputs, 2 ** len(widths) if None in inputs.shape[1:-1] else 2)
        check_parities(name, inputs.shape[1:-1], group, len(widths))
    x = _stages(blocks, x, widths[0], widths, blocks_per_stage, (group,) * len(widths), dropout, stem_pool=2)
    x = _pointwise(blocks, x, features, group)
    if include_top:
        x = classify(blocks.global_pool(x, group, pooling), num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


def large_resnet(
    input_shape=(224, 224, 3),
    num_classes: int = 1000,
    include_top: bool = True,
    pooling: str = "avg",
    classifier_activation=None,
    group: GroupLike = "P4M",
    widths: tuple[int, ...] = (23, 45, 90, 181),
    depth: int = 18,
    name: str = "large_resnet",
) -> keras.Model:
    """ResNet-18, -34 or -50 for larger images (He et al. 2015, arXiv 1512.03385), exactly equivariant.

    As published, but for two things that even sizes ask for: a mean over neighbouring points before each strided
    convolution (see `Blocks`), and after the stem a maximum over 2x2 points where the original has 3x3, which only odd
    sizes have here.

    Args:
        input_shape: (height, width, channels); sizes may be None, and are multiples of 32 then.
        num_classes, include_top, pooling, classifier_activation, group: as in `resnet`.
        widths: channels of the four stages, each on the whole group; a bottleneck's output has four times as many.
        depth: 18, 34 or 50.
        name: the model's name.
    """
    numbers = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
    if depth not in numbers:
        raise ValueError(f"depth is 18, 34 or 50, got {depth}.")
    widths = check_widths(widths, 4)
    blocks = Blocks(2, use_bias=False)
    group = blocks.group(group)
    inputs = new_input(name, input_shape)
    x = blocks.odd(blocks.halvable(name, inputs, group, 5), group, "stem_mean")
    x = blocks.conv_norm_relu(x, widths[0], 7, group, "stem", strides=2)
    window = tuple(3 if size is not None and size % 2 else 2 for size in x.shape[1:3])
    pool = {"pool_size": window, "strides": 2, "padding": "same_equiv", "group": group}
    x = blocks.layer("GroupMaxPooling", **pool, name="stem_pool")(x)
    for stage, (width, number) in enumerate(zip(widths, numbers[depth], strict=True), start=1):
        for index in range(1, number + 1):
            strides = 2 if stage > 1 and index == 1 else 1
            x = _postactivation_block(blocks, x, width, group, strides, depth >= 50, f"stage{stage}_block{index}")
    if include_top:
        x = classify(blocks.global_pool(x, group, pooling), num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


def _stages(blocks: Blocks, x, stem: int, widths, number: int, groups, dropout: float = 0.0, stem_pool: int = 1):
    x = blocks.conv(x, stem, 3, groups[0], "stem_conv")
    if stem_pool > 1:
        x = blocks.layer("GroupMaxPooling", pool_size=stem_pool, group=groups[0], name="stem_pool")(x)
    group = groups[0]
    for stage, (width, subgroup) in enumerate(zip(widths, groups, strict=True), start=1):
        for index in range(1, number + 1):
            strides = 2 if stage > 1 and index == 1 else 1
            name = f"stage{stage}_block{index}"
            x = _preactivation_block(blocks, x, width, group, subgroup, strides, dropout, name)
            group = subgroup
    return blocks.norm_relu(x, "final")


def _preactivation_block(
    blocks: Blocks, x, width: int, group: Group, subgroup: Group, strides: int, dropout: float, name: str
):
    if strides > 1:
        x = blocks.odd(x, group, f"{name}_mean")
    shortcut = x
    if strides > 1 or x.shape[-1] != width or group != subgroup:
        shortcut = blocks.conv(x, width, 1, group, f"{name}_shortcut", subgroup=subgroup, strides=strides)
    x = blocks.norm_relu(x, f"{name}_1")
    x = blocks.conv(x, width, 3, group, f"{name}_1_conv", subgroup=subgroup, strides=strides)
    x = blocks.norm_relu(x, f"{name}_2")
    if dropout:
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    x = blocks.conv(x, width, 3, subgroup, f"{name}_2_conv")
    return keras.layers.Add(name=f"{name}_add")([shortcut, x])


def _postactivation_block(blocks: Blocks, x, width: int, group: Group, strides: int, bottleneck: bool, name: str):
    filters = 4 * width if bottleneck else width
    if strides > 1:
        x = blocks.odd(x, group, f"{name}_mean")
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = blocks.conv(x, filters, 1, group, f"{name}_shortcut", strides=strides)
        shortcut = blocks.norm(shortcut, f"{name}_shortcut_norm")
    if bottleneck:
        x = blocks.conv_norm_relu(x, width, 1, group, f"{name}_1")
        x = blocks.conv_norm_relu(x, width, 3, group, f"{name}_2", strides=strides)
    else:
        x = blocks.conv_norm_relu(x, width, 3, group, f"{name}_1", strides=strides)
    last = "3" if bottleneck else "2"
    x = blocks.conv(x, filters, 1 if bottleneck else 3, group, f"{name}_{last}_conv")
    x = blocks.norm(x, f"{name}_{last}_norm")
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def _pointwise(blocks: Blocks, x, features: int | None, group: Group):
    """The `features` of a net, if asked for: what its pooling is over."""
    if features is None:
        return x
    if not isinstance(features, int) or features < 1:
        raise ValueError(f"features is a positive int or None, got {features!r}.")
    return blocks.conv_norm_relu(x, features, 1, group, "features")


def _space_pool(blocks: Blocks, x, group: Group, pooling: str):
    """(batch, |group| channels): pooled over space, not over the group."""
    kind = {"avg": "Average", "max": "Max"}[check_choice("pooling", pooling, ("avg", "max"))]
    x = blocks.layer(f"GlobalGroup{kind}Pooling", group=group, subgroup=group, name="global_pool")(x)
    return keras.layers.Flatten(name="orientations_to_channels", **LAST)(x)


_PLANAR, _P4M = (32, 64, 128), (11, 23, 45)
register_variants(
    resnet,
    **{f"resnet{depth}": {"group": "P1", "widths": _PLANAR, "depth": depth} for depth in (20, 32, 44, 56, 110)},
    resnet26={"group": "P1", "widths": (71, 142, 284), "depth": 26},
    **{f"p4m_resnet{depth}": {"group": "P4M", "widths": _P4M, "depth": depth} for depth in (20, 32, 44, 56, 110)},
    p4m_resnet26={"group": "P4M", "widths": (25, 50, 100), "depth": 26},
)
_RESTRICTED = ("P4M", "P2MM", "P1")
register_variants(
    wide_resnet,
    **{f"wide_resnet{d}_{k}": {"depth": d, "widen": k} for d, k in ((16, 4), (16, 8), (28, 7), (28, 10))},
    **{
        f"p4m_wide_resnet{d}_{k}": {"group": _RESTRICTED, "depth": d, "widen": k}
        for d, k in ((16, 4), (16, 8), (28, 7), (28, 10))
    },
)
register_variants(
    large_resnet,
    **{f"resnet{depth}": {"group": "P1", "widths": (64, 128, 256, 512), "depth": depth} for depth in (18, 34, 50)},
    **{f"p4m_resnet{depth}": {"group": "P4M", "depth": depth} for depth in (18, 34, 50)},
)
register_variants(
    resnet3d,
    resnet3d={"group": "C1", "widths": (16, 32, 64)},
    o_resnet3d={"group": "O", "widths": (3, 6, 13)},
    d4_resnet3d={"group": "D4", "widths": (6, 11, 23)},
    oh_resnet3d={"group": "Oh", "widths": (2, 5, 9)},
    d4h_resnet3d={"group": "D4h", "widths": (4, 8, 16)},
)
