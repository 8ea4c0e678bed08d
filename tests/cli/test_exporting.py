"""`groco export`; what it writes is tested in tests/surgery."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

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


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_do_not_let_tensorflow_greet(backend, tmp_path):
    """Keras imports it where a layer's activation is asked for its name, and it writes past Python."""
    if importlib.util.find_spec(backend) is None or importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs both")
    code = """
import sys
from groco.cli import main
assert "keras" not in sys.modules
status = main(sys.argv[1:])
print("tensorflow" in sys.modules)
sys.exit(status)
"""
    command = [sys.executable, "-c", f"import sys; sys.argv[0] = 'groco'{code}", "export", NAME]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    for name, form, status, lines, imported in (
        ("a.keras", "keras", 0, 0, False),
        ("a.tflite", "litert", 2, 1, False),
        ("a", "tf_saved_model", *((0, 0) if backend == "jax" else (2, 1)), True),
    ):
        arguments = ["--output", str(tmp_path / name), "--format", form]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=600, env=environment)
        assert done.returncode == status, done.stderr
        assert done.stderr.count("\n") == lines, done.stderr
        assert done.stdout.endswith(f"{imported}\n")
