import shutil
import subprocess

import keras
import pytest

from groco._hardware import versions
from training import provenance


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_and_whether_files_were_changed(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
        return subprocess.run(["git", *identity, *arguments], cwd=tmp_path, capture_output=True, check=True, text=True)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    git("init", "-q")
    assert provenance.commit() is None, "there is no commit yet"
    for name in ("code.py", "results/run.json"):
        (tmp_path / "training" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "training" / name).write_text("1")
    git("add", "training")
    git("commit", "-q", "-m", "first", "--no-gpg-sign")
    head = git("rev-parse", "HEAD").stdout.strip()
    assert provenance.commit() == head
    (tmp_path / "training" / "notes.txt").write_text("not tracked")
    (tmp_path / "training" / "results" / "run.json").write_text("2")
    assert provenance.commit() == head
    (tmp_path / "training" / "code.py").write_text("2")
    assert provenance.commit() == f"{head}-dirty"
    (tmp_path / "inside").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "inside")
    assert provenance.commit() is None, "a package inside another's checkout is not of its commits"


def test_versions():
    assert set(versions()) == {"groco", "keras", "numpy", keras.backend.backend()}
    assert all(versions().values())
