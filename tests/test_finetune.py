"""Fine-tuning: what is learned, what is kept, what is saved, and what is refused before anything is trained."""

import errno
import inspect
import json
import logging
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest
from PIL import Image

import groco
from groco import cli
from groco.cli.finetuning import OPTIONS, _default_output
from groco.finetuning import tuning
from groco.finetuning.batches import Batches, make_augmentations
from groco.finetuning.data import read_examples, split_examples
from groco.finetuning.tasks import dice
from groco.models import create_model
from groco.pretrained import Preprocessor, PretrainedError
from groco.pretrained import folder as folder_module
from groco.pretrained.folder import write_folder
from groco.pretrained.loading import head_layers
from groco.testing import assert_equivariant

INFORMATION = {
    "metrics": {"dataset": "noise", "source": "noise", "split": "test", "seeds": [0], "test_error": 0.5},
    "paper": None,
    "recipe": {"command": "none", "seconds": 0.0, "hardware": "any", "backend": "any", "keras": "3"},
    "licence": {"weights": "MIT", "data": "none"},
    "card": {"about": "Untrained."},
}


def _write(folder, architecture, arguments, preprocessor, metrics=("test_error",), **kwargs):
    keras.utils.set_random_seed(1)
    model = create_model(architecture, **arguments)
    sizes = [n or 8 for n in preprocessor.size]
    return write_folder(
        folder,
        model,
        architecture=architecture,
        arguments=arguments,
        preprocessor=preprocessor,
        information={
            **INFORMATION,
            "metrics": {**INFORMATION["metrics"], **dict.fromkeys(metrics, 0.5)},
        },
        golden=np.random.default_rng(0).integers(256, size=(2, *sizes, preprocessor.channels)).astype("uint8"),
        **kwargs,
    )


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The folder of a small net for three classes of 28 x 28 pixels."""
    return _write(
        tmp_path_factory.mktemp("zoo") / "p4cnn.tiny",
        "p4cnn",
        {"input_shape": [28, 28, 1], "num_classes": 3, "width": 4},
        Preprocessor((28, 28), 1, 30.0, 60.0, ("a", "b", "c")),
    )


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """The folder of a small U-Net for images of any even size."""
    return _write(
        tmp_path_factory.mktemp("zoo") / "p4_unet.tiny",
        "p4_unet",
        {"input_shape": [None, None, 1], "num_classes": 1, "width": 2, "depth": 2},
        Preprocessor((None, None), 1, 127.0, 60.0, ("blob",), "segmentation", multiple_of=2),
        ("dice",),
    )


@pytest.fixture
def eager(monkeypatch):
    """Steps are run as they come: compiling them takes longer than the few there are in a test."""
    compile_model = keras.Model.compile
    monkeypatch.setattr(keras.Model, "compile", lambda *args, **kw: compile_model(*args, **kw, run_eagerly=True))


@pytest.fixture
def no_training(monkeypatch):
    def fit(*args, **kwargs):
        raise AssertionError("trained before the arguments were checked")

    monkeypatch.setattr(keras.Model, "fit", fit)


def _squares(number, rng, size=28):
    """Images (2 number, size, size): squares that are full, or have a hole."""
    images = rng.integers(40, size=(2 * number, size, size)).astype("uint8")
    for index, image in enumerate(images):
        top, left = rng.integers(size // 4, size // 3, size=2)
        image[top : top + size // 2, left : left + size // 2] += 200
        if index >= number:
            hole = slice(size // 2 - size // 7, size // 2 + size // 7)
            image[hole, hole] = 0
    return images, np.repeat(["full", "hollow"], number)


def _as_folder(path, images, labels):
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        (path / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path / label / f"{index}.png")
    return path


def _blobs(number, rng, size=16):
    """Images and masks (number, size, size) of 0 and 255: a bright square."""
    images = rng.integers(60, size=(number, size, size)).astype("uint8")
    masks = np.zeros_like(images)
    for image, mask in zip(images, masks, strict=True):
        top, left = rng.integers(size // 2, size=2)
        image[top : top + size // 2, left : left + size // 2] += 150
        mask[top : top + size // 2, left : left + size // 2] = 255
    return images, masks


def _as_pairs(path, images, masks):
    for kind, arrays in (("images", images), ("masks", masks)):
        (path / kind).mkdir(parents=True)
        for index, array in enumerate(arrays):
            Image.fromarray(array).save(path / kind / f"{index:03}.png")
    return path


def test_command_trains_evaluates_and_saves_what_loads(tmp_path, rng, capsys, monkeypatch, eager):
    monkeypatch.chdir(tmp_path)
    images, labels = _squares(20, rng)
    data = _as_folder(tmp_path / "My squares", images, labels)
    test = _as_folder(tmp_path / "others", *_squares(10, rng))
    arguments = ["finetune", "p4cnn.rotmnist", "--data", str(data), "--test", str(test), "--epochs", "10"]
    assert cli.main([*arguments, "--batch-size", "20", "--learning-rate", "0.003"]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "p4cnn.my_squares"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["My squares", "others", "p4cnn.my_squares"]

    description = json.loads((folder / "groco.json").read_text())
    error = description["metrics"]["test_error"]
    assert error <= 0.1
    assert f"test error {100 * error:.2f} % on 20 others" in out
    assert "--batch-size 20" in description["recipe"]["command"]
    assert str(tmp_path) not in (folder / "README.md").read_text()

    preprocess = groco.preprocessor(folder)
    assert preprocess.classes == ("full", "hollow")
    files, wanted = zip(*((f, f.parent.name) for f in sorted(test.glob("*/*.png"))), strict=True)
    outputs = groco.from_pretrained(folder).predict(preprocess(preprocess.read(files)), verbose=0)
    found = [names[0][0] for names in preprocess.decode(outputs)]
    assert np.mean(np.array(found) != np.array(wanted)) == pytest.approx(error)
    assert groco.verify(folder).golden_inputs == 4

    assert cli.main(["predict", str(folder), *map(str, files[:2])]) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == found[:2]
    assert cli.main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def test_help_tells_the_defaults():
    defaults = {key: p.default for key, p in inspect.signature(groco.finetune).parameters.items()}
    for name, (_, _, text) in OPTIONS.items():
        default = defaults[name.replace("-", "_")]
        assert default is None or f"(default: {default})" in text


def test_the_same_seed_gives_the_same_weights(classifier, rng, eager):
    data = _squares(6, rng)
    options = {"epochs": 2, "batch_size": 4, "augment": "P4M", "verbose": 0}
    first, again, other = (groco.finetune(classifier, data, seed=seed, **options) for seed in (3, 3, 4))
    weights = [[np.asarray(w) for w in tuned.model.weights] for tuned in (first, again, other)]
    for a, b in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.history == again.history
    assert first.scores == again.scores
    assert any(np.any(a != b) for a, b in zip(weights[0], weights[2], strict=True))
    assert (first.train_examples, first.test_examples) == (10, 2)


def test_freezing_trains_the_head_only(classifier, rng, eager):
    trained = groco.from_pretrained(classifier)
    tuned = groco.finetune(classifier, _squares(4, rng), epochs=2, freeze=2, verbose=0)
    for layer in trained.layers:
        for old, new in zip(layer.weights, tuned.model.get_layer(layer.name).weights, strict=True):
            if layer.name != "head":
                np.testing.assert_array_equal(old, new)
    assert all(layer.trainable for layer in tuned.model.layers)
    assert len(tuned.history["loss"]) == 2

    keras.utils.set_random_seed(0)  # that of the new head
    fresh = create_model("p4cnn", input_shape=[28, 28, 1], num_classes=2, width=4)
    assert np.any(np.asarray(fresh.get_layer("head").kernel) != np.asarray(tuned.model.get_layer("head").kernel))


def _stop_training(monkeypatch):
    """What the model is when training begins."""
    seen = []

    def fit(model, *args, **kwargs):
        seen.append([np.asarray(w) for w in model.get_layer("head").weights + model.get_layer("conv1").weights])
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", fit)
    return seen


def test_the_head_is_new_unless_the_classes_are_the_same(classifier, rng, monkeypatch, tmp_path):
    seen = _stop_training(monkeypatch)
    images = _squares(6, rng)[0]
    output = tmp_path / "p4cnn.new"
    for names, scratch in ((["a", "b", "c"], False), (["x", "y", "z"], False), (["a", "b", "c"], True)):
        with pytest.raises(KeyboardInterrupt):
            groco.finetune(classifier, (images, np.tile(names, 4)), from_scratch=scratch, output=output, verbose=0)
    assert list(tmp_path.iterdir()) == []
    trained = groco.from_pretrained(classifier)
    head, conv1 = (np.asarray(trained.get_layer(name).kernel) for name in ("head", "conv1"))
    same, renamed, scratch = seen
    np.testing.assert_array_equal(same[0], head)
    assert np.any(renamed[0] != head)
    np.testing.assert_array_equal(renamed[2], conv1)
    assert np.any(scratch[2] != conv1)


@pytest.mark.parametrize(
    ("architecture", "head"),
    [("p4cnn", {"head"}), ("p4m_allcnn", {"head", "head_norm"}), ("unet", {"head"}), ("p4m_resnet20", {"head"})],
)
def test_the_head_is_what_knows_the_classes(architecture, head):
    channels = 3 if architecture in ("p4m_allcnn", "p4m_resnet20") else 1
    assert head <= set(head_layers(architecture, {"input_shape": [32, 32, channels], "num_classes": 2}))
    assert not any("stage" in name or "conv1" in name for name in head_layers(architecture, {"num_classes": 2}))


def test_segmentation_from_pairs_of_files(segmenter, tmp_path, rng, capsys):
    images, masks = _blobs(10, rng)
    data = _as_pairs(tmp_path / "pairs", images, 255 - masks)
    folder = tmp_path / "made" / "p4_unet.blobs"
    options = ["--epochs", "12", "--window", "12", "--learning-rate", "0.01", "--augment", "PMw", "--invert-masks"]
    options += ["--classes", "blob"]
    assert cli.main(["finetune", str(segmenter), "--data", str(data), "--output", str(folder), *options]) == 0
    assert "on 2 others" in capsys.readouterr().out
    metrics = json.loads((folder / "groco.json").read_text())["metrics"]
    assert metrics["dice"] > 0.8
    assert metrics["pixel_error"] < 0.2

    model, preprocess = groco.from_pretrained(folder), groco.preprocessor(folder)
    assert (preprocess.task, preprocess.classes, preprocess.size) == ("segmentation", ("blob",), (None, None))
    images, masks = _blobs(4, rng, size=20)
    prepared = preprocess(images)
    found = model.predict(prepared, verbose=0)[..., 0] > 0
    assert dice(found, masks > 0) > 0.8
    assert_equivariant(model, prepared, "P4")


def test_segmentation_of_several_classes_and_its_scores(segmenter, rng, eager):
    images, masks = _blobs(6, rng)
    classes = (masks > 0).astype("uint8")
    classes[:, :2] = 2
    tuned = groco.finetune(segmenter, (images, classes), test=(images, classes), epochs=1, augment="rotate", verbose=0)
    assert tuned.model.output_shape == (None, None, None, 3)
    assert tuned.preprocessor.classes == ("0", "1", "2")
    found = tuned.model.predict(tuned.preprocessor(images), verbose=0).argmax(-1)
    shares = [2 * ((found == k) & (classes == k)).sum() / ((found == k).sum() + (classes == k).sum()) for k in range(3)]
    assert tuned.scores == pytest.approx({"pixel_error": (found != classes).mean(), "dice": np.mean(shares)})


def test_images_are_resized_the_same_way_when_trained_on_and_when_read(tmp_path, rng, classifier, monkeypatch):
    images, labels = _squares(2, rng, size=70)
    files = _as_folder(tmp_path / "large", images[:, :, :60], labels)
    preprocess = Preprocessor((28, 32), 1, 0.0, 1.0, ("full", "hollow"), resize=True)
    examples = read_examples(files, preprocess)
    assert examples.inputs.shape == (4, 28, 32, 1)
    expected = Image.fromarray(images[0, :, :60]).resize((32, 28), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(examples.inputs[0, ..., 0], np.asarray(expected))
    np.testing.assert_array_equal(read_examples((images[:, :, :60], labels), preprocess).inputs, examples.inputs)
    preprocess.save(tmp_path / "preprocessor.json")
    assert Preprocessor.load(tmp_path / "preprocessor.json") == preprocess
    with pytest.raises(ValueError, match="resize"):
        Preprocessor((None, 32), 1, 0.0, 1.0, ("a",), resize=True)

    seen = {}
    monkeypatch.setattr("groco.finetuning.tuning._train", lambda model, *rest: seen.update(model=model) or {})
    tuned = groco.finetune(classifier, files, size=(28, 32), validation_split=0.5, verbose=0)
    assert seen["model"].input_shape == (None, 28, 32, 1)
    assert tuned.preprocessor.resize
    assert tuned.preprocessor.size == (28, 32)


def test_masks_are_resized_with_their_images(rng, tmp_path):
    images, masks = _blobs(2, rng, size=16)
    preprocess = Preprocessor((8, 8), 1, 0.0, 1.0, ("blob",), "segmentation", resize=True)
    for data in (_as_pairs(tmp_path / "pairs", images, masks), (images, masks)):
        examples = read_examples(data, preprocess)
        np.testing.assert_array_equal(examples.labels, masks[:, 1::2, 1::2] > 0)
        inverted = read_examples(data, preprocess, invert_masks=True)
        np.testing.assert_array_equal(inverted.labels, masks[:, 1::2, 1::2] == 0)
        assert examples.classes == ("foreground",)


def test_colour_becomes_grey_and_volumes_are_read(tmp_path, rng):
    colour = rng.integers(256, size=(4, 6, 6, 3)).astype("uint8")
    folder = _as_folder(tmp_path / "colour", colour, ["u", "u", "v", "v"])
    examples = read_examples(folder, Preprocessor((6, 6), 1, 0.0, 1.0, ("?",)))
    np.testing.assert_array_equal(examples.inputs[0, ..., 0], np.asarray(Image.fromarray(colour[0]).convert("L")))
    inverted = read_examples(folder, Preprocessor((6, 6), 3, 0.0, 1.0, ("?",), inverted=True))
    np.testing.assert_array_equal(inverted.inputs, 255 - colour.astype("float32"))
    volumes = rng.integers(2, size=(2, 4, 5, 6)).astype("uint8")
    for label, volume in zip("uv", volumes, strict=True):
        (tmp_path / "volumes" / label).mkdir(parents=True)
        np.save(tmp_path / "volumes" / label / "1.npy", volume)
    examples = read_examples(tmp_path / "volumes", Preprocessor((None, None, None), 1, 0.0, 1.0, ("?",), maximum=1))
    np.testing.assert_array_equal(examples.inputs[..., 0], volumes)


def test_labels_in_arrays_and_npz(tmp_path, rng):
    images = rng.integers(256, size=(4, 6, 6)).astype("uint8")
    preprocess = Preprocessor((6, 6), 1, 0.0, 1.0, ("?",))
    np.savez(tmp_path / "data.npz", images=images, labels=[7, 3, 7, 3])
    examples = read_examples(tmp_path / "data.npz", preprocess)
    assert (examples.labels.tolist(), examples.classes) == ([1, 0, 1, 0], ("3", "7"))
    assert read_examples((images, [1, 0, 1, 0]), preprocess, ("3", "7")).labels.tolist() == [1, 0, 1, 0]
    assert read_examples((images, [3, 3, 3, 3]), preprocess, ("3", "7", "0", "1")).labels.tolist() == [3] * 4


def test_numbers_of_a_test_set_are_what_those_of_the_training_set_were(tmp_path, rng, classifier, monkeypatch):
    """Names where the training set's were names, indices where the names of the classes were given."""
    images = rng.integers(256, size=(6, 28, 28)).astype("uint8")
    seen = []

    def evaluate(self, model, held, batch_size):
        seen.append([held.classes[k] for k in held.labels])
        return {"test_error": 0.0}

    monkeypatch.setattr("groco.finetuning.tuning._train", lambda *args: {})
    monkeypatch.setattr("groco.finetuning.tasks.Task.evaluate", evaluate)
    test = (images[:4], [2, 1, 2, 1])
    groco.finetune(classifier, (images, [1, 2, 3, 1, 2, 3]), test=test, verbose=0)
    folder = _as_folder(tmp_path / "digits", images, list("123123"))
    groco.finetune(classifier, folder, test=test, verbose=0)
    groco.finetune(classifier, (images, [0, 1, 2, 0, 1, 2]), test=test, classes=["1", "2", "3"], verbose=0)
    groco.finetune(classifier, (images, list("abcabc")), test=test, verbose=0)
    assert seen == [list("2121"), list("2121"), list("3232"), list("cbcb")]
    with pytest.raises(ValueError, match="has other labels than 1, 2, 3: 0"):
        groco.finetune(classifier, (images, [1, 2, 3, 1, 2, 3]), test=(images[:2], [0, 1]), verbose=0)


