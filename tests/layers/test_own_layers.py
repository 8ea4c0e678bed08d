"""Layers of the user's own around ours, which Keras calls with made-up sizes where they are not known."""

import keras
import numpy as np
import pytest

from groco.layers import (
    DepthwiseGroupConv2D,
    GlobalGroupAveragePooling2D,
    GroupAveragePooling2D,
    GroupBatchNormalization,
    GroupBlurPooling2D,
    GroupConv2D,
    GroupConv2DTranspose,
    GroupCropping2D,
    GroupMaxPooling2D,
    GroupUpSampling2D,
    SeparableGroupConv2D,
)
from groco.testing import assert_equivariant


class Block(keras.layers.Layer):
    """Layers one after the other, without `compute_output_shape`."""

    def __init__(self, *layers, **kwargs):
        super().__init__(**kwargs)
        self.inside = list(layers)

    def call(self, x):
        for layer in self.inside:
            x = layer(x)
        return x


def _p4(cls, *args, **kwargs):
    return lambda: cls(*args, group="P4", data_format="channels_last", **kwargs)


LAYERS = {
    "strided": _p4(GroupConv2D, 4, 2, strides=2),
    "strided, same_equiv": _p4(GroupConv2D, 4, 4, strides=2, padding="same_equiv"),
    "valid": _p4(GroupConv2D, 4, 3),
    "depthwise": _p4(DepthwiseGroupConv2D, 3, padding="same"),
    "separable": _p4(SeparableGroupConv2D, 4, 3, padding="same"),
    "transposed": _p4(GroupConv2DTranspose, 4, 4, strides=2, padding="same"),
    "max": _p4(GroupMaxPooling2D, 2),
    "max, image": _p4(GroupMaxPooling2D, 2, subgroup="P1", keepdims=False),
    "mean": _p4(GroupAveragePooling2D, 2, padding="same_equiv"),
    "blur": _p4(GroupBlurPooling2D, 2),
    "cropping": _p4(GroupCropping2D, 2),
    "nearest": _p4(GroupUpSampling2D, 2),
    "linear": _p4(GroupUpSampling2D, 2, interpolation="bilinear"),
    "normalisation": lambda: GroupBatchNormalization(data_format="channels_last"),
    "global": _p4(GlobalGroupAveragePooling2D),
}


@pytest.mark.parametrize("name", LAYERS)
def test_unknown_sizes(name, rng):
    """They are told when data comes: the shapes, and whether it is equivariant."""
    lifting = GroupConv2D(4, 3, padding="same", group="P4", data_format="channels_last")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, Block(lifting, LAYERS[name]())(image))
    inputs = rng.normal(size=(2, 12, 12, 3)).astype("float32")
    outputs = model(inputs)
    assert len(model.output_shape) == len(outputs.shape)
    for symbolic, size in zip(model.output_shape, outputs.shape, strict=True):
        assert symbolic in (None, size)
    assert_equivariant(model, inputs, "P4", ndim=2, tolerance=1e-4)


def test_sizes_that_do_not_fit_are_refused_when_they_come():
    block = Block(_p4(GroupConv2D, 4, 3, padding="same")(), LAYERS["max"]())
    image = keras.Input((None, None, 3))
    model = keras.Model(image, block(image))
    model(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match="breaks equivariance to 'P4' with height 9"):
        model(np.zeros((1, 9, 9, 3), "float32"))
