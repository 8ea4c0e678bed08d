"""A run that was killed and resumed is the run that was not; what goes wrong is said, and loses nothing."""

import csv
import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training import tiny
from training import checkpoints, datasets, provenance, train

ROOT = Path(__file__).parents[2]
FULL = [
    "--set", "epochs=4", "--set", "checkpoint_every=2", "--set", "ema_momentum=0.9", "--set", "label_smoothing=0.1",
    "--set", "l2=0.01", "--set", "model_args.dropout=0.3",
    "--set", "augment=[['flip', {}], ['pad_and_crop', {'pixels': 1}]]",
    "--set", "schedule={'class_name': 'CosineDecay', 'config': {'initial_learning_rate': 0.01, 'decay_steps': 4}}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setattr(datasets, "DATASETS", datasets.DATASETS)
    tiny.install()


def _train(runs, *arguments) -> int:
    return train.main([*tiny.CONFIG, "--runs", str(runs), *arguments])


def _history(runs, seed=0):
    with (runs / f"tiny-seed{seed}" / "history.csv").open(newline="") as file:
        return [{key: value for key, value in line.items() if key != "seconds"} for line in csv.DictReader(file)]


def _assert_same(runs, others):
    assert _history(runs) == _history(others)
    for name in ("last.keras", "final.keras"):
        a, b = (keras.saving.load_model(r / "tiny-seed0" / name, compile=False).get_weights() for r in (runs, others))
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    results = [json.loads((r / "tiny-seed0" / "result.json").read_text()) for r in (runs, others)]
    assert results[0]["test_error"] == results[1]["test_error"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    runs = tmp_path_factory.mktemp("unbroken")
    tiny.install()
    assert _train(runs, *FULL) == 0
    return runs


@pytest.mark.parametrize(("signal", "status"), [("SIGKILL", -9), ("SIGTERM", 130)])
def test_killed_within_an_epoch_and_resumed(signal, status, unbroken, tmp_path):
    """A process of its own dies while it makes the third batch of the fourth epoch; another one goes on."""
    command = [sys.executable, "-m", "tests.training.tiny", "--runs", str(tmp_path), *FULL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DIE_AT": f"3 2 {signal}"}
    killed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert killed.returncode == status, killed.stderr
    assert ("--resume goes on from the last checkpoint" in killed.stderr) == (signal == "SIGTERM")
    assert [line["epoch"] for line in _history(tmp_path)] == ["1", "2", "3"]
    assert not (tmp_path / "tiny-seed0" / "result.json").exists()
    assert _train(tmp_path, *FULL, "--resume") == 0
    _assert_same(tmp_path, unbroken)


def test_a_run_does_not_go_on_with_other_settings(unbroken, tmp_path, capsys):
    """What makes another net is refused; what does not is not."""
    runs = tmp_path / "runs"
    shutil.copytree(unbroken, runs)
    for change, message in (
        ("batch_size=5", "batch_size=8, not 5"),
        ("epochs=5", "epochs=4, not 5"),
        ("model_args.dropout=0.5", "model_args={'dropout': 0.3}, not {'dropout': 0.5}"),
        ("optimizer.config.learning_rate=0.5", "optimizer="),
    ):
        assert _train(runs, *FULL, "--set", change, "--resume") == 1
        assert f"tiny-seed0 is of a run with {message}" in capsys.readouterr().err
    _assert_same(runs, unbroken)
    assert _train(runs, *FULL, "--set", "workers=1", "--set", "evaluate_batch=7", "--resume") == 0
    _assert_same(runs, unbroken)


def test_more_epochs_without_a_schedule(tmp_path):
    for runs, epochs in ((tmp_path / "once", ["2"]), (tmp_path / "twice", ["1", "2"])):
        for number in epochs:
            assert _train(runs, "--set", f"epochs={number}", "--set", "schedule=None", "--resume") == 0
    assert _history(tmp_path / "once") == _history(tmp_path / "twice")


def test_a_finished_run_resumed_is_the_same(unbroken, tmp_path):
    assert _train(tmp_path, *FULL) == 0
    _assert_same(tmp_path, unbroken)
    assert _train(tmp_path, *FULL, "--resume") == 0
    _assert_same(tmp_path, unbroken)


_NO_JIT = pytest.mark.skipif(keras.backend.backend() == "torch", reason="its compiler warns of our cached tables")


@pytest.mark.parametrize(
    "changes",
    [["precision=mixed_bfloat16"], pytest.param(["jit_compile=True"], marks=_NO_JIT), ["workers=3"]],
    ids=["mixed", "jit", "workers"],
)
def test_same_seed_same_history(changes, tmp_path):
    changes = [part for change in [*changes, "epochs=1", "model_args.dropout=0.3"] for part in ("--set", change)]
    for runs in ("a", "b"):
        assert _train(tmp_path / runs, *changes) == 0
    _assert_same(tmp_path / "a", tmp_path / "b")


def test_a_net_trained_in_mixed_precision_is_kept_and_evaluated_in_float32(tmp_path):
    assert _train(tmp_path, "--set", "precision=mixed_bfloat16", "--set", "epochs=1") == 0
    last, final = (keras.saving.load_model(tmp_path / "tiny-seed0" / f"{name}.keras") for name in ("last", "final"))
    assert {layer.compute_dtype for layer in final.layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in last.layers}
    for kept, trained in zip(final.get_weights(), last.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, trained)


def test_damaged_checkpoints(unbroken, tmp_path, capsys):
    assert _train(tmp_path, *FULL) == 0
    folder = tmp_path / "tiny-seed0"
    whole = (folder / "last.keras").read_bytes()
    (folder / "last.keras").write_bytes(whole[: len(whole) // 2])
    assert _train(tmp_path, *FULL, "--resume") == 0
    assert "last.keras cannot be read" in capsys.readouterr().err
    _assert_same(tmp_path, unbroken)
    for name in checkpoints.CHECKPOINTS:
        (folder / name).write_bytes(b"")
    assert _train(tmp_path, *FULL, "--resume") == 1
    assert "no checkpoint in" in capsys.readouterr().err


def test_a_damaged_checkpoint_does_not_take_the_place_of_a_whole_one(tmp_path, monkeypatch):
    """A run goes on from the checkpoint before, and is killed while it puts the next one in its place."""
    once, runs = ["--set", "schedule=None", "--set", "epochs=2"], tmp_path / "runs"
    assert _train(runs, *once) == 0
    folder = runs / "tiny-seed0"
    (folder / "last.keras").write_bytes(b"half")
    replace, done = Path.replace, []

    def die(path, target):
        done.append(target)
        if path.name == "partial.keras":
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        assert _train(runs, *once, "--resume") == 130
    assert (folder / "last.damaged").read_bytes() == b"half"
    assert checkpoints.restore(folder, 6)[1] == 1
    assert _train(runs, *once, "--resume") == 0
    assert _train(tmp_path / "unbroken", *once) == 0
    _assert_same(runs, tmp_path / "unbroken")


def test_epochs_are_counted_where_steps_of_the_optimizer_are_fewer(tmp_path):
    """It adds up the gradients of four batches before a step."""
    accumulated = ["--set", "optimizer.config.gradient_accumulation_steps=4", "--set", "schedule=None"]
    for runs, numbers in ((tmp_path / "once", [3]), (tmp_path / "twice", [1, 3, 3])):
        for number in numbers:
            assert _train(runs, *accumulated, "--set", f"epochs={number}", "--resume") == 0
    _assert_same(tmp_path / "once", tmp_path / "twice")


def test_a_schedule_ends_with_the_run_where_gradients_are_added_up(tmp_path):
    schedule = "{'class_name': 'PolynomialDecay', 'config': {'initial_learning_rate': 0.1, 'end_learning_rate': 0.0, "
    schedule += "'decay_steps': 2}}"
    changes = ["optimizer.config.gradient_accumulation_steps=3", f"schedule={schedule}", "epochs=2"]
    assert _train(tmp_path, *(part for change in changes for part in ("--set", change))) == 0
    model = keras.saving.load_model(tmp_path / "tiny-seed0" / "last.keras")
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.0, abs=1e-7)


def test_checkpoints_of_before_they_said_their_epoch(tmp_path):
    assert _train(tmp_path, *FULL) == 0
    folder = tmp_path / "tiny-seed0"
    assert checkpoints.restore(folder, 6)[1] == 4
    keras.saving.load_model(folder / "last.keras").save(folder / "last.keras")
    assert checkpoints.restore(folder, 6)[1] == 4


def test_a_history_that_cannot_be_read(tmp_path, capsys):
    assert _train(tmp_path, "--set", "epochs=1") == 0
    path = tmp_path / "tiny-seed0" / "history.csv"
    path.write_text(path.read_text() + "2,\n")
    assert _train(tmp_path, "--set", "epochs=1", "--resume") == 1
    assert "history.csv cannot be read" in capsys.readouterr().err


def test_a_history_that_is_not_whole(unbroken, tmp_path, capsys):
    runs = tmp_path / "runs"
    shutil.copytree(unbroken, runs)
    path = runs / "tiny-seed0" / "history.csv"
    first, _, *others = path.read_text().splitlines(keepends=True)
    for text in (first + "".join(others), None):
        path.unlink() if text is None else path.write_text(text)
        assert _train(runs, *FULL, "--resume") == 0
        assert "history.csv has not every epoch up to" in capsys.readouterr().err
    path.write_text("loss\n1.0\n")
    assert _train(runs, *FULL, "--resume") == 1
    assert "history.csv cannot be read (its columns are loss)" in capsys.readouterr().err


def test_what_a_run_began_with(tmp_path, monkeypatch, capsys):
    """The result of one that goes on has the commit of its beginning; another backend is said."""
    monkeypatch.setattr(provenance, "commit", lambda: "first")
    assert _train(tmp_path, "--set", "epochs=1") == 0
    monkeypatch.setattr(provenance, "commit", lambda: "second")
    folder = tmp_path / "tiny-seed0"
    config = json.loads((folder / "config.json").read_text())
    assert config["begun"] == {"commit": "first", "backend": keras.backend.backend()}
    checkpoints.write_json(folder / "config.json", {**config, "begun": {"commit": "first", "backend": "theano"}})
    capsys.readouterr()
    assert _train(tmp_path, "--set", "epochs=2", "--resume") == 0
    assert "was begun on theano and goes on with" in capsys.readouterr().err
    assert json.loads((folder / "result.json").read_text())["commit"] == "first"
    checkpoints.write_json(folder / "config.json", {k: v for k, v in config.items() if k != "begun"})
    assert _train(tmp_path, "--set", "epochs=2", "--resume") == 0
    assert json.loads((folder / "result.json").read_text())["commit"] is None, "nobody knows it"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no locks of this kind")
def test_two_processes_do_not_make_one_run(tmp_path, capsys):
    (tmp_path / "tiny-seed0").mkdir()
    with checkpoints.locked(tmp_path / "tiny-seed0"):
        assert _train(tmp_path, "--set", "epochs=1", "--resume") == 1
    assert "another process makes the run" in capsys.readouterr().err
    assert _train(tmp_path, "--set", "epochs=1") == 0


def test_averages_of_the_weights_change_nothing_in_training_with_scaled_losses(tmp_path):
    """In float16 Keras wraps the optimizer, which has the averages."""
    changes = [part for c in ("precision=mixed_float16", "epochs=2", "ema_momentum={}") for part in ("--set", c)]
    for runs in ("0.5", "0.9"):
        assert _train(tmp_path / runs, *changes[:-1], changes[-1].format(runs)) == 0
    assert _history(tmp_path / "0.5") == _history(tmp_path / "0.9")


def test_tensorboard(tmp_path, monkeypatch, capsys):
    """Each epoch is logged when it is made; without the package nothing is trained."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for number in (1, 2):
        assert _train(tmp_path, "--set", "schedule=None", "--set", f"epochs={number}", "--resume", "--tensorboard") == 0
    found = accumulator.EventAccumulator(str(tmp_path / "tiny-seed0" / "tensorboard"))
    found.Reload()
    assert {"accuracy", "loss"} <= set(found.Tags()["tensors"])
    assert [event.step for event in found.Tensors("loss")] == [1, 2]
    said = capsys.readouterr().err
    assert "TensorBoard" not in said
    changed = ["--set", "schedule=None", "--set", "epochs=3", "--resume", "--tensorboard"]
    for failing in ("__init__", "flush"):

        def full(*arguments):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(f"tensorboard.summary.Writer.{failing}", full)
            assert _train(tmp_path, *changed) == 0
        said = capsys.readouterr().err
        assert said.count("No space left on device); the run goes on without a log for TensorBoard") == 1
        changed[3] = "epochs=4"
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    assert _train(tmp_path / "without", "--tensorboard") == 1
    assert "--tensorboard needs pip install 'groco[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "without" / "tiny-seed0" / "history.csv").exists()


@pytest.mark.parametrize("full_at", ["net", "history", "result"])
def test_a_full_disk_loses_nothing(full_at, unbroken, tmp_path, monkeypatch, capsys):
    """The disk is full when the second checkpoint, the third line of the history or the result is written."""
    calls = []

    def full(write, last):
        def fail(*args, **kwargs):
            calls.append(1)
            if len(calls) < last:
                return write(*args, **kwargs)
            Path(args[1 if full_at == "net" else 0]).write_bytes(b"as much as there was space for")
            raise OSError(errno.ENOSPC, "No space left on device")

        return fail

    with monkeypatch.context() as patch:
        if full_at == "net":
            patch.setattr(keras.Model, "save", full(keras.Model.save, 2))
        elif full_at == "history":
            patch.setattr(csv.DictWriter, "writerows", _raise_on(3, csv.DictWriter.writerows))
        else:
            patch.setattr(Path, "write_text", _raise_on(2, Path.write_text))
        assert _train(tmp_path, *FULL) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "make space, and --resume goes on" in said
    assert not [path.name for path in (tmp_path / "tiny-seed0").iterdir() if "partial" in path.name]
    assert len(_history(tmp_path)) == {"net": 4, "history": 2, "result": 4}[full_at]
    assert _train(tmp_path, *FULL, "--resume") == 0
    _assert_same(tmp_path, unbroken)


def _raise_on(call, function):
    calls = []

    def fail(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*args, **kwargs)

    return fail


def test_a_loss_that_is_not_finite(tmp_path, capsys):
    arguments = ["--set", "optimizer.config.learning_rate=1e30", "--set", "model_args.dropout=0.0"]
    assert _train(tmp_path, *arguments) == 1
    said = capsys.readouterr().err
    assert "the loss is nan in epoch" in said
    assert "smaller learning rate" in said
    assert not (tmp_path / "tiny-seed0" / "result.json").exists()


def test_weights_that_are_not_finite_after_the_last_step(tmp_path, capsys):
    """The loss is that of before it."""
    steep = {"class_name": "SGD", "config": {"learning_rate": 1e38}}
    changes = (f"optimizer={steep}", "l2=1e3", "batch_size=45", "epochs=1")
    assert _train(tmp_path, *(part for change in changes for part in ("--set", change))) == 1
    assert "has values that are not finite in epoch 1" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "tiny-seed0").iterdir()} == {"config.json"}


def _start(code, backend, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend, **variables}
    return subprocess.run(
        [sys.executable, *code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.parametrize("backend", ["torch"])  # of JAX: test_devices.py
def test_killed_and_resumed_on_another_backend(backend, tmp_path):
    pytest.importorskip(backend)

    def run(runs, *arguments, **variables):
        return _start(["-m", "tests.training.tiny", "--runs", str(runs), *FULL, *arguments], backend, **variables)

    done = run(tmp_path / "unbroken")
    assert done.returncode == 0, done.stderr
    assert run(tmp_path / "killed", DIE_AT="3 2 SIGKILL").returncode == -9
    done = run(tmp_path / "killed", "--resume")
    assert done.returncode == 0, done.stderr
    assert _history(tmp_path / "killed") == _history(tmp_path / "unbroken")


def test_pytorch_compiles(tmp_path):
    """Batches of two sizes, signals on a group."""
    pytest.importorskip("torch")
    losses = []
    for name, changes in (("eager", []), ("compiled", ["--set", "jit_compile=True"])):
        arguments = ["-m", "tests.training.tiny", "--runs", str(tmp_path / name), "--set", "epochs=1", *changes]
        done = _start(arguments, "torch")
        assert done.returncode == 0, done.stderr
        losses.append([float(line["loss"]) for line in _history(tmp_path / name)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_no_tensorflow_on_other_backends(backend, tmp_path):
    """Wherever it is installed: Keras imports it to seed it and to save a net, TensorBoard to write a file.

    What training.prepare wrote is read without it.
    """
    pytest.importorskip(backend)
    prepares = importlib.util.find_spec("tensorflow_datasets") is not None
    changes = [*tiny.CONFIG[1:], "--set", "epochs=1", "--runs", str(tmp_path), "--tensorboard"]
    for module, arguments in (
        ("training.train", [tiny.CONFIG[0], *changes]),
        ("training.evaluate", [str(tmp_path / "tiny-seed0")]),
        ("training.reproduce", ["rotmnist", "--report", "--results", str(tmp_path), "--pages", str(tmp_path)]),
    ):
        code = f"""
import runpy, sys, warnings
from tests.training import tiny

tiny.install()
sys.argv = [{module!r}, *{arguments!r}]
warnings.simplefilter("ignore")  # tiny has imported some of it
try:
    runpy.run_module({module!r}, run_name="__main__")
finally:
    if {prepares}:
        from tensorflow_datasets import builder_from_directory
    print("TensorFlow:", "tensorflow" in sys.modules)
"""
        done = _start(["-c", code], backend)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "TensorFlow: False", done.stdout