def test_split_holds_out_the_same_share_of_each_class(rng):
    labels = np.repeat([0, 1, 2], [10, 20, 2])
    examples = read_examples(
        (np.arange(32, dtype="uint8")[:, None, None], labels), Preprocessor((1, 1), 1, 0, 1, ("?",))
    )
    train, held = split_examples(examples, 0.2, seed=0)
    assert np.bincount(held.labels).tolist() == [2, 4, 1]
    everything = np.concatenate([train.inputs, held.inputs]).ravel()
    assert sorted(everything.tolist()) == list(range(32))
    again, other = split_examples(examples, 0.2, seed=0)[1], split_examples(examples, 0.2, seed=1)[1]
    np.testing.assert_array_equal(held.inputs, again.inputs)
    assert np.any(held.inputs != other.inputs)


def test_batches_have_every_example_once_in_each_epoch():
    inputs = np.arange(33.0).reshape(33, 1, 1, 1)
    batches = Batches(inputs, np.arange(33), 16, seed=5, targets=lambda labels: -labels)
    epochs = []
    for _ in range(2):
        parts = [batches[index] for index in range(len(batches))]
        assert [len(labels) for _, labels in parts] == [11, 11, 11]  # not 16, 16, 1
        order = np.concatenate([x.ravel() for x, _ in parts])
        np.testing.assert_array_equal(order, -np.concatenate([y for _, y in parts]))
        assert sorted(order) == list(range(33))
        epochs.append(order)
        batches.on_epoch_end()
    assert np.any(epochs[0] != epochs[1])


