"""`groco predict` and `groco evaluate`."""

import json
import shutil
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

import groco
from groco.data import digits
from groco.pretrained.manifest import model_folder
from tests.cli.conftest import NAME


def test_predict(files, run):
    paths, labels = files
    status, out, _ = run("predict", NAME, *paths)
    assert status == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == paths
    assert [int(row[1]) for row in rows] == labels.tolist()
    assert all(0.1 <= float(row[2]) <= 1 for row in rows)


def test_predict_several_classes_as_json(files, run):
    paths, labels = files
    status, out, _ = run("predict", NAME, *paths[:2], "--top", "3", "--json")
    assert status == 0
    content = json.loads(out)
    assert [entry["image"] for entry in content] == paths[:2]
    assert [int(entry["classes"][0]["class"]) for entry in content] == labels[:2].tolist()
    for entry in content:
        found = [row["probability"] for row in entry["classes"]]
        assert len(found) == 3
        assert found == sorted(found, reverse=True)


def test_predict_dark_on_light(files, run, tmp_path):
    paths, labels = files
    inverted = tmp_path / "inverted.png"
    with Image.open(paths[1]) as image:
        Image.fromarray(255 - np.asarray(image)).save(inverted)
    _, out, _ = run("predict", NAME, inverted, "--invert")
    assert out.split("\t")[1] == str(labels[1])
    inverting = tmp_path / "p4cnn.dark"
    shutil.copytree(model_folder(NAME), inverting)
    replace(groco.preprocessor(NAME), inverted=True).save(inverting / "preprocessor.json")
    for options, expected in (([inverted], ""), ([paths[1], "--invert"], "inverts images by itself")):
        _, out, err = run("predict", inverting, *options)
        assert out.split("\t")[1] == str(labels[1])
        assert expected in err


def test_segment(unet, run, tmp_path, rng):
    """A map of the image's size for each image, whatever its size, and the same as of the model itself."""
    model, preprocess = groco.from_pretrained(unet), groco.preprocessor(unet)
    paths, expected = [], []
    for name, size in (("a", (8, 12)), ("b", (16, 8))):
        image = rng.integers(0, 256, size).astype("uint8")
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
        expected.append(_outputs(model, preprocess, image)[0, ..., 0])
    status, out, _ = run("predict", unet, *paths, "--output", tmp_path / "maps")
    assert status == 0
    for line, logits in zip(out.splitlines(), expected, strict=True):
        _, path, share = line.split("\t")
        with Image.open(path) as file:
            found = np.asarray(file)
        np.testing.assert_array_equal(found, np.where(logits >= 0, 255, 0))
        assert 0 < (logits >= 0).mean() < 1, "else it could be any map"
        assert float(share) == pytest.approx((logits >= 0).mean(), abs=1e-3)
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["a.png", "b.png"]
    status, out, _ = run("predict", unet, paths[0], "--output", tmp_path / "maps", "--probabilities", "--json")
    [entry] = json.loads(out)
    with Image.open(entry["map"]) as file:
        np.testing.assert_allclose(np.asarray(file), 255 / (1 + np.exp(-expected[0])), atol=0.51)


def test_segment_into_several_classes(classes_unet, run, tmp_path, rng):
    image = rng.integers(0, 256, (8, 8)).astype("uint8")
    Image.fromarray(image).save(tmp_path / "image.png")
    status, out, _ = run("predict", classes_unet, tmp_path / "image.png", "--output", tmp_path / "maps", "--json")
    assert status == 0
    [entry] = json.loads(out)
    logits = _outputs(groco.from_pretrained(classes_unet), groco.preprocessor(classes_unet), image)[0]
    with Image.open(entry["map"]) as file:
        np.testing.assert_array_equal(np.asarray(file), logits.argmax(-1))
    assert list(entry["shares"]) == ["sky", "land", "sea"]
    assert sum(entry["shares"].values()) == pytest.approx(1)


def test_segment_volumes(volume_unet, run, tmp_path, rng):
    volume = rng.integers(0, 256, (4, 4, 4)).astype("uint8")
    np.save(tmp_path / "volume.npy", volume)
    status, out, _ = run("predict", volume_unet, tmp_path / "volume.npy", "--output", tmp_path / "maps")
    assert status == 0
    logits = _outputs(groco.from_pretrained(volume_unet), groco.preprocessor(volume_unet), volume)
    np.testing.assert_array_equal(np.load(out.split("\t")[1]), logits[0, ..., 0] >= 0)


