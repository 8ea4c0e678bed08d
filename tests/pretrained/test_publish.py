"""What is published is what was checked, what comes back is compared, and only then the manifest says so."""

import importlib
import json
import shutil

import keras
import numpy as np
import pytest

from groco.models import get_builder
from groco.pretrained import PretrainedError, check_folder, publish
from groco.pretrained.manifest import MANIFEST, model_info, read_manifest, sha256_of, write_manifest
from tests.hub import TOKEN
from tests.pretrained.conftest import NAME, REPO

publishing = importlib.import_module("groco.pretrained.publish")  # in the package, the name is that of the function


@pytest.fixture
def folder(checkout):
    return checkout / "zoo" / NAME


@pytest.fixture
def before(checkout):
    return (checkout / MANIFEST).read_bytes()


def rewrite_manifest(checkout):
    """The manifest vouches for the files as they are now."""
    content = json.loads((checkout / MANIFEST).read_text())
    content["models"][NAME]["files"] = {
        file.name: {"size": file.stat().st_size, "sha256": sha256_of(file)}
        for file in sorted((checkout / "zoo" / NAME).iterdir())
    }
    write_manifest(checkout / MANIFEST, content)


def test_publishing(folder, checkout, hub):
    entry = json.loads((checkout / MANIFEST).read_text())["models"][NAME]
    hub.add(REPO, {"of_before.bin": b"old", ".gitattributes": b"kept"})
    done = publish(folder, REPO, token=TOKEN, tag="v1")
    repository = hub.repositories[REPO]
    revision, files = repository.commits[-1]
    assert done.revision == revision
    assert done.url == f"{hub.endpoint}/{REPO}/tree/{revision}"
    assert repository.tags == {"v1": revision}
    assert files.pop(".gitattributes") == b"kept"
    assert files == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert done.golden_error < 1e-4
    now = json.loads((checkout / MANIFEST).read_text())["models"][NAME]
    assert now == {**entry, "status": "released", "repo_id": REPO, "revision": revision}
    assert model_info(NAME).revision == revision
    assert not list(checkout.glob("*.partial"))


@pytest.mark.parametrize("private", [False, True])
def test_a_dry_run_sends_nothing(private, folder, checkout, hub, before):
    plan = publish(folder, REPO, private=private, dry_run=True)
    assert plan.files == model_info(NAME).files
    assert (plan.revision, plan.url, plan.private) == (None, None, private)
    assert hub.requests == []
    assert (checkout / MANIFEST).read_bytes() == before


@pytest.fixture
def checked(monkeypatch):
    """Folders and models count as checked, which saves time where the faults are the Hub's."""
    monkeypatch.setattr(publishing, "check_folder", lambda folder, manifest: (read_manifest(manifest)[NAME], 0.0))
    monkeypatch.setattr(publishing, "load_from", lambda source: None)
    monkeypatch.setattr(publishing, "golden_error", lambda source, model: (20, 0.0))


def test_a_private_repository(folder, hub, checked):
    publish(folder, REPO, token=TOKEN, private=True)
    assert hub.repositories[REPO].private


