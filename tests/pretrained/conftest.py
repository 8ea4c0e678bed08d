"""What the tests of trained models share."""

import json
import shutil

import pytest

from groco.pretrained import manifest
from groco.pretrained.manifest import MANIFEST, manifest_path, model_folder
from tests.hub import hub

__all__ = ["hub"]
NAME = "p4cnn.rotmnist"
REPO = "groco-tests/p4cnn.rotmnist"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own: a manifest and a zoo with one model, that may be changed; groco sees it, and no other."""
    root = tmp_path / "checkout"
    shutil.copytree(model_folder(NAME), root / "zoo" / NAME)
    content = json.loads(manifest_path().read_text(encoding="utf-8"))
    content["models"] = {NAME: content["models"][NAME]}
    (root / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    monkeypatch.setattr(manifest, "_PACKAGE", root / "groco")
    manifest._manifest.cache_clear()
    yield root
    manifest._manifest.cache_clear()


@pytest.fixture
def released(checkout, hub):
    """The model is on the loopback Hub, released, and no longer in the checkout."""
    folder = checkout / "zoo" / NAME
    revision = hub.add(REPO, {file.name: file.read_bytes() for file in folder.iterdir()})
    manifest.release(checkout / MANIFEST, NAME, REPO, revision)
    shutil.move(folder, checkout / NAME)
    return revision


@pytest.fixture
def outcome(record_property, tmp_path, hub):
    """Records a line of the table of faults."""

    def record(fault: str, message) -> None:
        text = str(message).replace(hub.endpoint, "http://hub").replace(hub.cdn, "http://cdn")
        record_property("fault", fault)
        record_property("outcome", text.replace(str(tmp_path), "..."))

    return record