def test_evaluate(run, tmp_path):
    status, out, _ = run("evaluate", NAME)
    assert status == 0
    line = next(line for line in out.splitlines() if line.startswith(NAME))
    wrong = int(line.split(": ")[1].split()[0])
    images, labels = digits()
    model, preprocess = groco.from_pretrained(NAME), groco.preprocessor(NAME)
    predicted = _outputs(model, preprocess, images).argmax(-1)
    assert wrong == int((predicted != labels).sum())
    assert "images per second" in out

    folder = tmp_path / "classes"
    for index in range(0, 1000, 100):
        (folder / str(labels[index])).mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index, ..., 0]).save(folder / str(labels[index]) / f"{index}.png")
    status, out, _ = run("evaluate", NAME, "--data", folder)
    assert status == 0
    assert "of 10 wrong" in out

    np.savez(tmp_path / "data.npz", images=images[:20], labels=(labels[:20] + 1) % 10)
    status, out, _ = run("evaluate", NAME, "--data", tmp_path / "data.npz", "--json")
    assert status == 0
    content = json.loads(out)
    expected = int((predicted[:20] != (labels[:20] + 1) % 10).sum())
    assert (content["examples"], content["wrong"]) == (20, expected)
    assert content["test_error"] == expected / 20


def test_evaluate_segmentation(unet, run, tmp_path, rng):
    """Pixel error and Dice coefficient as computed here, from a folder and from an .npz, of masks and inverted ones."""
    images = rng.integers(0, 256, (3, 8, 8)).astype("uint8")
    masks = rng.random((3, 8, 8)) < 0.3
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "masks").mkdir()
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{index}.png")
    np.savez(tmp_path / "inverted.npz", images=images[..., None], masks=~masks)
    found = _outputs(groco.from_pretrained(unet), groco.preprocessor(unet), images)[..., 0] >= 0
    assert 0 < found.mean() < 1
    error, dice = (found != masks).mean(), 2 * (found & masks).sum() / (found.sum() + masks.sum())

    status, out, _ = run("evaluate", unet, "--data", tmp_path / "data")
    assert status == 0
    assert out.endswith(f"3 images, pixel error {100 * error:.2f} %, Dice {dice:.4f}\n")
    status, out, _ = run("evaluate", unet, "--data", tmp_path / "inverted.npz", "--invert-masks", "--json")
    content = json.loads(out)
    assert (content["examples"], content["points"]) == (3, 192)
    assert content["pixel_error"] == pytest.approx(error)
    assert content["dice"] == pytest.approx(dice)


def test_evaluate_segmentation_of_several_classes(classes_unet, run, tmp_path, rng):
    """Dice is the mean over the classes that there are."""
    images = rng.integers(0, 256, (2, 8, 8)).astype("uint8")
    masks = rng.integers(0, 3, (2, 8, 8))
    np.savez(tmp_path / "data.npz", images=images, masks=masks)
    found = _outputs(groco.from_pretrained(classes_unet), groco.preprocessor(classes_unet), images).argmax(-1)
    dice = [2 * ((found == k) & (masks == k)).sum() / ((found == k).sum() + (masks == k).sum()) for k in range(3)]
    _, out, _ = run("evaluate", classes_unet, "--data", tmp_path / "data.npz", "--json")
    content = json.loads(out)
    assert content["pixel_error"] == pytest.approx((found != masks).mean())
    assert content["dice"] == pytest.approx(np.mean(dice))