def test_augmentations_move_inputs_and_masks_together(rng):
    masks = rng.integers(2, size=(50, 8, 8))
    inputs = masks[..., None].astype("float32")
    for augment in ("P4M", "PMh", groco.get_group("P4", 2)):
        (function,) = make_augmentations(augment, (8, 8))
        moved, labels = function(inputs, masks, np.random.default_rng(0))
        np.testing.assert_array_equal(moved[..., 0], labels)
        assert np.any(labels != masks)
        np.testing.assert_array_equal(labels.sum((1, 2)), masks.sum((1, 2)))
    blocks = np.kron(rng.integers(2, size=(50, 2, 2)), np.ones((8, 8), int))
    (rotate,) = make_augmentations("rotate", (16, 16))
    moved, labels = rotate(blocks[..., None].astype("float32"), blocks, np.random.default_rng(0))
    assert np.abs(moved[..., 0] - labels).max() <= 0.5 + 1e-5  # linear between pixels, against the nearest
    assert np.any(labels != blocks)
    unlabelled, same = rotate(inputs, np.arange(50), np.random.default_rng(0))
    assert unlabelled.shape == inputs.shape
    np.testing.assert_array_equal(same, np.arange(50))


def test_rotation_by_a_known_angle():
    class Quarter:
        def uniform(self, low, high, size):
            return np.full(size, np.pi / 2)

    inputs = np.random.default_rng(0).random((3, 7, 7, 2)).astype("float32")
    (rotate,) = make_augmentations(["rotate"], (7, 7))
    turned, _ = rotate(inputs, np.zeros(3), Quarter())
    np.testing.assert_allclose(turned, np.rot90(inputs, -1, axes=(1, 2)), atol=1e-5)


