"""Features inside a model."""

import keras
import numpy as np
import pytest
from keras import ops

import groco
from groco.layers import GroupConv2D


@pytest.fixture(scope="module")
def model():
    return groco.create_model("p4cnn", width=2)


def test_one_layer(model):
    features = groco.features(model, "relu3")
    assert features.output_shape == (None, 10, 10, 4, 2)
    assert features.get_layer("conv1").kernel is model.get_layer("conv1").kernel


def test_a_sequential_model(rng):
    model = keras.Sequential([keras.Input((6, 6, 2)), GroupConv2D(3, 3, group="P4", name="a"), keras.layers.ReLU()])
    inputs = rng.normal(size=(1, 6, 6, 2)).astype("float32")
    outputs = groco.features(model, "a")(inputs)
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (outputs, model.get_layer("a")(inputs))))


def test_several_layers_and_patterns(model):
    features = groco.features(model, ["relu1", "norm*"])
    outputs = features(np.zeros((1, 28, 28, 1), "float32"))
    assert [tuple(output.shape[1:3]) for output in outputs] == [
        (26, 26),
        (26, 26),
        (24, 24),
        (10, 10),
        (8, 8),
        (6, 6),
        (4, 4),
    ]


@pytest.mark.parametrize(
    ("name", "kwargs", "last"),
    [
        ("p4cnn", {"width": 1}, "relu6"),
        ("p4m_resnet20", {"widths": (1, 1, 1), "depth": 8}, "final_relu"),
        ("p4_unet", {"width": 1, "depth": 2}, "up0_2_relu"),
    ],
)
def test_by_default_the_last_before_the_head(name, kwargs, last):
    net = groco.create_model(name, **kwargs)
    assert groco.features(net).output is net.get_layer(last).output


def test_unknown_names(model):
    with pytest.raises(ValueError, match=r"no layer 'relu33'\. Close names: relu3"):
        groco.features(model, "relu33")
    with pytest.raises(ValueError, match="no layer 'stage"):
        groco.features(model, ["relu1", "stage*"])


def test_a_layer_that_was_called_elsewhere_before(model, rng):
    """What counts is this model: layers may have been called on other inputs first, or be inside another model."""
    image = keras.Input((32, 32, 1))
    conv = groco.layers.GroupConv2D(2, 3, group="P4", name="conv")
    conv(keras.Input((28, 28, 1)))
    again = keras.Model(image, keras.layers.Activation("relu", name="relu")(conv(image)))
    assert groco.features(again, "conv").output_shape == (None, 30, 30, 4, 2)
    outer = keras.Model(image, keras.layers.ReLU(name="outer_relu")(again(image)))
    assert groco.features(outer, again.name).output_shape == (None, 30, 30, 4, 2)
    inputs = rng.normal(size=(1, 32, 32, 1)).astype("float32")
    found = groco.features(outer, again.name)(inputs)
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (found, again(inputs))))
    twice = keras.Model(image, conv(keras.layers.Cropping2D(1)(image)) + conv(keras.layers.Cropping2D(1)(image)))
    with pytest.raises(ValueError, match="calls the layer 'conv' 2 times"):
        groco.features(twice, "conv")