def test_labels_are_names_or_numbers(run, tmp_path, monkeypatch):
    """Names of classes as they are; numbers as names if these are numbers, else as indices."""
    images = digits()[0][:4]
    model = groco.from_pretrained(NAME)
    monkeypatch.setattr("groco.cli.inference._load", lambda name: model)
    predicted = _outputs(model, groco.preprocessor(NAME), images).argmax(-1)

    def wrong(classes, labels):
        known = replace(groco.preprocessor(NAME), classes=classes)
        monkeypatch.setattr(sys.modules["groco.pretrained.preprocessor"], "preprocessor", lambda name: known)
        np.savez(tmp_path / "data.npz", images=images, labels=labels)
        status, out, err = run("evaluate", NAME, "--data", tmp_path / "data.npz", "--json")
        return json.loads(out)["wrong"] if status == 0 else err

    letters, shifted = tuple("abcdefghij"), tuple(map(str, range(10, 20)))
    assert wrong(letters, predicted) == 0
    assert wrong(letters, [letters[k] for k in predicted]) == 0
    assert wrong(shifted, predicted + 10) == 0
    assert wrong(shifted, [str(k + 10) for k in predicted]) == 0
    assert "has labels that are not 10, 11, 12" in wrong(shifted, predicted)
    assert "has labels that are not 0 to 9" in wrong(letters, predicted + 10)
    assert "has other labels than a, b" in wrong(letters, ["a", "b", "z", "a"])