def test_a_function_augments(rng):
    add = make_augmentations(lambda x, y, rng: (x + 1, y), (4, 4))
    x, _ = Batches(np.zeros((3, 4, 4, 1)), np.arange(3), 8, 0, add)[0]
    np.testing.assert_array_equal(x, np.ones((3, 4, 4, 1), "float32"))
    for wrong, message in (("P9", "P9"), (7, "function"), ("P4", "exchanges axes")):
        with pytest.raises(ValueError, match=message):
            make_augmentations(wrong, (4, 5))
    assert len(make_augmentations(["P2MM", "rotate"], (4, 5))) == 2


def test_a_head_that_is_new_though_it_would_fit_is_told(segmenter, rng, caplog, no_training):
    for names, told in ((None, True), (["blob"], False)):
        caplog.clear()
        with pytest.raises(AssertionError, match="trained before"):
            groco.finetune(segmenter, _blobs(4, rng), classes=names, verbose=0)
        assert ("to be trained: head. Only for the classes that it knows, blob, it keeps" in caplog.text) == told


def test_what_is_returned_can_be_trained_on(classifier, rng, eager):
    tuned = groco.finetune(classifier, _squares(3, rng), epochs=2, freeze=1, learning_rate=1e-2, verbose=0)
    inputs = tuned.preprocessor(_squares(3, rng)[0])
    before = [layer.get_weights() for layer in tuned.model.layers if layer.weights]
    tuned.model.fit(inputs, np.repeat([0, 1], 3), verbose=0)
    for layer, weights in zip((layer for layer in tuned.model.layers if layer.weights), before, strict=True):
        assert any(np.any(a != b) for a, b in zip(layer.get_weights(), weights, strict=True)), layer.name


