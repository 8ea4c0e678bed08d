"""Every family compiled by XLA and not: the same loss, the same step of training."""

import keras
import numpy as np
import pytest

from groco import layers
from groco.groups import get_group

CONV = {"filters": 2, "kernel_size": 3, "group": "P4", "bias_initializer": "normal"}
CASES = [
    (layers.GroupConv2D, {**CONV, "strides": 2, "padding": "same_equiv"}),
    (layers.GroupConv2D, {**CONV, "groups": 2}),
    (layers.GroupConv1D, {**CONV, "strides": 2, "group": "PM"}),
    (layers.GroupConv3D, {**CONV, "strides": 2, "group": "D4", "subgroup": "C2_hw"}),
    (layers.GroupConv2DTranspose, {**CONV, "strides": 2}),
    (layers.DepthwiseGroupConv2D, {"kernel_size": 3, "group": "P4"}),
    (layers.SeparableGroupConv2D, CONV),
    (layers.SeparableGroupConv2D, {**CONV, "factorization": "gc"}),
    (layers.SeparableGroupConv2D, {**CONV, "factorization": "g"}),
    (layers.GroupMaxPooling2D, {"pool_size": 3, "strides": 2, "group": "P4", "subgroup": "P2"}),
    (layers.GroupMaxPooling3D, {"pool_size": 3, "strides": 2, "group": "D4"}),
    (layers.GroupAveragePooling2D, {"pool_size": 3, "padding": "same_equiv", "group": "P4"}),
    (layers.GroupBlurPooling2D, {"pool_size": 3, "strides": 2, "group": "P4"}),
    (layers.GlobalGroupMaxPooling2D, {"group": "P4", "subgroup": "P4"}),
    (layers.GlobalGroupAveragePooling2D, {"group": "P4"}),
    (layers.GroupUpSampling2D, {"size": 2, "interpolation": "bilinear", "group": "P4"}),
    (layers.GroupDense, {"units": 3, "group": "P4", "ndim": 2}),
    (layers.GroupRestriction2D, {"group": "P4", "subgroup": "P2"}),
    (layers.GroupLifting2D, {"group": "P4"}),
    (layers.GroupZeroPadding2D, {"padding": 1, "group": "P4"}),
    (layers.GroupCropping2D, {"cropping": 1, "group": "P4"}),
    (layers.GroupBatchNormalization, {}),
]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Dynamo traces the caches of the tables, with warnings")
@pytest.mark.parametrize(("layer", "kwargs"), CASES)
def test_compiled_or_not(layer, kwargs, rng):
    rank = getattr(layer, "rank", 2)
    order = () if layer is layers.GroupLifting2D else (get_group(kwargs.get("group", "P4"), rank).order,)
    signal = rng.normal(size=(2, *(7, 7, 3)[:rank], *order, 2)).astype("float32")
    weights = {}
    for jit_compile in (True, False):
        keras.utils.set_random_seed(0)
        image = keras.Input(signal.shape[1:])
        features = layer(**kwargs)(keras.layers.Dense(2)(image))
        model = keras.Model(image, keras.layers.Flatten()(features))
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        targets = np.ones((2, model.output_shape[-1]), "float32")
        weights[jit_compile] = [model.train_on_batch(signal, targets), *model.get_weights()]
    for compiled, plain in zip(weights[True], weights[False], strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-5)
