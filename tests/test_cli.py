"""The command line: what a person types, what they see, and what the shell is told."""

import numpy as np
import pytest
from PIL import Image

import groco
from groco import cli, demo
from groco.data import digits

NAME = "p4cnn.rotmnist"


@pytest.fixture
def files(tmp_path):
    images, labels = digits()
    paths = []
    for index in range(0, 1000, 250):
        path = tmp_path / f"{labels[index]}_{index}.png"
        Image.fromarray(images[index, ..., 0]).save(path)
        paths.append(str(path))
    return paths, labels[::250]


def _run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list(capsys):
    status, out, _ = _run(capsys, "list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == groco.list_pretrained()
    assert "24,680 parameters" in out
    status, out, err = _run(capsys, "list", "resnet*")
    assert (status, out) == (2, "")
    assert err == "groco list: no trained model matches 'resnet*'\n"


def test_predict(files, capsys):
    paths, labels = files
    status, out, _ = _run(capsys, "predict", NAME, *paths)
    assert status == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == paths
    assert [int(row[1]) for row in rows] == labels.tolist()
    assert all(0.1 <= float(row[2]) <= 1 for row in rows)


def test_predict_dark_on_light(files, capsys, tmp_path):
    paths, labels = files
    inverted = tmp_path / "inverted.png"
    with Image.open(paths[1]) as image:
        Image.fromarray(255 - np.asarray(image)).save(inverted)
    _, out, _ = _run(capsys, "predict", NAME, inverted, "--invert")
    assert out.split("\t")[1] == str(labels[1])


def test_evaluate(files, capsys, tmp_path):
    status, out, _ = _run(capsys, "evaluate", NAME)
    assert status == 0
    line = next(line for line in out.splitlines() if line.startswith(NAME))
    wrong = int(line.split(": ")[1].split()[0])
    images, labels = digits()
    model, preprocess = groco.from_pretrained(NAME), groco.preprocessor(NAME)
    assert wrong == int((model.predict(preprocess(images), verbose=0).argmax(-1) != labels).sum())
    assert "images per second" in out

    folder = tmp_path / "classes"
    for index in range(0, 1000, 100):
        (folder / str(labels[index])).mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index, ..., 0]).save(folder / str(labels[index]) / f"{index}.png")
    status, out, _ = _run(capsys, "evaluate", NAME, "--data", folder)
    assert status == 0
    assert "of 10 wrong" in out

    np.savez(tmp_path / "data.npz", images=images[:20], labels=labels[:20])
    status, out, _ = _run(capsys, "evaluate", NAME, "--data", tmp_path / "data.npz")
    assert status == 0
    assert "of 20 wrong" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "p4cn.rotmnist", "{good}"], "no trained model 'p4cn.rotmnist'. Close names: p4cnn.rotmnist"),
        (["predict", NAME, "nowhere.png"], "no image file 'nowhere.png'"),
        (["predict", NAME, "{good}", "{text}"], "cannot be read as an image"),
        (["predict", NAME, "{large}"], "has 30 x 28 pixels, the model needs 28 x 28"),
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
def test_errors_are_one_line(arguments, message, files, tmp_path, capsys):
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
    status, out, err = _run(capsys, *[a.format(**places) for a in arguments])
    assert (status, out) == (2, "")
    assert err.startswith(f"groco {arguments[0]}: ")
    assert message in err
    assert err.count("\n") == 1


def test_usage(capsys):
    for arguments, status in ((["--version"], 0), (["--help"], 0), ([], 2), (["fly"], 2)):
        with pytest.raises(SystemExit) as raised:
            cli.main(arguments)
        assert raised.value.code == status
    assert groco.__version__ in capsys.readouterr().out


def test_demo(capsys, tmp_path):
    picture = tmp_path / "new" / "demo.png"
    status, out, _ = _run(capsys, "demo", "--picture", picture)
    assert status == 0
    assert "images per second" in out
    assert out.count("ok    ") == 4
    with Image.open(picture) as image:
        assert image.size[0] > 300


def test_demo_fails_if_a_check_fails(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "ERROR_LIMIT", 0.0)
    status, out, _ = _run(capsys, "demo", "--picture", tmp_path / "demo.png")
    assert status == 1
    assert "FAILED error of p4cnn.rotmnist at most 0 %" in out