def test_maps_of_resized_images_have_the_size_of_the_images(unet, run, tmp_path, rng):
    """And masks are compared with what the model sees."""
    sized = tmp_path / "unet.sized"
    shutil.copytree(unet, sized)
    preprocess = replace(groco.preprocessor(unet), size=(8, 8), multiple_of=1, resize=True)
    preprocess.save(sized / "preprocessor.json")
    images, masks = rng.integers(0, 256, (2, 20, 12)).astype("uint8"), np.zeros((2, 20, 12), "uint8")
    masks[:, :10] = 255
    for kind, arrays in (("images", images), ("masks", masks)):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        for index, array in enumerate(arrays):
            Image.fromarray(array).save(tmp_path / "pairs" / kind / f"{index}.png")
    np.savez(tmp_path / "pairs.npz", images=images, masks=masks)
    status, _, _ = run("predict", sized, tmp_path / "pairs" / "images" / "0.png", "--output", tmp_path / "maps")
    assert status == 0
    with Image.open(tmp_path / "maps" / "0.png") as file:
        assert file.size == (12, 20)
    contents = [
        json.loads(run("evaluate", sized, "--data", tmp_path / data, "--json")[1]) for data in ("pairs", "pairs.npz")
    ]
    prepared = preprocess(preprocess.read([tmp_path / "pairs" / "images" / f"{i}.png" for i in range(2)]))
    found = keras.ops.convert_to_numpy(groco.from_pretrained(sized)(prepared))[..., 0] >= 0
    expected = np.zeros((8, 8), bool)
    expected[:4] = True
    for content in contents:
        assert content["points"] == 2 * 8 * 8
        assert content["pixel_error"] == pytest.approx((found != expected).mean())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "p4cn.rotmnist", "{good}"], "no trained model 'p4cn.rotmnist'. Close names: p4cnn.rotmnist"),
        (["predict", NAME, "nowhere.png"], "no image file 'nowhere.png'"),
        (["predict", NAME, "{good}", "{text}"], "cannot be read as an image"),
        (["predict", NAME, "{large}"], "has shape (30, 28, 1); the model needs images of 28 x 28 pixels"),
        (["predict", NAME, "{good}", "--top", "0"], "--top is at least 1, got 0"),
        (["predict", NAME, "{good}", "--output", "{empty}"], "--output and --probabilities are for segmentation"),
        (["evaluate", "resnet"], "no trained model 'resnet'"),
        (["evaluate", NAME, "--data", "nowhere"], "no file or folder 'nowhere'"),
        (["evaluate", NAME, "--data", "{text}"], "is not an .npz with the arrays images and labels"),
        (["evaluate", NAME, "--data", "{empty}"], "no folders with image files"),
        (["evaluate", NAME, "--data", "{classes}"], "classes the model does not know: cat; it knows 0, 1, 2"),
        (["evaluate", NAME, "--data", "{labels}"], "labels that are not 0 to 9"),
        (["evaluate", NAME, "--data", "{lengths}"], "has 3 images and labels of shape (2,)"),
        (["evaluate", NAME, "--data", "{sizes}"], "needs images of 28 x 28 pixels"),
    ],
)
def test_errors_are_one_line(arguments, message, files, tmp_path, run):
    places = {name: tmp_path / name for name in ("text", "large", "empty", "classes", "labels", "lengths", "sizes")}
    places["text"] = tmp_path / "text.png"
    places["text"].write_text("not an image")
    places["large"] = tmp_path / "large.png"
    Image.new("L", (28, 30)).save(places["large"])
    places["empty"].mkdir()
    (places["classes"] / "cat").mkdir(parents=True)
    Image.new("L", (28, 28)).save(places["classes"] / "cat" / "1.png")
    for name, images, labels in (
        ("labels", np.zeros((2, 28, 28)), [3, 10]),
        ("lengths", np.zeros((3, 28, 28)), [3, 4]),
        ("sizes", np.zeros((2, 32, 32)), [3, 4]),
    ):
        places[name] = tmp_path / f"{name}.npz"
        np.savez(places[name], images=images, labels=labels)
    places["good"] = files[0][0]
    _fails(run, [a.format(**places) for a in arguments], message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "{unet}", "{good}"], "gives a map for each image; say where they go with --output"),
        (["predict", "{unet}", "{good}", "{odd}", "--output", "{new}"], "any x any pixels (a multiple of 2)"),
        (["predict", "{unet}", "{good}", "{same}", "--output", "{new}"], "would have one map, "),
        (["predict", "{unet}", "{good}", "--output", "{here}"], "would replace it"),
        (["evaluate", "{unet}"], "say where the images and masks"),
        (["evaluate", "{unet}", "--data", "{here}"], "has no folder 'images' with files"),
        (["evaluate", "{unet}", "--data", "{alone}"], "b.png' has no partner in"),
        (["evaluate", "{unet}", "--data", "{shapes}"], "has shape (6, 8), its image (8, 8)"),
        (["evaluate", "{unet}", "--data", "{lengths}"], "has 2 images and 1 masks"),
        (["evaluate", "{unet}", "--data", "{none}"], "is not an .npz with the arrays images and masks"),
        (["evaluate", "{unet}", "--data", "{floats}"], "the values of masks are whole numbers, got float32"),
        (["evaluate", "{unet}", "--data", "{edges}"], "masks of one class are 0 and 255 (or 1), got the values [0, 3]"),
    ],
)
def test_errors_of_segmentation_are_one_line(arguments, message, unet, tmp_path, run):
    (tmp_path / "other").mkdir()
    for path, size in (("good", (8, 8)), ("odd", (8, 7)), ("other/good", (8, 8))):
        Image.new("L", size).save(tmp_path / f"{path}.png")
    for name, masks, size in (("alone", ("a",), (8, 8)), ("shapes", ("a", "b"), (8, 6))):
        for kind, stems, shape in (("images", ("a", "b"), (8, 8)), ("masks", masks, size)):
            (tmp_path / name / kind).mkdir(parents=True)
            for stem in stems:
                Image.new("L", shape).save(tmp_path / name / kind / f"{stem}.png")
    np.savez(tmp_path / "lengths.npz", images=np.zeros((2, 8, 8)), masks=np.zeros((1, 8, 8)))
    np.savez(tmp_path / "none.npz", images=np.zeros((2, 8, 8)))
    edges = np.where(np.arange(64).reshape(1, 8, 8) == 9, 3, 0)
    for name, masks in (("floats", np.full((1, 8, 8), np.nan, "float32")), ("edges", edges)):
        np.savez(tmp_path / f"{name}.npz", images=np.zeros((1, 8, 8), "uint8"), masks=masks)
    places = {
        "unet": unet,
        "here": tmp_path,
        "new": tmp_path / "new",
        "same": tmp_path / "other" / "good.png",
        **{name: tmp_path / f"{name}.png" for name in ("good", "odd")},
        **{name: tmp_path / name for name in ("alone", "shapes")},
        **{name: tmp_path / f"{name}.npz" for name in ("lengths", "none", "floats", "edges")},
    }
    _fails(run, [a.format(**places) for a in arguments], message)
    assert not (tmp_path / "new").exists(), "nothing is begun"


def _outputs(model, preprocess, images):
    """Without compiling anything."""
    return keras.ops.convert_to_numpy(model(preprocess(images)))


def _fails(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"groco {arguments[0]}: ")
    assert message in err
    assert err.count("\n") == 1
