"""Sizes that a graph only learns when it runs: it takes those that the layer takes, and refuses the others.

XLA drops assertions, and compiles whatever TensorFlow trains on a GPU.
"""

import keras
import numpy as np
import pytest

from groco import create_model, layers

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only its graphs have unknown sizes")

compiled = pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
CONV = {"filters": 2, "kernel_size": 3, "strides": 2, "group": "P4"}
STRIDED = [
    (layers.GroupConv2D, CONV, (3,), (7, 9), (8,)),
    (layers.GroupConv2D, {**CONV, "padding": "same_equiv"}, (4, 3), (7, 9), (8,)),
    (layers.GroupConv2D, {**CONV, "implementation": "fourier"}, (4, 3), (7, 9), (8,)),
    (layers.GroupConv2D, {**CONV, "kernel_size": 1, "implementation": "fourier"}, (4, 3), (7,), (8,)),
    (layers.DepthwiseGroupConv2D, {"kernel_size": 3, "strides": 2, "group": "P4"}, (4, 3), (7, 9), (8,)),
    (layers.SeparableGroupConv2D, CONV, (4, 3), (7, 9), (8,)),
    (layers.GroupMaxPooling2D, {"pool_size": 2, "group": "P4"}, (4, 3), (6, 8), (7,)),
    (layers.GroupAveragePooling2D, {"pool_size": 2, "group": "P4", "padding": "same"}, (4, 3), (6, 8), (7,)),
    (layers.GroupBlurPooling2D, {"pool_size": 4, "group": "P4"}, (4, 3), (6, 8), (7,)),
    (layers.GroupUpSampling2D, {"target_size": 6, "group": "P4"}, (4, 3), (3, 6), (4,)),
]
TOO_SMALL = [
    (layers.GroupConv2D, {**CONV, "kernel_size": 4}, (3,), (4, 6), (2,)),  # where TensorFlow itself gives no output
    (layers.GroupConv2D, {**CONV, "strides": 1, "implementation": "fourier"}, (4, 3), (3,), (2, 1)),
    (layers.DepthwiseGroupConv2D, {"kernel_size": 3, "group": "P4"}, (4, 3), (3,), (2,)),
    (layers.GroupMaxPooling2D, {"pool_size": 3, "strides": 1, "group": "P4"}, (4, 3), (3,), (2,)),
    (layers.GroupBlurPooling2D, {"pool_size": 4, "group": "P4"}, (4, 3), (4, 6), (2,)),
    (layers.GroupCropping2D, {"cropping": 2, "group": "P4"}, (4, 3), (5, 6), (4, 2)),
]


def _check(call, last_axes, fitting, unfit, jit_compile, rng, message):
    """What the call gives for fitting sizes it gives in a graph that knows no sizes, which refuses the unfit ones."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, None, None, *last_axes))
    graph = tf.function(call, input_signature=[spec], jit_compile=jit_compile)
    for size in (*fitting, *unfit):
        inputs = rng.normal(size=(1, size, size, *last_axes)).astype("float32")
        if size in fitting:
            np.testing.assert_allclose(graph(inputs), call(inputs), atol=1e-5)
        else:
            with pytest.raises(
                tf.errors.InvalidArgumentError, match="size_does_not_fit" if jit_compile else message
            ) as e:
                graph(inputs)
            assert jit_compile or f"[Got shape] [1 {size} {size} " in str(e.value)


@compiled
@pytest.mark.parametrize(("layer", "kwargs", "last_axes", "fitting", "unfit"), STRIDED)
def test_what_would_break_equivariance(layer, kwargs, last_axes, fitting, unfit, jit_compile, rng):
    layer = layer(**kwargs)
    layer.build((None, None, None, *last_axes))
    _check(layer, last_axes, fitting, unfit, jit_compile, rng, "breaks equivariance")


@compiled
@pytest.mark.parametrize(("layer", "kwargs", "last_axes", "fitting", "unfit"), TOO_SMALL)
def test_what_would_leave_no_output(layer, kwargs, last_axes, fitting, unfit, jit_compile, rng):
    layer = layer(**kwargs)
    layer.build((None, None, None, *last_axes))
    _check(layer, last_axes, fitting, unfit, jit_compile, rng, "smaller than the window|leaves nothing")


@compiled
def test_sizes_of_a_net(jit_compile, rng):
    net = create_model("p4_unet", input_shape=(None, None, 1), num_classes=1, width=2, depth=2)
    _check(net, (1,), (8,), (11,), jit_compile, rng, "the sizes of the input are multiples of")


def test_a_net_that_is_compiled_to_train(rng):
    image = keras.Input((None, None, 1))
    signal = layers.GroupConv2D(2, 3, strides=2, group="P4")(image)
    model = keras.Model(image, layers.GlobalGroupMaxPooling2D(group="P4")(signal))
    model.compile("sgd", "mse", jit_compile=True)
    model.train_on_batch(rng.normal(size=(1, 7, 7, 1)), np.zeros((1, 2)))
    with pytest.raises(Exception, match="size_does_not_fit"):
        model.train_on_batch(rng.normal(size=(1, 8, 8, 1)), np.zeros((1, 2)))