def test_weights_that_are_not_finite_after_the_last_step(classifier, rng, tmp_path, eager):
    for freeze in (0, 1):
        with pytest.raises(ValueError, match=r"values that are not finite; a smaller learning rate"):
            groco.finetune(
                classifier,
                _squares(2, rng),
                epochs=1,
                freeze=freeze,
                learning_rate=1e38,
                output=tmp_path / "p4cnn.spoiled",
                verbose=0,
            )
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_is_nowhere_has_no_part_in_the_dice(segmenter, rng, tmp_path, capsys, eager):
    """Of `groco evaluate` neither."""
    images, masks = _blobs(6, rng)
    several, two = (masks > 0).astype("uint8"), (masks > 0).astype("uint8")
    several[:, :1] = 2
    np.savez(tmp_path / "test.npz", images=images, masks=two)
    output = tmp_path / "p4_unet.three"
    tuned = groco.finetune(
        segmenter, (images, several), test=(images, two), epochs=3, learning_rate=1e-2, output=output, verbose=0
    )
    assert cli.main(["evaluate", str(output), "--data", str(tmp_path / "test.npz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dice"] == pytest.approx(tuned.scores["dice"], abs=1e-3)
    assert cli.main(["evaluate", str(output), "--data", str(tmp_path / "test.npz"), "--invert-masks"]) == 2
    assert "only masks of one class are inverted; the model has 0, 1, 2" in capsys.readouterr().err


def test_a_window_that_the_net_does_not_take(segmenter, rng, no_training):
    with pytest.raises(ValueError, match="a multiple of 2 points for this model, got 7; the nearest: 6 and 8"):
        groco.finetune(segmenter, _blobs(4, rng), window=7, verbose=0)


@pytest.mark.parametrize("labels", [["a", "b", "a", float("nan")], ["a", None, "b", "b"], ["a", 1, "b", "b"]])
def test_labels_that_are_missing(labels, classifier, rng, no_training):
    with pytest.raises(ValueError, match=r"labels are whole numbers or names, all of one kind, got (nan|None|1) among"):
        groco.finetune(classifier, (_squares(2, rng)[0], np.array(labels, object)), verbose=0)


def test_what_systems_leave_is_no_class(classifier, rng, tmp_path, monkeypatch):
    _stop_training(monkeypatch)
    data = _as_folder(tmp_path / "data", *_squares(4, rng))
    (data / "__MACOSX" / "full").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        groco.finetune(classifier, data, verbose=0)


def test_arrays_of_another_size(classifier, rng, no_training):
    with pytest.raises(ValueError, match=r"data is of 30 x 30 pixels, the model needs .*; give a size \(size=, --size"):
        groco.finetune(classifier, _squares(4, rng, size=30), verbose=0)


def test_a_loss_that_is_not_finite_stops_and_leaves_nothing(classifier, rng, tmp_path, eager):
    def spoil(inputs, labels, rng):
        return inputs * np.float32(np.nan), labels

    with pytest.raises(ValueError, match=r"The loss is nan in epoch 1; a smaller learning rate"):
        groco.finetune(
            classifier, _squares(2, rng), epochs=2, augment=spoil, output=tmp_path / "p4cnn.spoiled", verbose=0
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs is a whole number of 1 or more, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size is a whole number"),
        ({"learning_rate": -1}, ValueError, "learning_rate is a number above 0"),
        ({"freeze": 21}, ValueError, "freeze is at most the number of epochs, 20, got 21"),
        ({"validation_split": 1.0}, ValueError, "validation_split is a number between 0 and 1"),
        ({"seed": -1}, ValueError, "seed is a whole number"),
        ({"size": 30.5}, ValueError, "size is a whole number above 0, or height and width"),
        ({"size": (3, 4, 5)}, ValueError, "size is a whole number above 0, or height and width"),
        (
            {"size": 29},
            ValueError,
            r"for input_shape=.29, 29, 1., but for 28 x 28 and 30 x 30\. In the net, Group",
        ),
        ({"window": 8}, ValueError, "windows and inverted masks are for segmentation"),
        ({"augment": lambda x: x}, ValueError, "takes inputs, labels and a random generator.*TypeError"),
        (
            {"augment": lambda x, y, rng: x},
            ValueError,
            "returns inputs and labels; <lambda> does not: TypeError: got ndarray",
        ),
        ({"augment": lambda x, y, rng: (x[:1], y)}, ValueError, "makes 1 inputs and 2 labels of 2"),
        ({"augment": "P5"}, ValueError, "P5"),
        ({"test": "nowhere"}, FileNotFoundError, "no folder and no .npz file 'nowhere'"),
        ({"classes": ["u", "v"]}, ValueError, "has other labels than u, v: full, hollow"),
        ({"output": "."}, FileExistsError, "exists already"),
        ({"output": "p4cnn.rotmnist"}, ValueError, "'p4cnn.rotmnist' is the name of a model that comes with groco"),
        ({"output": "pyproject.toml/model"}, ValueError, "is not a folder that may be written to"),
    ],
)
def test_arguments_are_checked_before_training(options, error, message, classifier, rng, no_training, request):
    options = {key: request.config.rootpath / v if key == "output" else v for key, v in options.items()}
    with pytest.raises(error, match=message):
        groco.finetune(classifier, _squares(4, rng), verbose=0, **options)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nowhere", "no folder and no .npz file"),
        ("empty", "has no folders with image files, one for each class"),
        ("one class", "needs two classes or more, of different names, got full"),
        ("empty class", "nothing' has no image files; remove the folder if it is not a class"),
        (
            "single image",
            "The class 'hollow' has 1 image.s.: one at least is needed to train on and one",
        ),
        ("unreadable", "broken.png' cannot be read as an image"),
        ("truncated", "cannot be read as an image"),
        ("size", "0.png' is of 30 x 30 pixels, the model needs images of 28 x 28 pixels .*; give a size .--size."),
        ("other test classes", "has other classes than full, hollow: solid"),
        ("npz", "is not an .npz with the arrays images and labels"),
    ],
)
def test_folders_are_checked_before_training(case, message, classifier, rng, no_training, tmp_path, capsys):
    data, extra = tmp_path / "data", []
    images, labels = _squares(3, rng, size=30 if case == "size" else 28)
    if case not in ("nowhere", "empty"):
        _as_folder(data, images, labels)
    if case == "empty":
        data.mkdir()
    elif case == "one class":
        for file in (data / "hollow").iterdir():
            file.unlink()
        (data / "hollow").rmdir()
    elif case == "empty class":
        (data / "nothing").mkdir()
    elif case == "single image":
        for file in sorted((data / "hollow").iterdir())[1:]:
            file.unlink()
    elif case == "unreadable":
        (data / "full" / "broken.png").write_text("not an image")
    elif case == "truncated":
        file = data / "full" / "0.png"
        file.write_bytes(file.read_bytes()[:-200])
    elif case == "other test classes":
        extra = ["--test", str(_as_folder(tmp_path / "test", images, ["solid"] * 6))]
    elif case == "npz":
        data = tmp_path / "data.npz"
        np.savez(data, pictures=images)
    before = sorted(tmp_path.rglob("*"))
    output = tmp_path / "p4cnn.made"
    assert cli.main(["finetune", str(classifier), "--data", str(data), "--output", str(output), *extra]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("groco finetune: ")
    with pytest.raises(ValueError, match=message):
        raise ValueError(error)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no masks", "has no folder 'masks' with files"),
        ("missing mask", "images/002.png' has no partner in .*masks"),
        ("missing image", "masks/002.png' has no partner in .*images"),
        ("mask size", "masks/001.png' is of 16 x 14 pixels, its image .*001.png' of 16 x 16"),
        ("colour mask", "a mask has one value at each point, 2 axes"),
        ("grey mask", "masks are 0 and 255 .or 1., or have the index of a class at each point; got the values"),
        ("constant", "All labels to train on are the same"),
        ("odd size", "is of 15 x 15 pixels, the model needs images .*multiple of 2"),
        ("several sizes", "001.png' is of 8 x 8 pixels, .*000.png' of 16 x 16 pixels; give a size"),
        ("window", "A window of 17 points does not fit images of 16 x 16"),
    ],
)
def test_pairs_are_checked_before_training(case, message, segmenter, rng, no_training, tmp_path):
    images, masks = _blobs(4, rng, size=15 if case == "odd size" else 16)
    data = _as_pairs(tmp_path / "data", images, masks)
    if case == "no masks":
        (data / "masks").rename(data / "labels")
    elif case == "missing mask":
        (data / "masks" / "002.png").unlink()
    elif case == "missing image":
        (data / "images" / "002.png").unlink()
    elif case == "mask size":
        Image.fromarray(masks[1, :, :14]).save(data / "masks" / "001.png")
    elif case == "colour mask":
        Image.new("RGB", masks[1].shape[::-1], (255, 0, 0)).save(data / "masks" / "001.png")
    elif case == "grey mask":
        Image.fromarray(images[1]).save(data / "masks" / "001.png")
    elif case == "constant":
        for file in (data / "masks").iterdir():
            Image.new("L", (16, 16)).save(file)
    elif case == "several sizes":
        for kind, array in (("images", images), ("masks", masks)):
            Image.fromarray(array[1, :8, :8]).save(data / kind / "001.png")
    with pytest.raises(ValueError, match=message):
        groco.finetune(segmenter, data, window=17 if case == "window" else None, verbose=0)


