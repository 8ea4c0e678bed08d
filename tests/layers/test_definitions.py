"""Drawn layers give the numbers of their definitions: numpy loops in float64, in each dimension, on images and signals.

`GROCO_DEFINITION_CASES` cases are drawn in each family (25 by default), the same at each run.
"""

import math
import os
from fractions import Fraction

import hypothesis
import keras
import numpy as np
import pytest

from groco.layers import (
    GroupDense,
    blur_pooling,
    conv,
    conv_transpose,
    depthwise_conv,
    global_pooling,
    lifting,
    pooling,
    restriction,
    separable_conv,
    upsampling,
    zero_padding,
)
from tests.layers import (
    reference,
    test_blur_pooling,
    test_conv_transpose,
    test_dense,
    test_depthwise_conv,
    test_restriction,
    test_separable_conv,
    test_zero_padding,
)
from tests.layers.strategies import FAMILIES, Case

CASES = int(os.environ.get("GROCO_DEFINITION_CASES", "25"))


def _spatial(layer, inputs):
    return inputs.shape[1 : layer.rank + 1]


def _is_image(layer, inputs) -> bool:
    return inputs.ndim == layer.rank + 2


def _paddings(layer, inputs, windows):
    return reference.window_paddings(layer.padding, _spatial(layer, inputs), windows, layer.strides, layer.subgroup)


def _windows(layer):
    return [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]


def _conv(layer, inputs):
    """Each group of channels by itself."""
    paddings, kernel = _paddings(layer, inputs, _windows(layer)), layer.kernel.numpy()
    group = None if _is_image(layer, inputs) else layer.group
    parts = [
        reference.group_conv(channels, part, group, layer.subgroup, layer.strides, layer.dilation_rate, paddings)
        for channels, part in zip(
            np.split(inputs, layer.groups, axis=-1), np.split(kernel, layer.groups, axis=-1), strict=True
        )
    ]
    return np.concatenate(parts, axis=-1) + _bias(layer)


def _bias(layer):
    return layer.bias.numpy() if layer.use_bias else 0.0


def _depthwise(layer, inputs):
    return test_depthwise_conv.by_definition(layer, inputs, _paddings(layer, inputs, _windows(layer)))


def _separable(layer, inputs):
    return test_separable_conv.by_definition(layer, inputs, _paddings(layer, inputs, _windows(layer)))


