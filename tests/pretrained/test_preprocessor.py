"""Images of any of the usual forms become what the model was trained on; others are refused in one line."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from PIL import Image

import groco
from groco.data import digits
from groco.pretrained import Preprocessor, PretrainedError
from groco.pretrained.manifest import model_folder


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
        (
            np.zeros((2, 32, 32, 1)),
            r"28 x 28 pixels and 1 channel.*got shape \(2, 32, 32, 1\).*replace\(preprocess, size=",
        ),
        (np.zeros((2, 28, 28, 3)), "got shape"),
        (np.zeros(784), "got shape"),
        (np.full((28, 28), -1.0), "values 0 to 255, got -1.0"),
        (np.full((28, 28), 256), "values 0 to 255"),
        (np.full((28, 28), np.nan), "values 0 to 255, got nan"),
        (np.full((28, 28), "a"), "Images are numbers"),
        (np.full((28, 28), 1j), "Images are numbers"),
        (np.full((28, 28), 0.5), "values 0 to 255, got float64 values up to 0.5, as if they were scaled already"),
        (np.eye(28), "as if they were scaled already"),
        (np.full((28, 28), True), "values 0 to 255, got bool values up to True, .* multiply them by 255"),
    ],
)
def test_wrong_images(preprocess, images, message):
    with pytest.raises(ValueError, match=message):
        preprocess(images)


@pytest.mark.parametrize("kind", ["float32", bool])
def test_a_scaled_file_beside_one_that_is_not_is_found(preprocess, kind, tmp_path):
    digit = digits()[0][0].reshape(28, 28)
    Image.fromarray(digit).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", (digit / 255).astype(kind))
    with pytest.raises(ValueError, match=r"b\.npy': Images have values 0 to 255, .* as if they were scaled already"):
        preprocess.read([tmp_path / "a.png", tmp_path / "b.npy"])


def test_dark_images_are_none_that_are_scaled(preprocess):
    for dark in (np.ones((28, 28)), np.zeros((28, 28)), np.ones((28, 28), "uint8"), np.eye(28, dtype="uint8")):
        np.testing.assert_array_equal(preprocess(dark), preprocess(dark.astype("uint8")))


def test_dark_on_light(preprocess, tmp_path):
    images = digits()[0][:3]
    inverting = dataclasses.replace(preprocess, inverted=True)
    np.testing.assert_array_equal(inverting(255 - images), preprocess(images))
    inverting.save(tmp_path / "preprocessor.json")
    assert Preprocessor.load(tmp_path / "preprocessor.json") == inverting
    assert inverting.describe() == "of 28 x 28 pixels and 1 channel, values 0 to 255, which the preprocessor inverts"
    with pytest.raises(ValueError, match="inverted is True or False, got 1"):
        dataclasses.replace(preprocess, inverted=1)


def test_tensors_without_values(preprocess):
    """As in tf.data.Dataset.map; those with values are arrays."""
    image = keras.Input((28, 28, 1))
    with pytest.raises(ValueError, match="Images are an array with values, got KerasTensor"):
        preprocess(image)
    values = keras.ops.zeros((2, 28, 28, 1))
    assert preprocess(values).shape == (2, 28, 28, 1)


def test_files(preprocess, tmp_path):
    images = digits()[0][:3]
    paths = []
    for index, (image, mode) in enumerate(zip(images, ("L", "RGB", "RGBA"), strict=True)):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(image[..., 0]).convert(mode).save(paths[-1])
    np.testing.assert_array_equal(preprocess.read(paths), images)


def test_wrong_files(preprocess, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    Image.new("L", (30, 28)).save(tmp_path / "large.png")
    whole = tmp_path / "whole.png"
    Image.fromarray(digits()[0][0, ..., 0]).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:100])
    with pytest.raises(FileNotFoundError, match=r"no image file '.*missing\.png'"):
        preprocess.read([whole, tmp_path / "missing.png"])
    with pytest.raises(FileNotFoundError, match="no image file ''"):
        preprocess.read([""])
    with pytest.raises(FileNotFoundError, match="no image file"):
        preprocess.read([tmp_path])
    with pytest.raises(ValueError, match=r"text\.png' cannot be read as an image"):
        preprocess.read([tmp_path / "text.png"])
    with pytest.raises(ValueError, match=r"half\.png' cannot be read as an image"):
        preprocess.read([tmp_path / "half.png"])
    with pytest.raises(ValueError, match=r"large\.png' has shape \(28, 30, 1\); .* needs images of 28 x 28"):
        preprocess.read([tmp_path / "large.png"])


def test_round_trip(preprocess, tmp_path):
    preprocess.save(tmp_path / "preprocessor.json")
    assert Preprocessor.load(tmp_path / "preprocessor.json") == preprocess


GOOD = {"schema": 1, "size": [8, 8], "channels": 3, "mean": [1, 2, 3], "std": 2.0, "classes": ["a"]}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        '{"schema": 2}',
        '{"schema": 1, "size": 3}',
        *(
            json.dumps(GOOD | wrong)
            for wrong in (
                {"size": [8, -8]},
                {"size": [8, 8.5]},
                {"size": [8, 8, 8, 8]},
                {"channels": 0},
                {"mean": [1, 2]},
                {"mean": "1"},
                {"std": 0},
                {"std": [1, 1, float("nan")]},
                {"classes": []},
                {"task": "detection"},
                {"maximum": 0},
                {"multiple_of": 0},
            )
        ),
    ],
)
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


SLICES = Preprocessor((None, None), 1, 120.0, 40.0, ("membrane",), task="segmentation", multiple_of=8)
VOLUMES = Preprocessor((8, 8, 8), 1, 0.0, 1.0, ("chair", "table"), maximum=1)
COLOUR = Preprocessor((4, 4), 3, (10.0, 20.0, 30.0), (1.0, 2.0, 4.0), ("cat", "dog"))


@pytest.mark.parametrize("known", [SLICES, VOLUMES, COLOUR])
def test_every_kind_is_written_and_read(known, tmp_path):
    known.save(tmp_path / "preprocessor.json")
    assert Preprocessor.load(tmp_path / "preprocessor.json") == known


def test_the_published_files_are_written_as_they_are(tmp_path):
    for name in groco.list_pretrained("*.rotmnist"):
        path = model_folder(name) / "preprocessor.json"
        Preprocessor.load(path).save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_channels_have_their_own_mean():
    image = np.full((4, 4, 3), (12, 24, 38), np.uint8)
    np.testing.assert_array_equal(COLOUR(image), np.full((1, 4, 4, 3), 2.0))
    with pytest.raises(ValueError, match=r"of 4 x 4 pixels and 3 channels, values 0 to 255, got shape \(4, 4\)"):
        COLOUR(image[..., 0])


def test_images_of_any_size(tmp_path):
    for shape in [(16, 24), (16, 24, 1), (2, 16, 24), (2, 16, 24, 1)]:
        prepared = SLICES(np.full(shape, 160, np.uint8))
        assert prepared.shape == (2 if shape[0] == 2 else 1, 16, 24, 1)
        np.testing.assert_array_equal(prepared, 1.0)
    with pytest.raises(
        ValueError, match=r"of any x any pixels \(a multiple of 8\) and 1 channel.*got shape \(16, 20\)"
    ):
        SLICES(np.zeros((16, 20)))
    for index, size in enumerate([(16, 8), (24, 8)]):
        Image.new("L", size, 7).save(tmp_path / f"{index}.png")
    assert SLICES.read([tmp_path / "0.png"]).shape == (1, 8, 16, 1)
    with pytest.raises(ValueError, match=r"1\.png' has shape \(8, 24\), .*0\.png' has \(8, 16\); .* one by one"):
        SLICES.read([tmp_path / "0.png", tmp_path / "1.png"])


def test_volumes(tmp_path):
    volume = np.random.default_rng(0).random((8, 8, 8)) < 0.5
    for form in (volume, volume[None], volume[..., None], volume[None, ..., None].astype("uint8")):
        np.testing.assert_array_equal(VOLUMES(form), volume[None, ..., None].astype("float32"))
    with pytest.raises(ValueError, match="values 0 to 1, got 0 to 2"):
        VOLUMES(2 * volume.astype("uint8"))
    np.save(tmp_path / "volume.npy", volume.astype("uint8"))
    np.testing.assert_array_equal(VOLUMES.read([tmp_path / "volume.npy"])[0, ..., 0], volume)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    Image.new("L", (8, 8)).save(tmp_path / "picture.png")
    with pytest.raises(ValueError, match=r"objects\.npy' cannot be read as an array"):
        VOLUMES.read([tmp_path / "objects.npy"])
    with pytest.raises(ValueError, match=r"picture\.png' is not an \.npy file; the model needs arrays of 8 x 8 x 8"):
        VOLUMES.read([tmp_path / "picture.png"])


def test_what_outputs_mean():
    logits = np.log([[0.25, 0.75], [0.9, 0.1]])
    (first, second), (best,) = COLOUR.decode(logits, top=2)[0], COLOUR.decode(logits)[1]
    assert [first[0], second[0], best[0]] == ["dog", "cat", "cat"]
    np.testing.assert_allclose([first[1], second[1], best[1]], [0.75, 0.25, 0.9])
    assert groco.decode_predictions("p4cnn.rotmnist", np.eye(10), top=3)[7][0] == ("7", 1.0)
    with pytest.raises(PretrainedError, match="name of a model comes first, a text or a path, got ndarray"):
        groco.decode_predictions(np.eye(10), "p4cnn.rotmnist")
    assert COLOUR.decode([[0.25, 0.75]]) == [[("dog", 0.75)]], "probabilities are not made so once more"
    assert COLOUR.decode([[0.25, 0.75]], from_logits=True)[0][0][1] == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert SLICES.probabilities(np.full((1, 2, 2, 1), 0.25), from_logits=False).max() == 0.25
    np.testing.assert_allclose(
        SLICES.probabilities(np.array([[[0.0], [-800.0]], [[800.0], [np.log(3)]]]))[..., 0], [[0.5, 0], [1, 0.75]]
    )
    with pytest.raises(ValueError, match="a model for segmentation; see `probabilities`"):
        SLICES.decode(np.zeros((1, 1)))
    with pytest.raises(ValueError, match=r"a last axis of 2 classes, got shape \(1, 3\)"):
        COLOUR.decode(np.zeros((1, 3)))