def test_windows_are_turned_whatever_the_images_are(segmenter, rng, eager):
    images, masks = _blobs(4, rng)
    options = {"window": 8, "augment": "P4", "epochs": 1, "verbose": 0}
    assert groco.finetune(segmenter, (images[:, :, :12], masks[:, :, :12]), **options).train_examples == 3


def test_an_array_file_that_does_not_fit_is_named(classifier, tmp_path, no_training):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(2):
            np.save(tmp_path / name / f"{index}.npy", np.full((28, 28), 300 if (name, index) == ("b", 1) else 0))
    with pytest.raises(ValueError, match=r"b/1\.npy"):
        groco.finetune(classifier, tmp_path, verbose=0)


def test_a_model_that_cannot_be_saved_is_not_lost(classifier, tmp_path, rng, monkeypatch, capsys, eager):
    """The disk is full after the training; the model is elsewhere."""
    write, output = tuning.write_folder, tmp_path / "p4cnn.squares"

    def full(folder, **kwargs):
        if folder == output:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(folder, **kwargs)

    monkeypatch.setattr(tuning, "write_folder", full)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(OSError, match=r"cannot be written \(.*No space left on device\); the trained model is in") as e:
        groco.finetune(classifier, _squares(4, rng), epochs=1, output=output, verbose=0)
    rescued = str(e.value).split("'")[-2]
    assert groco.from_pretrained(rescued).output_shape == (None, 2)
    assert not output.exists()


