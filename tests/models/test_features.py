"""Features inside a model."""

import numpy as np
import pytest

import groco


@pytest.fixture(scope="module")
def model():
    return groco.create_model("p4cnn", width=2)


def test_one_layer(model):
    features = groco.features(model, "relu3")
    assert features.output_shape == (None, 10, 10, 4, 2)
    assert features.get_layer("conv1").kernel is model.get_layer("conv1").kernel


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
