"""`groco list` and `groco info`."""

import json
import shutil

import pytest

import groco
from groco.pretrained.manifest import model_folder
from tests.cli.conftest import NAME


def test_list(run):
    status, out, _ = run("list")
    assert status == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == groco.list_pretrained()
    by_name = {row[0]: row for row in rows}
    assert by_name[NAME][1:3] == ["24680", "test error"]
    assert float(by_name[NAME][3].split()[0]) == pytest.approx(
        100 * groco.model_info(NAME).measured["test_error"].mean, abs=0.01
    )
    status, out, err = run("list", "vgg*")
    assert (status, out) == (2, "")
    assert err == "groco list: no trained model matches 'vgg*'\n"


def test_list_json(run):
    status, out, _ = run("list", "p4cnn.*", "--json")
    assert status == 0
    [entry] = [entry for entry in json.loads(out) if entry["name"] == NAME]
    assert entry["parameters"] == 24680
    assert entry["measured"]["test_error"]["value"] == groco.model_info(NAME).metrics["test_error"]


def test_list_architectures(run):
    status, out, _ = run("list", "--models", "p4m_resnet*")
    assert status == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == groco.list_models("p4m_resnet*")
    assert rows[0][1:] == ["P4M", "group='P4M', widths=(11, 23, 45), depth=110"]
    status, out, _ = run("list", "--models", "*wide_resnet16_4", "--json")
    assert [(entry["name"], entry["equivariant_to"]) for entry in json.loads(out)] == [
        ("p4m_wide_resnet16_4", None),
        ("wide_resnet16_4", None),
    ]
    assert run("list", "--models", "vgg*")[2] == "groco list: no architecture matches 'vgg*'\n"


def test_info(run):
    status, out, _ = run("info", NAME)
    assert status == 0
    fields = dict(line.split("\t") for line in out.splitlines())
    info = groco.model_info(NAME)
    assert fields["parameters"] == "24680"
    assert float(fields["metrics.test_error"]) == info.metrics["test_error"]
    assert fields["files.model.weights.h5.sha256"] == info.files["model.weights.h5"].sha256
    assert fields["licence.weights"] == info.licence["weights"]
    status, out, _ = run("info", NAME, "--json")
    content = json.loads(out)
    assert content["metrics"] == info.metrics
    assert content["files"]["config.json"]["size"] == info.files["config.json"].size


def test_info_of_an_architecture(run):
    status, out, _ = run("info", "p4cnn", "--json")
    assert status == 0
    content = json.loads(out)
    assert (content["equivariant_to"], content["parameters"]) == ("P4", 24680)
    assert content["arguments"]["width"] == 10
    assert NAME in content["trained"]
    assert "equivariant_to\tP4\n" in run("info", "p4cnn")[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("p4cn.rotmnist", "There is no trained model 'p4cn.rotmnist'. Close names: p4cnn.rotmnist"),
        ("vgg", f"there is no trained model or architecture 'vgg'; trained are {', '.join(groco.list_pretrained())}"),
    ],
)
def test_info_of_what_is_not_there(run, name, message):
    status, out, err = run("info", name)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("folder", ["mine", "p4cnn", "my.net", "."])
def test_info_of_a_folder(run, folder, tmp_path, monkeypatch):
    """Also of one named like an architecture."""
    shutil.copytree(model_folder(NAME), tmp_path / folder, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("info", folder, "--json")
    content = json.loads(out)
    assert (status, content["name"]) == (0, (tmp_path / folder).resolve().name)
    assert content["metrics"] == groco.model_info(NAME).metrics
    assert content["files"]["config.json"]["size"] > 0
    assert f"parameters\t{content['parameters']}\n" in run("info", folder)[1]


def test_info_of_a_folder_of_something_else(run, tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path)
    status, out, err = run("info", "./pictures")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "groco.json" in err
