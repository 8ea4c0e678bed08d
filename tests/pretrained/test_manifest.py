"""The manifest says what is true, and what is wrong with it is named."""

import copy
import json
from pathlib import Path

import pytest

import groco
from groco.pretrained import PretrainedError
from groco.pretrained.manifest import FileInfo, model_folder, parse_manifest, sha256_of, verify_file

ROOT = Path(groco.__file__).parent.parent
GOOD = json.loads((ROOT / "weights_manifest.json").read_text())
NAME = "p4cnn.rotmnist"

every_model = pytest.mark.parametrize("name", groco.list_pretrained())


@every_model
def test_files_are_those_of_the_manifest(name):
    info, folder = groco.model_info(name), model_folder(name)
    assert {file.name for file in folder.iterdir()} == set(info.files)
    for file, expected in info.files.items():
        assert verify_file(folder, file, expected).is_file()
        assert expected.size <= 12_000_000
    assert not any(file.suffix == ".py" for file in folder.iterdir())


@every_model
def test_entries_are_complete(name):
    info = groco.model_info(name)
    assert info.name == name
    assert info.architecture in groco.list_models()
    assert info.status == "bundled"
    assert info.repo_id is None
    assert 0 < info.metrics["test_error"] < 1
    assert info.metrics["dataset"]
    assert info.metrics["seeds"]
    assert info.paper["arxiv"]
    assert {"weights", "data"} <= set(info.licence)
    card = (model_folder(name) / "README.md").read_text()
    assert f"{100 * info.metrics['test_error']:.2f}" in card
    assert name in card


def test_listing():
    assert NAME in groco.list_pretrained()
    assert groco.list_pretrained("*rotmnist") == groco.list_pretrained()
    assert groco.list_pretrained("nothing*") == []
    with pytest.raises(PretrainedError, match=r"no trained model 'p4cnn\.rotmnis'\. Close names: p4cnn\.rotmnist"):
        groco.model_info("p4cnn.rotmnis")


def test_the_manifest_at_hand_is_good():
    assert NAME in parse_manifest(GOOD)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema"], 2, "schema 2; this version of groco reads schema 1"),
        (["models"], [], "'models' must be of type dict"),
        (["models", NAME], 1, "is 1, not a table"),
        (["models", NAME, "status"], "uploaded", "status is one of"),
        (["models", NAME, "revision"], "abc123", "40 hexadecimal digits"),
        (["models", NAME, "status"], "released", "a released model, and no other"),
        (["models", NAME, "parameters"], "many", "'parameters' must be of type int"),
        (["models", NAME, "metrics"], None, "'metrics' must be of type dict"),
        (["models", NAME, "files", "groco.json", "sha256"], "0" * 63, "64 hexadecimal digits"),
        (["models", NAME, "files", "groco.json", "size"], -1, "positive size"),
        (["models", NAME, "files", "groco.json", "size"], True, "'size' must be of type int"),
        (["models", NAME, "files", "../evil"], {"size": 1, "sha256": "0" * 64}, "not the plain name of a file"),
        (["models", NAME, "files", "/etc/passwd"], {"size": 1, "sha256": "0" * 64}, "not the plain name of a file"),
        (["models", NAME, "files", "a\\b"], {"size": 1, "sha256": "0" * 64}, "not the plain name of a file"),
        (["models", "P4 CNN"], {}, "form architecture.tag"),
    ],
)
def test_what_is_wrong_is_named(path, value, message):
    content = copy.deepcopy(GOOD)
    *parents, last = path
    table = content
    for parent in parents:
        table = table[parent]
    table[last] = value
    with pytest.raises(PretrainedError, match=message):
        parse_manifest(content)


@pytest.mark.parametrize("content", [None, [], "manifest", {}])
def test_not_a_manifest(content):
    with pytest.raises(PretrainedError, match="schema"):
        parse_manifest(content)


def test_a_missing_file_of_an_entry():
    content = copy.deepcopy(GOOD)
    del content["models"][NAME]["files"]["model.weights.h5"]
    with pytest.raises(PretrainedError, match=r"files lacks model\.weights\.h5"):
        parse_manifest(content)


def test_files_are_verified(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"good")
    good = FileInfo(4, sha256_of(path))
    assert verify_file(tmp_path, "file", good) == path
    path.write_bytes(b"evil")
    with pytest.raises(PretrainedError, match=r"has sha256 .* the manifest expects"):
        verify_file(tmp_path, "file", good)
    path.write_bytes(b"short"[:3])
    with pytest.raises(PretrainedError, match="has 3 bytes, the manifest expects 4"):
        verify_file(tmp_path, "file", good)
    path.unlink()
    with pytest.raises(PretrainedError, match="is missing"):
        verify_file(tmp_path, "file", good)
