"""`groco check` and `groco verify`."""

import json
import shutil

import numpy as np
import pytest

import groco
from groco.pretrained.manifest import model_folder
from tests.cli.conftest import NAME


def test_check(run):
    status, out, err = run("check", NAME)
    assert (status, err) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[:2] for row in rows[:4]] == [["equivariance", f"P4 {element}"] for element in ("e", "R", "R2", "R3")]
    assert all(float(row[2]) < 1e-5 and row[3] == "ok" for row in rows)
    assert rows[4][:2] == ["golden", "20 inputs"]


def test_check_under_another_group(run):
    """Mirrored digits are other digits."""
    status, out, _ = run("check", NAME, "--group", "P4M", "--json")
    assert status == 1
    checks = json.loads(out)["checks"]
    passed = {check["of"]: check["passed"] for check in checks}
    assert all(passed[f"P4M {element}"] for element in ("e", "R", "R2", "R3"))
    assert not any(passed[f"P4M {element}"] for element in ("F", "RF", "R2F", "R3F"))


def test_check_of_a_planar_net(run):
    """It is not expected to be equivariant, unless one asks."""
    status, out, _ = run("check", "z2cnn.rotmnist")
    assert status == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[3] for row in rows] == ["not expected"] * 4 + ["ok"]
    assert float(rows[1][2]) > 1e-2
    assert run("check", "z2cnn.rotmnist", "--group", "P4")[0] == 1


def test_check_of_a_map(unet, run):
    """The map of a turned image is the turned map; and golden outputs that differ are found."""
    status, out, _ = run("check", unet)
    assert status == 0
    assert out.count("ok") == 5
    with np.load(unet / "golden.npz") as golden:
        images, outputs = golden["images"], golden["outputs"]
    np.savez(unet / "golden.npz", images=images, outputs=outputs + 0.01 * np.abs(outputs).max())
    status, out, err = run("check", unet)
    assert status == 1
    assert out.splitlines()[-1] == "golden\tinputs\t-\tFAILED"
    assert "outputs differ from the recorded ones" in err


def test_check_volumes_at_a_given_tolerance(volume_unet, run):
    status, out, _ = run("check", volume_unet, "--group", "C2", "--tolerance", "1e6")
    assert status == 0
    assert "C2 " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "nothing"], "no trained model 'nothing'"),
        (["check", NAME, "--group", "P5"], "There is no 2-D group 'P5'"),
        (["check", NAME, "--tolerance", "0"], "--tolerance is a number above 0, got 0"),
        (["verify", "nothing"], "no trained model 'nothing'"),
    ],
)
def test_errors_are_one_line(arguments, message, run):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_verify(run):
    status, out, err = run("verify", NAME)
    assert (status, err) == (0, "")
    name, files, golden, error, result = out.rstrip().split("\t")
    assert (name, files, golden, result) == (NAME, f"{len(groco.model_info(NAME).files)} ok", "20", "ok")
    assert float(error) < 1e-5


def test_verify_finds_what_was_changed(run, tmp_path, monkeypatch, caplog):
    folder = tmp_path / NAME
    shutil.copytree(model_folder(NAME), folder)
    status, out, err = run("verify", folder, "--json")
    assert status == 0
    assert json.loads(out)[0]["vouched"] is False
    assert "is unverified" in caplog.text
    monkeypatch.setattr("groco.pretrained.source.model_folder", lambda name: folder)
    (folder / "golden.npz").write_bytes(b"something else")
    status, out, err = run("verify", NAME, NAME)
    assert status == 1
    assert out == f"{NAME}\t-\t-\t-\tFAILED\n" * 2
    assert "golden.npz has" in err


def test_verify_goes_on_after_golden_inputs_that_the_model_does_not_take(run, tmp_path, unet):
    content = dict(np.load(unet / "golden.npz"))
    np.savez(unet / "golden.npz", **{**content, "images": content["images"][:, :, :7]})
    status, out, err = run("verify", unet, NAME)
    assert status == 1
    assert [line.split("\t")[-1] for line in out.splitlines()] == ["FAILED", "ok"]
    assert err.startswith("groco verify: ")
    assert "golden.npz: The model needs images of any x any pixels" in err


def test_verify_takes_all_by_default(run, monkeypatch):
    asked = []

    def verify(name):
        asked.append(name)
        raise groco.pretrained.PretrainedError("no")

    monkeypatch.setattr("groco.pretrained.verify", verify)
    assert run("verify")[0] == 1
    assert asked == groco.list_pretrained()
