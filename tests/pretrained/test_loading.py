"""Trained models load in one line, are what was published, and nothing else is parsed."""

import json
import logging
import shutil

import h5py
import keras
import numpy as np
import pytest

import groco
from groco.data import digits
from groco.models import create_model, get_builder
from groco.pretrained import PretrainedError, loading, manifest, source
from groco.pretrained.manifest import model_folder
from groco.pretrained.source import Source
from groco.pretrained.verification import golden_error
from groco.testing import equivariance_error

NAME = "p4cnn.rotmnist"
every_model = pytest.mark.parametrize("name", groco.list_pretrained())


@every_model
def test_files_and_golden_outputs(name):
    found = groco.verify(name)
    assert found.vouched
    assert set(found.files) == set(groco.model_info(name).files)
    assert found.golden_inputs > 0
    assert found.golden_error < 1e-4


def test_golden_outputs_that_differ(copied):
    model = get_builder("p4cnn")()
    model.load_weights(copied / "model.weights.h5")
    model.get_layer("head").bias.assign_add(np.full(10, 0.01))
    model.save_weights(copied / "model.weights.h5")
    with pytest.raises(PretrainedError, match=r"outputs differ from the recorded ones by .*, more than 1e-04"):
        groco.verify(copied)


@pytest.mark.parametrize("name", groco.list_pretrained("*.rotmnist"))
def test_the_thousand_digits(name):
    """The published error, within three standard deviations of a sample of 1,000."""
    images, labels = digits()
    expected = groco.model_info(name).metrics["test_error"]
    predicted = groco.from_pretrained(name).predict(groco.preprocessor(name)(images), verbose=0).argmax(axis=-1)
    spread = (expected * (1 - expected) / len(labels)) ** 0.5
    assert abs(float((predicted != labels).mean()) - expected) < 3 * spread


@pytest.mark.parametrize("name", ["p4cnn.rotmnist", "p4cnn_rp.rotmnist"])
def test_trained_nets_are_invariant_on_digits(name):
    images = groco.preprocessor(name)(digits()[0][::25])
    model = groco.from_pretrained(name)
    assert equivariance_error(model, images, "P4") < 1e-4


def test_the_planar_net_is_not():
    images = groco.preprocessor("z2cnn.rotmnist")(digits()[0][::25])
    assert equivariance_error(groco.from_pretrained("z2cnn.rotmnist"), images, "P4") > 1e-2


@every_model
def test_keras_loads_the_folder_as_well(name):
    folder = model_folder(name)
    golden_error(Source(name, folder, None), keras.saving.load_model(folder))


