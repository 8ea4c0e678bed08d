"""`groco card` and `groco publish`; publishing itself is tested in tests/pretrained."""

import json
import shutil

import groco
from groco.pretrained.manifest import model_folder
from tests.cli.conftest import NAME


def test_card(run):
    status, out, _ = run("card", NAME)
    assert status == 0
    assert out.startswith("---\n")
    assert f'groco.from_pretrained("{NAME}")' in out
    status, out, err = run("card", NAME, "--check")
    assert (status, err) == (0, "")
    assert out.endswith("README.md\tok\n")


def test_a_card_that_says_something_else(run, tmp_path):
    folder = tmp_path / NAME
    shutil.copytree(model_folder(NAME), folder)
    (folder / "README.md").write_text("# Best model\n", encoding="utf-8")
    status, out, err = run("card", folder, "--check")
    assert (status, out) == (1, "")
    assert "is not a card" in err


def test_publish_without_sending(run):
    status, out, _ = run("publish", model_folder(NAME), "--repo-id", "someone/p4cnn", "--dry-run")
    assert status == 0
    *rows, last = out.splitlines()
    info = groco.model_info(NAME)
    assert {row.split("\t")[0]: row.split("\t")[2] for row in rows} == {
        name: file.sha256 for name, file in info.files.items()
    }
    assert last == "would go to someone/p4cnn (public if it is new), tag v1; nothing was sent"
    status, out, _ = run(
        "publish", model_folder(NAME), "--repo-id", "someone/p4cnn", "--dry-run", "--private", "--json"
    )
    content = json.loads(out)
    assert (content["repo_id"], content["private"], content["revision"]) == ("someone/p4cnn", True, None)


def test_errors_are_one_line(run, tmp_path):
    for folder, repository, message in (
        (model_folder(NAME), "someone", "has the form organisation/name, got 'someone'"),
        (tmp_path / "nothing", "someone/p4cnn", "There is no folder"),
        (tmp_path, "someone/p4cnn", "has no model"),
    ):
        status, out, err = run("publish", folder, "--repo-id", repository, "--dry-run")
        assert (status, out) == (2, "")
        assert err.startswith("groco publish: ")
        assert message in err
        assert err.count("\n") == 1
