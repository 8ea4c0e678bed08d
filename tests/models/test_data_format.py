"""Models are channels last, whatever Keras is set to: their input_shape, their weights and their preprocessors are."""

import keras
import numpy as np
import pytest

import groco
from groco.models import create_model
from groco.testing import assert_equivariant
from tests.models.test_models import RESNET, SMALL, Small, _family
from tests.models.trained_like import randomise

# A net on a group of each family, the planar one, and what their arguments change in the layers.
NETS = [
    *{_family(small.name): small for small in reversed(SMALL) if small.group or small.name == "z2cnn"}.values(),
    Small("p4m_resnet20", None, {**RESNET, "form": "paper"}, ((8, 8),)),
    Small("p4_unet", "P4", {"width": 1, "depth": 2, "decoder": "upsampling", "output": "signal"}, ((4, 4),)),
    Small("p4cnn", "P4", {"width": 2, "pooling": "avg"}, ((28, 28),)),
]
nets = pytest.mark.parametrize("net", NETS, ids=lambda net: f"{net.name}-{net.group}")


@nets
def test_nets_are_the_same_where_keras_is_set_to_channels_first(net, rng):
    expected = net.build()
    randomise(expected, rng)
    inputs = net.inputs(rng, batch=1)
    outputs = _numpy(expected(inputs))
    keras.config.set_image_data_format("channels_first")  # what all tests share sets it back
    model = net.build()
    assert model.output_shape == expected.output_shape
    assert {getattr(layer, "data_format", "channels_last") for layer in model.layers} == {"channels_last"}
    model.set_weights(expected.get_weights())
    np.testing.assert_allclose(_numpy(model(inputs)), outputs, rtol=1e-5, atol=1e-6)


def test_input_shape_is_that_of_channels_last(rng):
    """(4, 16, 16) could be read as 4 channels as well."""
    keras.config.set_image_data_format("channels_first")  # what all tests share sets it back
    model = create_model("p4_convnext", input_shape=(4, 16, 16), widths=(3, 4), numbers=(1, 1), kernel_size=3)
    randomise(model, rng)
    inputs = rng.normal(size=(1, 4, 16, 16)).astype("float32")
    assert model.get_layer("stem_conv").kernel.shape == (2, 2, 16, 3)
    assert_equivariant(model, inputs, "P2", tolerance=1e-4)  # which keeps the sizes


@pytest.mark.parametrize("name", groco.list_pretrained())
def test_trained_models_load_where_keras_is_set_to_channels_first(name):
    """And give the outputs recorded when they were published."""
    keras.config.set_image_data_format("channels_first")  # what all tests share sets it back
    assert groco.verify(name).golden_inputs > 0


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)