def test_other_classes(caplog):
    with caplog.at_level(logging.WARNING, "groco"):
        model = groco.from_pretrained(NAME, num_classes=3)
    assert model.output_shape == (None, 3)
    assert caplog.messages == ["p4cnn.rotmnist: newly initialised, to be trained: head."]
    original = groco.from_pretrained(NAME)
    for layer in original.layers:
        if layer.weights and layer.name != "head":
            for old, new in zip(layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(old, new)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = digits()
    model.fit(groco.preprocessor(NAME)(images[:60]), labels[:60] % 3, verbose=0)


def test_other_shapes(caplog):
    images = groco.preprocessor(NAME)(digits()[0][:5])
    original = groco.from_pretrained(NAME)
    with caplog.at_level(logging.WARNING, "groco"):
        anysize = groco.from_pretrained(NAME, input_shape=(None, None, 1))
        features = groco.from_pretrained(NAME, include_top=False)
        same = groco.from_pretrained(NAME, num_classes=10, classifier_activation="softmax")
        as_it_is = groco.from_pretrained(NAME, group="P4", width=10, dropout=0.2)
    assert not caplog.messages
    np.testing.assert_array_equal(as_it_is.predict(images, verbose=0), original.predict(images, verbose=0))
    np.testing.assert_allclose(anysize.predict(images, verbose=0), original.predict(images, verbose=0), atol=1e-3)
    assert features.output_shape == (None, 4, 4, 4, 10)
    np.testing.assert_allclose(same.predict(images, verbose=0).sum(axis=-1), 1, atol=1e-5)


def test_what_cannot_be_changed():
    with pytest.raises(
        PretrainedError, match=r"layer 'conv1' does not fit.*only num_classes, include_top, input_shape"
    ):
        groco.from_pretrained(NAME, input_shape=(28, 28, 3))
    with pytest.raises(PretrainedError, match="layer 'conv1' does not fit"):
        groco.from_pretrained(NAME, num_classes=3, input_shape=(28, 28, 3))
    with pytest.raises(PretrainedError, match="does not fit"):
        groco.from_pretrained(NAME, width=11)
    for changes in ({"group": "P2MM"}, {"group": "C2MM", "num_classes": 3}):
        with pytest.raises(PretrainedError, match=rf"group='{changes['group']}' does not fit the trained .*'conv1'"):
            groco.from_pretrained(NAME, **changes)
    for depth in (14, 26):
        with pytest.raises(PretrainedError, match=rf"depth={depth} does not fit the trained weights .*layer"):
            groco.from_pretrained("resnet20.cifar10", depth=depth)
    with pytest.raises(PretrainedError, match="form='paper' does not fit the trained weights"):
        groco.from_pretrained("p4m_resnet20.cifar10", form="paper", include_top=False)
    with pytest.raises(PretrainedError, match=r"no argument num_clases; it has .*num_classes"):
        groco.from_pretrained(NAME, num_clases=3)
    with pytest.raises(PretrainedError, match=r"p4cnn\.rotmnist cannot be made with other arguments: .*filters"):
        groco.from_pretrained(NAME, num_classes=0)


def test_a_folder_of_the_name_of_a_model_that_comes_with_groco(copied, tmp_path, monkeypatch, caplog):
    """It is not what is loaded, which is said unless it is the folder of that model itself."""
    (tmp_path / "elsewhere" / NAME).mkdir(parents=True)
    for folder, told in ((tmp_path / "elsewhere", True), (copied.parent, False)):
        monkeypatch.chdir(folder)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "groco"):
            assert groco.verify(NAME).vouched
        said = f"{NAME} is the model that comes with groco, not the folder here, which is ./{NAME}"
        assert (said in caplog.text) == told


