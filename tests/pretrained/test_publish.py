"""What is published is what was checked, what comes back is compared, and only then the manifest says so."""

import json

import pytest

from groco.pretrained import publish
from groco.pretrained.manifest import MANIFEST, model_info
from tests.hub import TOKEN
from tests.pretrained.conftest import NAME, REPO


@pytest.fixture
def folder(checkout):
    return checkout / "zoo" / NAME


@pytest.fixture
def before(checkout):
    return (checkout / MANIFEST).read_bytes()


def test_publishing(folder, checkout, hub):
    entry = json.loads((checkout / MANIFEST).read_text())["models"][NAME]
    done = publish(folder, REPO, token=TOKEN, tag="v1")
    repository = hub.repositories[REPO]
    revision, files = repository.commits[-1]
    assert done.revision == revision
    assert repository.tags == {"v1": revision}
    assert {name: content for name, content in files.items() if name != ".gitattributes"} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    assert not repository.private
    assert done.golden_error < 1e-4
    now = json.loads((checkout / MANIFEST).read_text())["models"][NAME]
    assert now == {**entry, "status": "released", "repo_id": REPO, "revision": revision}
    assert model_info(NAME).revision == revision
    again = publish(folder, REPO, token=TOKEN, tag="v1")
    assert again.revision == revision
    assert len(repository.commits) == 2  # that of the creation, and ours


def test_a_dry_run_sends_nothing(folder, checkout, hub, before):
    plan = publish(folder, REPO, dry_run=True)
    assert plan.files == model_info(NAME).files
    assert plan.revision is None
    assert hub.requests == []
    assert (checkout / MANIFEST).read_bytes() == before