def _transposed(layer, inputs):
    """A window of the full result, of Keras' size; with `same_equiv` and a mirror, the mean of both ways to lay it."""
    full = test_conv_transpose.full_by_definition(layer, inputs)
    group = layer.group if _is_image(layer, inputs) else layer.subgroup
    extra = layer.output_padding or (None,) * layer.rank
    for axis, (size, window, stride, more) in enumerate(
        zip(_spatial(layer, inputs), _windows(layer), layer.strides, extra, strict=True)
    ):
        kind, equiv = layer.padding.split("_")[0], layer.padding.endswith("_equiv")
        length = {
            ("valid", True): (size - 1) * stride + window,
            ("same", True): size * stride,
            ("valid", False): (size - 1) * stride + (max(window, stride) if more is None else window + more),
            ("same", False): size * stride if more is None else (size - 1) * stride + window % 2 + more,
        }[kind, equiv]
        crop = full.shape[axis + 1] - length
        if layer.padding == "same_equiv" and any((matrix[axis] == -1).any() for matrix in group.matrices):
            starts = (crop // 2, crop - crop // 2)
        else:
            starts = (max(crop, 0) // 2,)
        full = sum(test_conv_transpose.cut(full, axis + 1, start, length) for start in starts) / len(starts)
    return full + _bias(layer)


def _pooled(layer, inputs):
    reduce = np.nanmax if isinstance(layer, pooling.BaseGroupMaxPooling) else np.nanmean
    paddings = _paddings(layer, inputs, layer.pool_size)
    out = reference.group_pool(inputs, reduce, layer.pool_size, layer.strides, layer.group, layer.subgroup, paddings)
    return out if layer.keepdims else out[..., 0, :]


def _blurred(layer, inputs):
    paddings = _paddings(layer, inputs, layer.pool_size)
    out = test_blur_pooling.by_definition(inputs, layer.pool_size, layer.strides, paddings)
    ones, none = (1,) * layer.rank, [(0, 0)] * layer.rank
    out = reference.group_pool(out, np.nanmean, ones, ones, layer.group, layer.subgroup, none)
    return out if layer.keepdims else out[..., 0, :]


def _globally_pooled(layer, inputs):
    reduce = np.nanmax if "Max" in type(layer).__name__ else np.nanmean
    sizes, none = _spatial(layer, inputs), [(0, 0)] * layer.rank
    out = reference.group_pool(inputs, reduce, sizes, sizes, layer.group, layer.subgroup, none)
    if layer.keepdims:
        return out
    out = out.reshape(len(out), *out.shape[layer.rank + 1 :])
    return out if layer.subgroup.order > 1 else out[:, 0]


def _upsampled(layer, inputs):
    """Each new point: the old one in whose cell it lies, the later one of two; or those around it, by distance."""
    sizes = _spatial(layer, inputs)
    targets = layer.target_size or [n * factor for n, factor in zip(sizes, layer.size, strict=True)]
    for axis, (size, target) in enumerate(zip(sizes, targets, strict=True), start=1):
        weights = np.zeros((target, size))
        for new in range(target):
            centre = Fraction(2 * new + 1, 2) * Fraction(size, target)
            if layer.interpolation == "nearest":
                weights[new, math.floor(centre)] = 1
                continue
            for old in range(-1, size + 1):
                weight = 1 - abs(centre - Fraction(2 * old + 1, 2))
                if weight > 0:
                    weights[new, min(max(old, 0), size - 1)] += float(weight)
        inputs = np.moveaxis(np.tensordot(weights, inputs, axes=(1, axis)), 0, axis)
    return inputs


def _bordered(layer, inputs):
    if isinstance(layer, zero_padding.BaseGroupZeroPadding):
        return test_zero_padding.by_definition("padding", inputs, layer.padding)
    return test_zero_padding.by_definition("cropping", inputs, layer.cropping)


def _dense(layer, inputs):
    return test_dense.by_definition(inputs, layer.kernel.numpy(), layer.group, layer.subgroup) + _bias(layer)


def _restricted(layer, inputs):
    return test_restriction.by_definition(inputs, layer.group, layer.subgroup)


def _lifted(layer, inputs):
    return np.stack([inputs] * layer.group.order, axis=-2)


DEFINITIONS = {  # the first that fits
    conv_transpose.BaseGroupConvTranspose: _transposed,
    conv.BaseGroupConv: _conv,
    separable_conv.BaseSeparableGroupConv: _separable,
    depthwise_conv.BaseDepthwiseGroupConv: _depthwise,
    blur_pooling.BaseGroupBlurPooling: _blurred,
    pooling.BaseGroupPooling: _pooled,
    global_pooling.BaseGlobalGroupPooling: _globally_pooled,
    upsampling.BaseGroupUpSampling: _upsampled,
    zero_padding.BorderLayer: _bordered,
    GroupDense: _dense,
    restriction.BaseGroupRestriction: _restricted,
    lifting.BaseGroupLifting: _lifted,
}


def _check(case) -> bool:
    """Whether the layer takes the case; if it does its numbers are those of the definition, equivariant or not."""
    kwargs = {**case.kwargs, "dtype": "float64", "allow_non_equivariance": True}
    try:
        layer = case.layer(**kwargs)
        layer.build(case.input_shape)
    except ValueError:
        return False
    first = layer.data_format == "channels_first"
    inputs = np.random.default_rng(0).normal(-2.0, size=case.input_shape)
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    define = next(define for base, define in DEFINITIONS.items() if isinstance(layer, base))
    expected = define(layer, np.moveaxis(inputs, 1, -1) if first else inputs)
    expected = np.moveaxis(expected, -1, 1) if first else expected
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-10)
    return True


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "batch normalization"])
def test_drawn_layers_are_the_definition(family):
    taken = []

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=CASES, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(FAMILIES[family])
    def holds(case):
        keras.utils.set_random_seed(0)
        taken.append(_check(case))

    holds()
    assert sum(taken) > CASES / 2


def test_what_is_wrong_is_found():
    class Wrong(conv.GroupConv2D):
        def call(self, inputs):
            return super().call(keras.ops.flip(inputs, axis=-2))

    kwargs = {"filters": 2, "kernel_size": 3, "group": "P4"}
    assert _check(Case(conv.GroupConv2D, kwargs, (1, 4, 4, 4, 2)))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        _check(Case(Wrong, kwargs, (1, 4, 4, 4, 2)))
