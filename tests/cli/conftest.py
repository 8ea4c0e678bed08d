"""What the tests of the command line share: running it, digits in files, and small models in folders."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from groco import cli
from groco.data import digits
from groco.models import create_model
from groco.pretrained.preprocessor import Preprocessor
from tests.models.trained_like import randomise

NAME = "p4cnn.rotmnist"


@pytest.fixture
def run(capsys):
    """Runs the command; returns its exit status, and what it wrote to stdout and stderr."""

    def call(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def files(tmp_path):
    """Four digits in files, and their labels."""
    images, labels = digits()
    paths = []
    for index in range(0, 1000, 250):
        path = tmp_path / f"{labels[index]}_{index}.png"
        Image.fromarray(images[index, ..., 0]).save(path)
        paths.append(str(path))
    return paths, labels[::250]


@pytest.fixture
def unet(tmp_path, rng):
    """A folder with a small U-Net for two-dimensional images of any size, one class."""
    return write_folder(tmp_path / "p4_unet.test", rng, "p4_unet", (None, None, 1), ("cell",), (1, 8, 8, 1))


@pytest.fixture
def classes_unet(tmp_path, rng):
    return write_folder(tmp_path / "unet.test", rng, "p4_unet", (8, 8, 1), ("sky", "land", "sea"), (1, 8, 8, 1))


@pytest.fixture
def volume_unet(tmp_path, rng):
    return write_folder(tmp_path / "unet3d.test", rng, "unet3d", (4, 4, 4, 1), ("node",), (1, 4, 4, 4, 1))


def write_folder(folder, rng, architecture, input_shape, classes, golden_shape):
    arguments = {"input_shape": list(input_shape), "num_classes": len(classes), "width": 2, "depth": 2}
    model = create_model(architecture, **arguments)
    randomise(model, rng)
    preprocess = Preprocessor(
        size=input_shape[:-1], channels=1, mean=100.0, std=50.0, classes=classes, task="segmentation", multiple_of=2
    )
    golden = rng.integers(0, 256, golden_shape).astype("uint8")
    folder.mkdir()
    model.save_weights(folder / "model.weights.h5")
    preprocess.save(folder / "preprocessor.json")
    outputs = keras.ops.convert_to_numpy(model(preprocess(golden)))
    np.savez(folder / "golden.npz", images=golden, outputs=outputs)
    content = {"schema": 1, "architecture": architecture, "arguments": arguments}
    (folder / "groco.json").write_text(json.dumps(content))
    return folder
