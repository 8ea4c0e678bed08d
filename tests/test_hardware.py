"""What a run is made on."""

import os
import platform
import types

import keras
import pytest

from groco import _hardware

WITH_AMX = "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu avx2 avx512f amx_bf16 amx_tile\nbugs\t\t: none\n"


def test_features(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text(WITH_AMX)
    assert _hardware.features(file) == {"fpu", "avx2", "avx512f", "amx_bf16", "amx_tile"}
    file.write_text("Features\t: fp asimd bf16\n")
    assert _hardware.features(file) == {"fp", "asimd", "bf16"}
    assert _hardware.features(tmp_path / "none") == set()


def test_hardware(monkeypatch):
    monkeypatch.setattr(_hardware, "features", lambda: {"avx512f", "amx_tile", "amx_bf16"})
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(_hardware, "cores", lambda: 2)
    monkeypatch.setattr(_hardware, "accelerator", lambda: None)
    assert _hardware.hardware() == "2 cores, x86_64, AVX-512, AMX, bfloat16"
    monkeypatch.setattr(_hardware, "features", set)
    monkeypatch.setattr(_hardware, "cores", lambda: 1)
    assert _hardware.hardware() == "1 core, x86_64"


def test_accelerators_are_named(monkeypatch):
    monkeypatch.setattr(_hardware, "features", set)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(_hardware, "cores", lambda: 16)
    monkeypatch.setattr(_hardware, "accelerator", lambda: "NVIDIA H100")
    assert _hardware.hardware() == "NVIDIA H100, 16 cores, x86_64"
    assert _hardware.hardware(4) == "4 x NVIDIA H100, 16 cores, x86_64"


def test_the_accelerator_is_that_of_the_backend(monkeypatch):
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        device = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [device] if kind == "GPU" else [])
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: {"device_name": "A"})
    elif backend == "jax":
        import jax

        device = types.SimpleNamespace(platform="gpu", device_kind="A")
        monkeypatch.setattr(jax, "devices", lambda: [device])
    else:
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A")
    assert _hardware.accelerator() == "A"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_cores_are_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    assert _hardware.cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert _hardware.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
