"""Images of any of the usual forms become what the model was trained on; others are refused in one line."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import groco
from groco.data import digits
from groco.pretrained import Preprocessor, PretrainedError


@pytest.fixture(scope="module")
def preprocess():
    return groco.preprocessor("p4cnn.rotmnist")


def test_the_sample_comes_out_normalised(preprocess):
    prepared = preprocess(digits()[0])
    assert prepared.shape == (1000, 28, 28, 1)
    assert prepared.dtype == np.float32
    # Mean and standard deviation are those of the 12,000 training digits, not of this sample.
    assert abs(prepared.mean()) < 0.05
    assert abs(prepared.std() - 1) < 0.05


@pytest.mark.parametrize("form", [np.s_[:], np.s_[..., 0], np.s_[0], np.s_[0, ..., 0]])
def test_forms(preprocess, form):
    images = digits()[0][:3]
    prepared = preprocess(images[form])
    assert prepared.shape[1:] == (28, 28, 1)
    np.testing.assert_array_equal(prepared[0], preprocess(images)[0])
    np.testing.assert_allclose(preprocess(images[form].astype("float64")), prepared, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 32, 32, 1)), r"28 x 28 pixels and 1 channel.*got shape \(2, 32, 32, 1\)"),
        (np.zeros((2, 28, 28, 3)), "got shape"),
        (np.zeros(784), "got shape"),
        (np.full((28, 28), -1.0), "values 0 to 255, got -1.0"),
        (np.full((28, 28), 256), "values 0 to 255"),
        (np.full((28, 28), np.nan), "values 0 to 255, got nan"),
        (np.full((28, 28), "a"), "Images are numbers"),
    ],
)
def test_wrong_images(preprocess, images, message):
    with pytest.raises(ValueError, match=message):
        preprocess(images)


def test_files(preprocess, tmp_path):
    images = digits()[0][:3]
    paths = []
    for index, (image, mode) in enumerate(zip(images, ("L", "RGB", "RGBA"), strict=True)):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(image[..., 0]).convert(mode).save(paths[-1])
    np.testing.assert_array_equal(preprocess.read(paths), images)
    np.testing.assert_array_equal(preprocess.read(paths, invert=True), 255 - images)


def test_wrong_files(preprocess, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    Image.new("L", (30, 28)).save(tmp_path / "large.png")
    whole = tmp_path / "whole.png"
    Image.fromarray(digits()[0][0, ..., 0]).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:100])
    with pytest.raises(FileNotFoundError, match=r"no image file '.*missing\.png'"):
        preprocess.read([whole, tmp_path / "missing.png"])
    with pytest.raises(FileNotFoundError, match="no image file"):
        preprocess.read([tmp_path])
    with pytest.raises(ValueError, match=r"text\.png' cannot be read as an image"):
        preprocess.read([tmp_path / "text.png"])
    with pytest.raises(ValueError, match=r"half\.png' cannot be read as an image"):
        preprocess.read([tmp_path / "half.png"])
    with pytest.raises(ValueError, match=r"large\.png' has 28 x 30 pixels, the model needs 28 x 28"):
        preprocess.read([tmp_path / "large.png"])


def test_round_trip(preprocess, tmp_path):
    preprocess.save(tmp_path / "preprocessor.json")
    assert Preprocessor.load(tmp_path / "preprocessor.json") == preprocess


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 2}', '{"schema": 1, "size": 3}', "[1]"])
def test_not_a_preprocessor(content, tmp_path):
    path = tmp_path / "preprocessor.json"
    path.write_text(content)
    with pytest.raises(PretrainedError, match="is not a preprocessor"):
        Preprocessor.load(path)


def test_colour(preprocess, tmp_path):
    colour = dataclasses.replace(preprocess, channels=3, size=(4, 5))
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "colour.png")
    np.testing.assert_array_equal(colour.read([tmp_path / "colour.png"])[0], image)
    assert colour(image).shape == (1, 4, 5, 3)
    with pytest.raises(ValueError, match="3 channel"):
        colour(image[..., 0])
