"""Evaluating a trained model says whether it still has the error that the manifest states."""

import dataclasses
import math
from pathlib import Path

import pytest

import groco
from groco.data import digits
from training import datasets, evaluate, train

NAME, CONFIG = "p4cnn.rotmnist", "p4cnn_rotmnist"


@pytest.fixture
def sample(monkeypatch):
    """The test set is the 1,000 digits that come with groco; their error becomes the manifest's."""
    monkeypatch.setattr(datasets, "load", lambda *args, **kwargs: {"test": digits()})
    images, labels = digits()
    logits = groco.from_pretrained(NAME).predict(groco.preprocessor(NAME)(images), batch_size=500, verbose=0)
    return float((logits.argmax(axis=-1) != labels).mean())


def test_evaluate(sample, monkeypatch, capsys):
    info = groco.model_info(NAME)
    for name, stated, status in ((NAME, sample, 0), (CONFIG, sample, 0), (NAME, sample + 0.01, 1), (NAME, math.nan, 1)):
        changed = dataclasses.replace(info, metrics={**info.metrics, "test_error": stated})
        monkeypatch.setattr(groco, "model_info", lambda name, changed=changed: changed)
        assert evaluate.main([name]) == status
        assert f"test error {100 * sample:.2f} %" in capsys.readouterr().out


def test_a_folder_and_a_config_by_its_path(sample, capsys, tmp_path):
    from groco.pretrained.manifest import model_folder

    path = Path(train.__file__).parent / "configs" / f"{CONFIG}.py"
    for name in (str(model_folder(NAME)), str(path)):
        evaluate.main([name])
        assert f"{name}: test error {100 * sample:.2f} %, stated: " in capsys.readouterr().out
    own = tmp_path / "mine.py"
    own.write_text(path.read_text().replace("p4cnn.rotmnist", "mine.rotmnist"))
    assert evaluate.main([str(own)]) == 1
    assert "no trained model 'mine.rotmnist' of this config; give the folder of its run" in capsys.readouterr().err


def test_errors_are_one_line(capsys, tmp_path):
    assert evaluate.main(["resnet"]) == 1
    assert "no trained model 'resnet'" in capsys.readouterr().err
    assert evaluate.main([NAME, "--data", str(tmp_path / "mnist.npz")]) == 1
    assert "There is no file or folder" in capsys.readouterr().err