def test_unknown_names():
    with pytest.raises(PretrainedError, match=r"no trained model 'p4cnn'\. Close names: p4cnn"):
        groco.from_pretrained("p4cnn")
    with pytest.raises(PretrainedError, match="no trained model"):
        groco.preprocessor("resnet50")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the zoo that may be damaged."""
    shutil.copytree(model_folder(NAME), tmp_path / "zoo" / NAME)
    monkeypatch.setattr(source, "model_folder", lambda name: tmp_path / "zoo" / name)
    return tmp_path / "zoo" / NAME


@pytest.mark.parametrize("file", sorted(groco.model_info(NAME).files))
@pytest.mark.parametrize("fault", ["missing", "truncated", "changed", "empty"])
def test_nothing_is_parsed_that_the_manifest_does_not_vouch_for(file, fault, copied, monkeypatch):
    path = copied / file
    content = path.read_bytes()
    changed = bytes([content[0] ^ 1]) + content[1:]
    {
        "missing": path.unlink,
        "truncated": lambda: path.write_bytes(content[:-1]),
        "changed": lambda: path.write_bytes(changed),
        "empty": lambda: path.write_bytes(b""),
    }[fault]()

    def parsed(*_):
        raise AssertionError("something was parsed")

    monkeypatch.setattr(loading, "read_description", parsed)
    monkeypatch.setattr(keras.Model, "load_weights", parsed)
    with pytest.raises(PretrainedError, match=file.replace(".", r"\.")):
        groco.from_pretrained(NAME)


def test_a_folder_is_loaded_and_said_to_be_unverified(copied, caplog):
    with caplog.at_level(logging.WARNING, "groco"):
        model = groco.from_pretrained(copied)
    assert "is unverified" in caplog.text
    for weight, expected in zip(model.get_weights(), groco.from_pretrained(NAME).get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_folders_that_are_no_model(copied, tmp_path):
    with pytest.raises(PretrainedError, match=r"no groco\.json and no model\.weights\.h5"):
        groco.from_pretrained(tmp_path)
    weights = copied / "model.weights.h5"
    weights.write_bytes(b"<html>404</html>")
    with pytest.raises(PretrainedError, match=r"model\.weights\.h5 is not a file of weights .* begins with b'<html>"):
        groco.from_pretrained(copied)
    weights.unlink()
    other = get_builder("p4cnn")(width=11)
    other.save_weights(weights)
    with pytest.raises(
        PretrainedError, match=r"model\.weights\.h5: .* does not fit: its shape .* larger than any weight"
    ):
        groco.from_pretrained(copied)
    weights.unlink()
    other = get_builder("p4cnn")(width=9)
    other.save_weights(weights)
    with pytest.raises(PretrainedError, match=r"model\.weights\.h5 does not fit: it holds .* numbers, the model has"):
        groco.from_pretrained(copied)
    get_builder("p4cnn")().save_weights(weights)
    with h5py.File(weights, "a") as file:
        variables = file["layers/group_conv2d_1/vars"]
        values = variables["0"][()]
        del variables["0"]
        variables["0"] = values.reshape(-1)
    with pytest.raises(PretrainedError, match=r"model\.weights\.h5 does not fit p4cnn"):
        groco.from_pretrained(copied)


def test_weights_that_are_not_finite(copied):
    model = get_builder("p4cnn")()
    model.get_layer("conv3").bias.assign(np.full(10, np.nan))
    model.save_weights(copied / "model.weights.h5")
    with h5py.File(copied / "model.weights.h5"):
        pass
    with pytest.raises(PretrainedError, match="conv3/bias has values that are not finite"):
        groco.from_pretrained(copied)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 2}', '{"schema": 1, "architecture": 3, "arguments": {}}'])
def test_descriptions_that_are_wrong(content, copied):
    (copied / "groco.json").write_text(content)
    with pytest.raises(PretrainedError, match=r"groco\.json"):
        groco.from_pretrained(copied)


def test_unknown_architecture(copied):
    description = json.loads((copied / "groco.json").read_text())
    (copied / "groco.json").write_text(json.dumps({**description, "architecture": "p5cnn"}))
    with pytest.raises(ValueError, match="no architecture 'p5cnn'"):
        groco.from_pretrained(copied)


def test_an_unreadable_manifest(tmp_path, monkeypatch):
    manifest._manifest.cache_clear()
    monkeypatch.setattr(manifest, "_PACKAGE", tmp_path / "groco")
    with pytest.raises(PretrainedError, match=r"weights_manifest\.json cannot be read"):
        groco.list_pretrained()
    manifest._manifest.cache_clear()


@pytest.fixture
def volumes(tmp_path):
    """The folder of a net for segmenting volumes, and the net."""
    arguments = {"input_shape": [8, 8, 8, 1], "width": 1, "depth": 1}
    model = create_model("o_unet3d", **arguments)
    description = {"schema": 1, "architecture": "o_unet3d", "arguments": arguments}
    (tmp_path / "groco.json").write_text(json.dumps(description))
    model.save_weights(tmp_path / "model.weights.h5")
    return tmp_path, model


def test_volumes_of_any_size_compiled_to_be_trained_further(volumes, rng):
    folder, trained = volumes
    images = rng.random((1, 8, 8, 8, 1), dtype="float32")
    model = groco.from_pretrained(folder, input_shape=(None, None, None, 1), compile=True)
    assert model.input_shape == (None, None, None, None, 1)
    np.testing.assert_allclose(model.predict(images, verbose=0), trained.predict(images, verbose=0), atol=1e-5)
    model.train_on_batch(images, images > 0.5)
    labels = trained.predict(images, verbose=0) > 0
    measured = groco.from_pretrained(folder, input_shape=(8, 8, 8, 1), compile=True).evaluate(
        images, labels, verbose=0, return_dict=True
    )
    assert measured["binary_accuracy"] == 1
    assert not np.array_equal(model.get_weights()[0], trained.get_weights()[0])


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_compiled_to_be_trained_further(activation):
    images, labels = digits()
    prepared = groco.preprocessor(NAME)(images[:20])
    model = groco.from_pretrained(NAME, classifier_activation=activation, compile=True)
    logits = keras.ops.convert_to_numpy(groco.from_pretrained(NAME)(prepared)).astype("float64")
    likely = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = -np.mean(likely[np.arange(20), labels[:20]])
    loss = model.compute_loss(y=labels[:20], y_pred=model(prepared))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss), expected, atol=1e-4)
    assert not groco.from_pretrained(NAME).compiled


def test_features_have_no_loss():
    with pytest.raises(PretrainedError, match="without its classifier has nothing to be trained on"):
        groco.from_pretrained(NAME, include_top=False, compile=True)
