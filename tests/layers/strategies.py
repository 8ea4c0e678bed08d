"""What the property tests draw: layers with arguments and input shapes, whether or not they go together.

A family is a strategy that draws a `Case`. A new one is a few lines: a composite that draws its arguments with the
helpers here, and a row of `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
from hypothesis import strategies as st

from groco.fourier.choice import has_fourier
from groco.groups import Group, get_group, list_groups
from groco.layers import (
    GroupBatchNormalization,
    blur_pooling,
    conv,
    conv_transpose,
    dense,
    depthwise_conv,
    global_pooling,
    lifting,
    pooling,
    restriction,
    separable_conv,
    upsampling,
    zero_padding,
)
from groco.layers.padding import PADDINGS

LARGEST = {1: 9, 2: 9, 3: 4}  # size of an axis, unless the window is larger
LARGEST_WINDOW = {1: 5, 2: 4, 3: 3}
PRECISIONS = ["float32", "float32", "float32", "float64", "float64", "mixed_bfloat16", "mixed_float16"]
if keras.backend.backend() == "jax":
    import jax

    if not jax.config.jax_enable_x64:
        PRECISIONS = [dtype for dtype in PRECISIONS if dtype != "float64"]


@dataclass(frozen=True)
class Case:
    """A layer that is to be equivariant or refused.

    Attributes:
        layer: its class.
        kwargs: its arguments.
        input_shape: with the batch axis.
        generic: whether the layer surely breaks if it is refused as not equivariant, unless it sees nothing but
            padding. A pool that is larger than the axis may take the mean of all of it and hold by accident.
        measure: arguments of `equivariance_error` that the layer does not tell by itself.
        call: arguments of its call.
    """

    layer: type
    kwargs: Mapping[str, Any]
    input_shape: tuple[int, ...]
    generic: bool = True
    measure: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)


def dimensions():
    return st.sampled_from((1, 2, 2, 3))


@st.composite
def pairs_of_groups(draw, ndim: int) -> tuple[Group, Group | None]:
    """A group and one of its subgroups, any, or None for the layer's default."""
    group = get_group(draw(st.sampled_from(list_groups(ndim))), ndim)
    subgroup = draw(st.sampled_from(group.subgroups)) if draw(st.booleans()) else None
    return group, subgroup


def per_axis(ndim: int, low: int, high: int):
    """An int, or one int per axis, which are mostly equal: most groups exchange axes."""
    one = st.integers(low, high)
    return one | one.map(lambda n: (n,) * ndim) | st.tuples(*[one] * ndim)


