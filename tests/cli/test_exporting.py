"""`groco export`; what it writes is tested in tests/surgery."""

import keras
import numpy as np

import groco
from tests.cli.conftest import NAME


def test_export(run, tmp_path, rng):
    path = tmp_path / "digits.keras"
    status, out, _ = run("export", NAME, "--output", path)
    assert (status, out) == (0, f"{path}\t{path.stat().st_size}\n")
    plain = keras.saving.load_model(path)
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
    inputs = rng.normal(size=(2, 28, 28, 1)).astype("float32")
    expected = keras.ops.convert_to_numpy(groco.from_pretrained(NAME)(inputs))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(plain(inputs)), expected, atol=1e-3)


def test_a_net_for_any_size(unet, run, tmp_path, rng):
    """The plain net has nothing of groco, not even what checks the sizes."""
    path = tmp_path / "cells.keras"
    assert run("export", unet, "--output", path, "--keep-batch-norm")[0] == 0
    plain = keras.saving.load_model(path)
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
    inputs = rng.normal(size=(1, 8, 12, 1)).astype("float32")
    expected = keras.ops.convert_to_numpy(groco.from_pretrained(unet)(inputs))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(plain(inputs)), expected, atol=1e-4)


def test_implementation(run, tmp_path):
    path = tmp_path / "digits.keras"
    assert run("export", NAME, "--output", path, "--implementation", "fourier")[0] == 0
    kinds = [type(layer).__name__ for layer in keras.saving.load_model(path).layers]
    assert "Dense" in kinds


def test_by_default_the_file_has_the_models_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("export", NAME)
    assert status == 0
    assert out.startswith(f"{NAME}.keras\t")


def test_errors_are_one_line(run, tmp_path):
    for arguments, message in (
        (["nothing", "--output", tmp_path / "a.keras"], "no trained model 'nothing'"),
        ([NAME, "--output", tmp_path / "a.h5"], "ends in '.keras', got"),
        ([NAME, "--output", tmp_path / "new" / "a.keras"], "there is no folder"),
    ):
        status, out, err = run("export", *arguments)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
