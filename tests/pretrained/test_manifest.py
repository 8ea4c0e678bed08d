"""The manifest says what is true, and what is wrong with it is named."""

import copy
import json
from pathlib import Path

import pytest

import groco
from groco.pretrained import PretrainedError
from groco.pretrained.manifest import (
    FileInfo,
    model_folder,
    parse_manifest,
    read_manifest,
    release,
    sha256_of,
    verify_file,
)

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
    assert all(0 < metric.value < 1 for metric in info.measured.values())
    assert info.metrics["dataset"]
    assert info.metrics["seeds"]
    assert info.paper is None or info.paper["arxiv"]
    assert {"weights", "data"} <= set(info.licence)
    assert groco.preprocessor(name).task == info.task


def test_listing():
    assert NAME in groco.list_pretrained()
    assert all(name.endswith(".rotmnist") for name in groco.list_pretrained("*rotmnist"))
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
        (["models", NAME, "repo_id"], "../groco", "form organisation/name"),
        (["models", NAME, "repo_id"], "https://elsewhere/x", "form organisation/name"),
        (["models", NAME, "task"], "detection", "task is one of classification, segmentation"),
        (["models", NAME, "task"], "segmentation", "metrics of segmentation are pixel_error.*not test_error"),
        (["models", NAME, "metrics", "test_error"], 2.67, "test_error must be a number from 0 to 1, got 2.67"),
        (["models", NAME, "metrics", "source"], None, "'source' must be of type str"),
        (["models", NAME, "paper", "test_error"], "2.28", "the paper's test_error must be a number from 0 to 100"),
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


@pytest.mark.parametrize("revision", ["main", "v1", "a" * 39, "a" * 41, "A" * 40, "../../etc", 1])
def test_a_revision_is_a_whole_commit(revision):
    content = copy.deepcopy(GOOD)
    content["models"][NAME] |= {"status": "released", "repo_id": "a/b", "revision": revision}
    with pytest.raises(PretrainedError, match="revision is a commit of 40 hexadecimal digits"):
        parse_manifest(content)


def test_a_model_for_segmentation_with_no_published_figure():
    content = copy.deepcopy(GOOD)
    metrics = {"dataset": "em/slices", "source": "an atlas", "split": "test", "seeds": [0, 1]}
    metrics |= {"pixel_error": 0.05, "pixel_error_mean": 0.06, "pixel_error_std": 0.01, "dice": 0.9}
    content["models"][NAME] |= {"task": "segmentation", "metrics": metrics, "paper": None}
    info = parse_manifest(content)[NAME]
    assert info.paper is None
    assert list(info.measured) == ["pixel_error", "dice"]
    error = info.measured["pixel_error"]
    assert (error.value, error.mean, error.std, error.paper, error.seeds) == (0.05, 0.06, 0.01, None, (0, 1))
    assert error.percent == "6.00 ± 1.00"
    assert error.lower_is_better
    assert not info.measured["dice"].lower_is_better


def test_the_figures_of_a_classifier():
    error = parse_manifest(GOOD)[NAME].measured["test_error"]
    assert (error.paper, error.paper_std) == (pytest.approx(0.0228), pytest.approx(0.0004))
    assert error.paper_percent == "2.28 ± 0.04"
    assert error.label == "test error"


def test_a_release_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "weights_manifest.json"
    path.write_text(json.dumps(GOOD))
    before = path.read_bytes()
    for name, repo_id, revision, message in [
        ("nothing.here", "a/b", "a" * 40, "no model 'nothing.here'"),
        (NAME, "a", "a" * 40, "form organisation/name"),
        (NAME, "a/b", "main", "40 hexadecimal digits"),
    ]:
        with pytest.raises(PretrainedError, match=message):
            release(path, name, repo_id, revision)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(OSError, match="no space left"):
            release(path, NAME, "a/b", "a" * 40)
    assert path.read_bytes() == before
    release(path, NAME, "a/b", "a" * 40)
    assert read_manifest(path)[NAME].revision == "a" * 40
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


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