FAULTS = {
    "a token that may not write": (403, "POST /api/repos/create", r"making the repository .*HTTP 403"),
    "HTTP 403 when the upload begins": (403, "POST .*/preupload", r"uploading 7 files .*does not allow it \(HTTP 403"),
    "HTTP 429 when the upload begins": (429, "POST .*/preupload", r"too many requests.*HTTP 429"),
    "the connection is dropped during the upload": ("drop", "PUT /lfs", "uploading 7 files .* failed"),
    "HTTP 500 during the upload": (500, "PUT /lfs", r"a problem of its own.*HTTP 500"),
    "HTTP 503 for the commit": (503, "POST .*/commit/", r"a problem of its own.*HTTP 503"),
    "the commit is made, but the answer is lost": ("lost", "POST .*/commit/", "the connection to the Hub failed"),
    "HTTP 500 for the tag": (500, "POST .*/tag/", r"tagging \w{40} .*HTTP 500"),
    "the weights come back with one wrong byte": ("garble", "GET /cdn", r"was uploaded, but: .* has sha256"),
    "a file comes back in part": ("truncate", "GET /cdn", "was uploaded, but: .* the connection to the Hub failed"),
    "what was uploaded is not there": (404, "HEAD .*/resolve/", r"was uploaded, but: .*HTTP 404"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_manifest_and_can_be_gone_on_from(fault, folder, checkout, hub, before, checked, outcome):
    kind, path, message = FAULTS[fault]
    hub.fault(kind, path)
    with pytest.raises(PretrainedError, match=message) as error:
        publish(folder, REPO, token=TOKEN)
    assert "The manifest is as it was. Run the same again to go on" in str(error.value)
    assert (checkout / MANIFEST).read_bytes() == before
    outcome(f"publishing: {fault}", error.value)
    sent = len(hub.large)
    hub.heal()
    hub.requests.clear()
    done = publish(folder, REPO, token=TOKEN)
    assert model_info(NAME).revision == done.revision == hub.repositories[REPO].tags["v1"]
    assert len(hub.repositories[REPO].commits) == 2  # that of the creation, and ours
    assert sum(request.startswith("PUT") for request in hub.requests) == 2 - sent


@pytest.mark.parametrize("token", ["hf_wrong", None])
def test_a_wrong_token(token, folder, checkout, hub, before, checked, outcome):
    with pytest.raises(PretrainedError, match=r"making the repository .* token is wrong or missing.*HTTP 401") as error:
        publish(folder, REPO, token=token)
    assert hub.repositories == {}
    assert (checkout / MANIFEST).read_bytes() == before
    outcome(f"publishing: {'a wrong token' if token else 'no token'}", error.value)


def test_a_tag_is_not_moved(folder, checkout, hub, checked, outcome):
    first = publish(folder, REPO, token=TOKEN)
    (folder / "README.md").write_text((folder / "README.md").read_text() + "changed")
    rewrite_manifest(checkout)
    before = (checkout / MANIFEST).read_bytes()
    with pytest.raises(PretrainedError, match=rf"has a tag v1 already, for the commit {first.revision}") as error:
        publish(folder, REPO, token=TOKEN)
    assert (checkout / MANIFEST).read_bytes() == before
    outcome("publishing: the tag is that of another commit", error.value)
    assert publish(folder, REPO, token=TOKEN, tag="v1.1").revision != first.revision


def test_what_comes_back_computes_something_else(folder, checkout, hub, before, checked, monkeypatch):
    def differs(source, model):
        raise PretrainedError("outputs differ")

    monkeypatch.setattr(publishing, "golden_error", differs)
    with pytest.raises(PretrainedError, match=r"was uploaded, but: outputs differ The manifest is as it was"):
        publish(folder, REPO, token=TOKEN)
    assert (checkout / MANIFEST).read_bytes() == before


def test_a_manifest_that_cannot_be_written(folder, checkout, hub, before, checked, monkeypatch):
    def refused(*_):
        raise OSError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(publishing.Path, "replace", refused)
        with pytest.raises(OSError, match="read-only"):
            publish(folder, REPO, token=TOKEN)
    assert (checkout / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("repo_id", "tag", "message"),
    [
        ("p4cnn", "v1", "form organisation/name"),
        ("a/../b", "v1", "organisation/name"),
        (REPO, "a b", "A tag is made of"),
    ],
)
def test_names_that_cannot_be(repo_id, tag, message, folder, hub):
    with pytest.raises(PretrainedError, match=message):
        publish(folder, repo_id, tag=tag)
    assert hub.requests == []


# What is told before anything is sent.


def extra_file(folder):
    (folder / "code.py").write_text("")


def nested_file(folder):
    (folder / "assets").mkdir()
    (folder / "assets" / "x").write_text("")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (extra_file, r"has files that the manifest does not know: code\.py"),
        (nested_file, r"has files that the manifest does not know: assets.x"),
        (lambda folder: (folder / "README.md").unlink(), r"lacks README\.md"),
        (lambda folder: (folder / "groco.json").write_text("{}"), r"groco\.json has 2 bytes, the manifest expects"),
        (lambda folder: folder.rename(folder.with_name("p5cnn.rotmnist")), "There is no folder"),
    ],
)
def test_a_folder_that_is_not_that_of_the_manifest(damage, message, folder, hub):
    damage(folder)
    with pytest.raises(PretrainedError, match=message):
        publish(folder, REPO, token=TOKEN)
    assert hub.requests == []


def change_json(file, change):
    def damage(folder):
        content = json.loads((folder / file).read_text())
        change(content)
        (folder / file).write_text(json.dumps(content))

    return damage


def other_weights(folder):
    get_builder("p4cnn")().save_weights(folder / "model.weights.h5")


def other_config(folder):
    """Keras' config is of a net that takes the same weights and does something else."""
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"activation": "relu"', '"activation": "tanh"'))


def lambda_config(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"class_name": "InputLayer"', '"class_name": "Lambda"', 1))


def golden_pickle(folder):
    np.savez(folder / "golden.npz", images=np.array([{}], dtype=object), outputs=np.zeros(1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            change_json("groco.json", lambda c: c["metrics"].update(test_error=0.01)),
            "'metrics' is not that of the manif",
        ),
        (change_json("groco.json", lambda c: c.update(schema=2)), "not a description of schema 1"),
        (change_json("preprocessor.json", lambda c: c.update(std=0)), "is not a preprocessor"),
        (change_json("preprocessor.json", lambda c: c.update(std=70.0)), "outputs differ from the recorded ones"),
        (lambda folder: (folder / "README.md").write_text("# p4cnn"), "does not begin with metadata"),
        (other_weights, "outputs differ from the recorded ones"),
        (other_config, "outputs differ from the recorded ones"),
        (lambda_config, "has a Lambda, which runs code"),
        (golden_pickle, r"golden\.npz has no golden images and outputs"),
    ],
)
def test_a_folder_that_is_not_fit(damage, message, folder, checkout, hub):
    damage(folder)
    rewrite_manifest(checkout)
    with pytest.raises(PretrainedError, match=message):
        publish(folder, REPO, token=TOKEN)
    assert hub.requests == []


def test_a_folder_of_another_name(folder, checkout):
    shutil.copytree(folder, checkout / "zoo" / "other.name")
    with pytest.raises(PretrainedError, match=r"has no model 'other\.name'; it has p4cnn\.rotmnist"):
        check_folder(checkout / "zoo" / "other.name")


def test_the_folder_as_it_is(folder):
    info, error = check_folder(folder)
    assert info.name == NAME
    assert error < 1e-4
    assert isinstance(keras.saving.load_model(folder), keras.Model)
