"""On two devices, and by two processes, a run gives what it gives on one device."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from training import devices
from training.batches import Batches
from training.checkpoints import TrainingError
from training.config import load_config

ROOT = Path(__file__).parents[2]


def _start(backend, runs, *arguments, **environment):
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "tests.training.tiny", "--runs", str(runs), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _environment(process: int, ports: list[int]) -> dict[str, str]:
    addresses = [f"127.0.0.1:{port}" for port in ports]
    return {
        "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": process}}),
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses[0],
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
        "KERAS_DISTRIBUTION_PROCESS_ID": str(process),
    }


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _need_a_name_of_this_machine():
    """What carries JAX's sums between processes on CPUs looks the name up, also for processes on one machine."""
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        pytest.skip("the name of this machine has no address")


def _losses(runs):
    with (runs / "tiny-seed0" / "history.csv").open(newline="") as file:
        return [(float(line["loss"]), float(line["accuracy"])) for line in csv.DictReader(file)]


def _weights(runs, name="final.keras"):
    return keras.saving.load_model(runs / "tiny-seed0" / name, compile=False).get_weights()


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_and_two_processes_equal_one(backend, tmp_path):
    """45 examples in batches of 8: the last batch, of 5, cannot be halved."""
    pytest.importorskip(backend)
    if backend == "jax":
        _need_a_name_of_this_machine()
    one, two, hosts = tmp_path / "one", tmp_path / "two", tmp_path / "hosts"
    ports = _free_ports(2)
    started = {
        "one": _start(backend, one),
        "two": _start(backend, two, "--devices", "2"),
        "first": _start(backend, hosts, "--hosts", **_environment(0, ports)),
        "second": _start(backend, hosts, "--hosts", **_environment(1, ports)),
    }
    try:
        said = {name: process.communicate(timeout=900)[0] for name, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
            process.communicate()
    for name, process in started.items():
        assert process.returncode == 0, said[name]
    assert "epoch 3/3" in said["first"]
    assert "epoch" not in said["second"]
    for runs in (two, hosts):
        np.testing.assert_allclose(_losses(runs), _losses(one), atol=1e-4, rtol=1e-4)
        for a, b in zip(_weights(runs), _weights(one), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-3)
        result, expected = (json.loads((r / "tiny-seed0" / "result.json").read_text()) for r in (runs, one))
        assert result["devices"] == 2
        assert result["test_error"] == expected["test_error"]
    assert sorted(path.name for path in (hosts / "tiny-seed0").iterdir()) == sorted(
        path.name for path in (one / "tiny-seed0").iterdir()
    )
    # What was saved is a net of one device.
    for layer in keras.saving.load_model(hosts / "tiny-seed0" / "last.keras", compile=False).layers:
        assert not getattr(layer, "synchronized", False)


@pytest.mark.parametrize(("replicas", "processes"), [(1, 1), (2, 1), (2, 2), (4, 2), (3, 3), (8, 2)])
@pytest.mark.parametrize("examples", [24, 29, 25])
def test_parts_of_a_batch(replicas, processes, examples):
    """Together they are the batch, in its order, each example as often as any other; equal parts for all devices."""
    x = np.arange(examples)[:, None]
    batches = Batches(x, x[:, 0], batch_size=24, seed=0, epoch=0)
    parts = [devices.Part(batches, replicas, process, processes) for process in range(processes)]
    for index in range(len(batches)):
        whole = batches[index]
        found = [part[index] for part in parts]
        sizes = {len(array) for arrays in found for array in arrays}
        assert len(sizes) == 1
        assert sizes.pop() % (replicas // processes) == 0
        for array, pieces in zip(whole, zip(*found, strict=True), strict=True):
            times = parts[0].times(len(array))
            assert times == 1 or len(array) % replicas
            np.testing.assert_array_equal(np.concatenate(pieces), np.concatenate([array] * times))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0",), "positive number or auto, got '0'"),
        (("two",), "positive number or auto, got 'two'"),
        (("2", True), "all devices that each process sees, got --devices 2"),
    ],
)
def test_wrong_devices(arguments, message):
    with pytest.raises(TrainingError, match=message):
        devices.connect(*arguments)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize(
    "config", [None, "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}']
)
def test_hosts_of_tensorflow_need_their_names(config, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(TrainingError, match="needs TF_CONFIG in the environment"):
        devices.connect(hosts=True)


def test_pytorch_has_one_device(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert devices.connect("1").replicas == devices.connect("auto").replicas == 1
    for arguments in (("2",), ("1", True)):
        with pytest.raises(
            TrainingError, match="torch trains on one device here; set KERAS_BACKEND to jax or tensorflow"
        ):
            devices.connect(*arguments)


def test_accumulated_gradients_are_of_one_device(tmp_path):
    pytest.importorskip("tensorflow")
    process = _start(
        "tensorflow", tmp_path, "--devices", "2", "--set", "optimizer.config.gradient_accumulation_steps=2"
    )
    said = process.communicate(timeout=900)[0]
    assert process.returncode == 1
    assert "training: gradient_accumulation_steps is of one device under TensorFlow" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_run_on_two_devices_broken_off_and_resumed_is_the_same(backend, tmp_path):
    """With dropout, whose numbers are those of the epoch."""
    pytest.importorskip(backend)
    changes = ["--devices", "2", "--set", "model_args.dropout=0.4"]
    started = [
        _start(backend, tmp_path / "unbroken", *changes),
        _start(backend, tmp_path / "broken", *changes, DIE_AT="1 2 SIGKILL"),
    ]
    said = [process.communicate(timeout=900)[0] for process in started]
    assert [process.returncode for process in started] == [0, -9], said
    resumed = _start(backend, tmp_path / "broken", *changes, "--resume")
    assert resumed.communicate(timeout=900)
    assert resumed.returncode == 0
    assert _losses(tmp_path / "broken") == _losses(tmp_path / "unbroken")


def _of(batch_size):
    return {**load_config("p4cnn_rotmnist"), "batch_size": batch_size}


def test_batches_that_cannot_be_shared():
    cluster = devices.OneDevice()
    cluster.replicas = 3
    cluster.check(_of(126))
    with pytest.raises(
        TrainingError, match="128 cannot be shared equally by 3 devices; --set batch_size=126 or 129 can"
    ):
        cluster.check(_of(128))
    with pytest.raises(TrainingError, match="--set batch_size=3 can"):
        cluster.check(_of(2))