def on_each_axis(value, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else value


@st.composite
def spatial_sizes(draw, windows: tuple[int, ...]) -> tuple[int, ...]:
    """A size for each axis, even or odd, rarely below the window."""
    sizes = []
    for window in windows:
        low = draw(st.sampled_from((window,) * 7 + (1,)))
        sizes.append(draw(st.integers(low, max(LARGEST[len(windows)], low))))
    return tuple(sizes)


def join(data_format: str | None, spatial, group: Group | None, channels: int, batch: int = 1) -> tuple[int, ...]:
    """The shape of an image, or of a signal on a group."""
    axes = (*spatial, *(() if group is None else (group.order,)))
    return (batch, channels, *axes) if data_format == "channels_first" else (batch, *axes, channels)


def common(group: Group, subgroup: Group | None):
    """The arguments that all layers have."""
    return st.fixed_dictionaries(
        {
            "group": st.just(group.name),
            "dtype": st.sampled_from(PRECISIONS),
            "data_format": st.sampled_from((None, "channels_last", "channels_first")),
        }
        | ({} if subgroup is None else {"subgroup": st.just(subgroup.name)})
    )


def implementations(on: Group | None, subgroup: Group, size: tuple[int, ...], groups: int = 1):
    """Small layers are dense by default, so that the Fourier implementation must be asked for."""
    if not has_fourier(on, subgroup, size, groups):
        return st.just({})
    return st.sampled_from(({}, {"implementation": "fourier"}))


def layer_of(module, name: str, ndim: int) -> type:
    return getattr(module, name.format(ndim))


@st.composite
def kernels(draw, ndim: int) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The size, strides and dilation of a kernel, and how far it reaches on each axis."""
    kwargs = {"kernel_size": draw(per_axis(ndim, 1, LARGEST_WINDOW[ndim]))}
    if draw(st.booleans()):
        kwargs["strides"] = draw(per_axis(ndim, 1, 4))
    else:
        kwargs["dilation_rate"] = draw(per_axis(ndim, 1, 3 if ndim < 3 else 2))
    kwargs["padding"] = draw(st.sampled_from(PADDINGS))
    sizes, dilation = (on_each_axis(kwargs.get(key, 1), ndim) for key in ("kernel_size", "dilation_rate"))
    return kwargs, tuple((k - 1) * d + 1 for k, d in zip(sizes, dilation, strict=True))


@st.composite
def convolutions(draw):
    ndim = draw(dimensions())
    group, subgroup = draw(pairs_of_groups(ndim))
    kernel, windows = draw(kernels(ndim))
    groups = draw(st.sampled_from((1, 1, 1, 1, 1, 1, 1, 2, 3)))  # above 1 it is compiled for each shape on TensorFlow
    kwargs = {
        "filters": groups * draw(st.integers(1, 2)),
        "groups": groups,
        "use_bias": draw(st.booleans()),
        "bias_initializer": "normal",
        **kernel,
        **draw(common(group, subgroup)),
    }
    sizes = draw(spatial_sizes(windows))
    on = draw(st.sampled_from((None, group)))
    kwargs |= draw(implementations(on, subgroup or group, on_each_axis(kernel["kernel_size"], ndim), groups))
    shape = join(kwargs["data_format"], sizes, on, groups * draw(st.integers(1, 3 if ndim < 3 else 2)))
    return Case(layer_of(conv, "GroupConv{}D", ndim), kwargs, shape)


@st.composite
def transposed_convolutions(draw):
    """They read signals on the subgroup and write them on the group, and lift images to the group."""
    ndim = draw(dimensions())
    group, subgroup = draw(pairs_of_groups(ndim))
    kernel, _ = draw(kernels(ndim))
    kwargs = {
        "filters": draw(st.integers(1, 2)),
        "use_bias": draw(st.booleans()),
        "bias_initializer": "normal",
        **kernel,
        **draw(common(group, subgroup)),
    }
    if not kwargs["padding"].endswith("_equiv") and draw(st.booleans()):
        kwargs["output_padding"] = draw(per_axis(ndim, 0, max(on_each_axis(kwargs.get("strides", 1), ndim)) - 1))
    sizes = draw(st.tuples(*[st.integers(1, 5 if ndim < 3 else 3)] * ndim))
    on = draw(st.sampled_from((None, subgroup or group)))
    acting = group if on is None else on
    measure = {"group": acting, "input_group": acting, "output_group": group}
    shape = join(kwargs["data_format"], sizes, on, draw(st.integers(1, 2)))
    layer = layer_of(conv_transpose, "GroupConv{}DTranspose", ndim)
    return Case(layer, kwargs, shape, measure=measure)


@st.composite
def depthwise_convolutions(draw):
    """Depthwise, and separable in each of the three ways."""
    ndim = draw(dimensions())
    group, subgroup = draw(pairs_of_groups(ndim))
    kernel, windows = draw(kernels(ndim))
    kwargs = {
        "use_bias": draw(st.booleans()),
        "bias_initializer": "normal",
        **kernel,
        **draw(common(group, subgroup)),
    }
    factorization = draw(st.sampled_from((None, None, "depthwise", "gc", "g")))
    if factorization is None:
        layer = layer_of(depthwise_conv, "DepthwiseGroupConv{}D", ndim)
    else:
        layer = layer_of(separable_conv, "SeparableGroupConv{}D", ndim)
        kwargs |= {"filters": draw(st.integers(1, 3)), "factorization": factorization}
    if factorization in (None, "depthwise"):
        kwargs["depth_multiplier"] = draw(st.integers(1, 2))
    on = draw(st.sampled_from((None, group)))
    sizes = draw(spatial_sizes(windows))
    return Case(layer, kwargs, join(kwargs["data_format"], sizes, on, draw(st.integers(1, 3 if ndim < 3 else 2))))


@st.composite
def poolings(draw, module, *names: str):
    ndim = draw(dimensions())
    group, subgroup = draw(pairs_of_groups(ndim))
    kwargs = draw(common(group, subgroup))
    windows = on_each_axis(draw(per_axis(ndim, 1, LARGEST_WINDOW[ndim])), ndim)
    kwargs["pool_size"] = windows
    if draw(st.booleans()):
        # Mostly at most the pool: larger strides make windows of nothing but padding.
        kwargs["strides"] = draw(per_axis(ndim, 1, min(windows) + draw(st.sampled_from((0, 0, 0, 1)))))
    kwargs["padding"] = draw(st.sampled_from(PADDINGS))
    measure = {}
    if subgroup is not None and subgroup.order == 1 and draw(st.booleans()):
        kwargs["keepdims"] = False
        measure = {"output": "image", "group": group}
    sizes = draw(spatial_sizes(windows))
    shape = join(kwargs["data_format"], sizes, group, draw(st.integers(1, 3)))
    generic = all(size >= window for size, window in zip(sizes, windows, strict=True))
    return Case(layer_of(module, draw(st.sampled_from(names)), ndim), kwargs, shape, generic, measure)


@st.composite
def global_poolings(draw):
    ndim = draw(dimensions())
    group, subgroup = draw(pairs_of_groups(ndim))
    kwargs = {"keepdims": draw(st.booleans()), **draw(common(group, subgroup))}
    shape = join(kwargs["data_format"], draw(spatial_sizes((1,) * ndim)), group, draw(st.integers(1, 3)))
    # Onto the trivial subgroup, nothing is left for the whole group to act on.
    whole = subgroup is None or subgroup.order == 1
    measure = {"group": group, "output": "invariant"} if whole else {}
    name = draw(st.sampled_from(("GlobalGroupMaxPooling{}D", "GlobalGroupAveragePooling{}D")))
    return Case(layer_of(global_pooling, name, ndim), kwargs, shape, measure=measure)


@st.composite
def upsamplings(draw):
    ndim = draw(dimensions())
    group, _ = draw(pairs_of_groups(ndim))
    kwargs = {
        "interpolation": draw(st.sampled_from(("nearest", "nearest", "bilinear"))),
        **draw(common(group, None)),
    }
    if draw(st.booleans()):
        kwargs["size"] = draw(per_axis(ndim, 1, 3))
    else:
        kwargs["target_size"] = draw(per_axis(ndim, 1, 12 if ndim < 3 else 6))
    on = draw(st.sampled_from((None, group)))
    shape = join(kwargs["data_format"], draw(spatial_sizes((1,) * ndim)), on, draw(st.integers(1, 3)))
    return Case(layer_of(upsampling, "GroupUpSampling{}D", ndim), kwargs, shape)


@st.composite
def borders(draw):
    ndim = draw(dimensions())
    group, _ = draw(pairs_of_groups(ndim))
    name, argument = draw(st.sampled_from((("GroupZeroPadding{}D", "padding"), ("GroupCropping{}D", "cropping"))))
    amount = st.integers(0, 2)
    pair = amount.map(lambda n: (n, n)) | st.tuples(amount, amount)
    pairs = pair.map(lambda one: (one,) * ndim) | st.tuples(*[pair] * ndim)
    kwargs = {argument: draw(per_axis(ndim, 0, 2) | pairs), **draw(common(group, None))}
    on = draw(st.sampled_from((None, group)))
    sizes = draw(spatial_sizes((3,) * ndim))
    shape = join(kwargs["data_format"], sizes, on, draw(st.integers(1, 3)))
    return Case(layer_of(zero_padding, name, ndim), kwargs, shape)


@st.composite
def pointwise(draw):
    """Layers that leave the grid alone."""
    ndim = draw(dimensions())
    group, subgroup = draw(pairs_of_groups(ndim))
    kind = draw(st.sampled_from(("dense", "lifting", "restriction")))
    if kind == "dense":
        layer, on = dense.GroupDense, group
        extra = {"units": draw(st.integers(1, 3)), "bias_initializer": "normal", "ndim": ndim}
        extra |= draw(implementations(group, subgroup or group, (1,) * ndim))
    elif kind == "lifting":
        layer, on, extra, subgroup = layer_of(lifting, "GroupLifting{}D", ndim), None, {}, None
    else:
        layer, on, extra = layer_of(restriction, "GroupRestriction{}D", ndim), group, {}
        subgroup = subgroup or draw(st.sampled_from(group.subgroups))
    kwargs = {**extra, **draw(common(group, subgroup))}
    shape = join(kwargs["data_format"], draw(spatial_sizes((1,) * ndim)), on, draw(st.integers(1, 3)))
    return Case(layer, kwargs, shape)


@st.composite
def batch_normalizations(draw):
    """In training, with the statistics of the batch, and in inference, with those that it remembers."""
    ndim = draw(dimensions())
    group, _ = draw(pairs_of_groups(ndim))
    kwargs = {
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
        "beta_initializer": "random_normal",
        "gamma_initializer": keras.initializers.RandomUniform(0.5, 2.0, seed=1),
        "moving_mean_initializer": "random_normal",
        "moving_variance_initializer": keras.initializers.RandomUniform(0.5, 2.0, seed=2),
        **draw(common(group, None)),
    }
    del kwargs["group"]  # it takes signals on any
    on = draw(st.sampled_from((None, group, group)))
    sizes = draw(spatial_sizes((1,) * ndim))
    shape = join(kwargs["data_format"], sizes, on, draw(st.integers(1, 3)), batch=draw(st.integers(1, 3)))
    kind = "image" if on is None else "signal"
    measure = {"group": group, "data_format": kwargs["data_format"], "input": kind, "output": kind}
    return Case(GroupBatchNormalization, kwargs, shape, measure=measure, call={"training": draw(st.booleans())})


FAMILIES = {
    "convolution": convolutions(),
    "transposed convolution": transposed_convolutions(),
    "depthwise and separable convolution": depthwise_convolutions(),
    "pooling": poolings(pooling, "GroupMaxPooling{}D", "GroupAveragePooling{}D"),
    "blur pooling": poolings(blur_pooling, "GroupBlurPooling{}D"),
    "global pooling": global_poolings(),
    "upsampling": upsamplings(),
    "padding and cropping": borders(),
    "pointwise": pointwise(),
    "batch normalization": batch_normalizations(),
}