def test_a_process_that_can_write_nothing_ends_as_it_should(tmp_path):
    """HDF5, where it cannot write a file, takes the process down when it ends."""
    pytest.importorskip("resource")
    code = f"""
import resource
import groco

images, labels = groco.data.digits()
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    groco.finetune("p4cnn.rotmnist", (images[::20], labels[::20]), epochs=1, verbose=0, output={str(tmp_path / "x")!r})
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout
    assert "the model is lost" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_command_imports_no_tensorflow_on_other_backends(backend, tmp_path):
    """Which Keras does wherever it is installed, to seed it and to save a model."""
    pytest.importorskip(backend)
    images, labels = groco.data.digits()
    np.savez(tmp_path / "digits.npz", images=images[::20], labels=labels[::20])
    code = """
import sys
from groco.cli import main
assert "keras" not in sys.modules
assert main(sys.argv[1:]) == 0
assert "keras" in sys.modules and "tensorflow" not in sys.modules
"""
    command = [sys.executable, "-c", f"import sys; sys.argv[0] = 'groco'{code}", "finetune", "p4cnn.rotmnist"]
    command += ["--data", str(tmp_path / "digits.npz"), "--output", str(tmp_path / "out"), "--epochs", "1"]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "groco.json").is_file()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_what_mixed_precision_made_is_verified_in_float32(policy, classifier, tmp_path, rng, eager):
    keras.config.set_dtype_policy(policy)  # what all tests share sets it back
    output = tmp_path / "p4cnn.squares"
    tuned = groco.finetune(classifier, _squares(4, rng), epochs=1, output=output, verbose=0)
    assert tuned.model.dtype_policy.name == keras.config.dtype_policy().name == policy
    assert groco.verify(output).golden_error < 1e-4
    keras.config.set_dtype_policy("float32")
    assert groco.verify(output).golden_error < 1e-4


def test_a_model_that_no_folder_can_be_made_of_is_not_lost(classifier, tmp_path, rng, monkeypatch, eager):
    """Whatever goes wrong after the training, the weights are kept."""

    def fail(folder, **kwargs):
        raise TypeError("no card can be made")

    monkeypatch.setattr(tuning, "write_folder", fail)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(OSError, match=r"no card can be made.*the trained model is in") as e:
        groco.finetune(classifier, _squares(4, rng), epochs=1, output=tmp_path / "p4cnn.squares", verbose=0)
    rescued = str(e.value).split("'")[-2]
    assert keras.saving.load_model(rescued, compile=False).output_shape == (None, 2)


def test_images_dark_on_light(classifier, rng, tmp_path, eager, caplog):
    """The preprocessor of what was trained on inverted images inverts them, and not if they are inverted again."""
    images, labels = _squares(4, rng)
    options = {"epochs": 1, "seed": 3, "verbose": 0}
    light = groco.finetune(classifier, (images, labels), **options)
    dark = groco.finetune(classifier, (255 - images, labels), invert=True, output=tmp_path / "p4cnn.dark", **options)
    np.testing.assert_array_equal(dark.preprocessor(255 - images), light.preprocessor(images))
    assert groco.preprocessor(tmp_path / "p4cnn.dark").inverted
    assert "which the preprocessor inverts" in (tmp_path / "p4cnn.dark" / "README.md").read_text()
    with caplog.at_level(logging.WARNING, "groco"):
        again = groco.finetune(tmp_path / "p4cnn.dark", (images, labels), invert=True, **options)
    assert not again.preprocessor.inverted
    assert "inverts images already; with invert=True they are taken as they are" in caplog.text


def test_the_default_name_is_none_of_a_model_that_comes_with_groco(tmp_path):
    names = {"rotmnist": "rotmnist_tuned", "My cells": "my_cells", "v1.2": "v1_2", "cells.npz": "cells"}
    for data, expected in ((data, f"p4cnn.{name}") for data, name in names.items()):
        assert str(_default_output("p4cnn.rotmnist", str(tmp_path / data))) == expected


def test_a_folder_that_appears_while_it_is_written_is_left_alone(classifier, tmp_path, rng, monkeypatch, eager):
    """Of another process; what was trained is elsewhere."""
    golden_error, output = folder_module.golden_error, tmp_path / "p4cnn.squares"

    def meanwhile(*args):
        output.mkdir(exist_ok=True)
        (output / "of another").write_text("kept")
        return golden_error(*args)

    monkeypatch.setattr(folder_module, "golden_error", meanwhile)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(OSError, match="the trained model is in"):
        groco.finetune(classifier, _squares(4, rng), epochs=1, output=output, verbose=0)
    assert [file.name for file in output.iterdir()] == ["of another"]


def test_numbers_of_numpy(classifier, rng, tmp_path, eager):
    numbers = {"epochs": np.int64(1), "seed": np.int32(2), "batch_size": np.int64(4), "freeze": np.int8(0)}
    tuned = groco.finetune(
        classifier, _squares(4, rng), size=np.array([28, 28]), output=tmp_path / "p4cnn.numbers", verbose=0, **numbers
    )
    assert groco.preprocessor(tuned.folder).size == (28, 28)


def test_names_that_cannot_be_written(classifier, rng, no_training, tmp_path):
    images, _ = _squares(2, rng)
    with pytest.raises(ValueError, match=r"'caf\\udce9' is not in UTF-8; rename it"):
        groco.finetune(classifier, (images, ["caf\udce9"] * 2 + ["tea"] * 2), verbose=0)
    with pytest.raises(ValueError, match="is not in UTF-8"):
        groco.finetune(classifier, tmp_path / "caf\udce9", verbose=0)


def test_data_that_is_no_array(classifier, segmenter, no_training, rng):
    with pytest.raises(ValueError, match="images are an array, or several, got int"):
        groco.finetune(classifier, (5, [0, 1]), verbose=0)
    images, _ = _blobs(2, rng)
    with pytest.raises(ValueError, match="masks are an array, or several, got int"):
        groco.finetune(segmenter, (images, 5), verbose=0)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    arguments = {"input_shape": [28, 28, 1], "num_classes": 2, "width": 1}
    preprocess = Preprocessor((28, 28), 1, 0.0, 1.0, ("a", "b"))
    folder = _write(tmp_path / "new" / "p4cnn.small", "p4cnn", arguments, preprocess)
    assert json.loads((folder / "groco.json").read_text())["parameters"] == sum(
        np.prod(w.shape) for w in groco.from_pretrained(folder).trainable_weights
    )
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(FileExistsError, match="exists already"):
        _write(folder, "p4cnn", arguments, preprocess)
    with pytest.raises(PretrainedError, match="no card can be made"):
        _write(folder, "p4cnn", arguments, preprocess, metrics=("speed",), replace=True) if not monkeypatch.setitem(
            INFORMATION, "recipe", {}
        ) else None
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    monkeypatch.undo()
    _write(folder, "p4cnn", {**arguments, "width": 2}, preprocess, replace=True)
    assert groco.from_pretrained(folder).get_layer("conv1").filters == 2
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
