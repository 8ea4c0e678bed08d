"""What a run is made on."""

import os
import platform

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
    assert _hardware.hardware() == "2 cores, x86_64, AVX-512, AMX, bfloat16"
    monkeypatch.setattr(_hardware, "features", set)
    monkeypatch.setattr(_hardware, "cores", lambda: 1)
    assert _hardware.hardware() == "1 core, x86_64"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_cores_are_those_that_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    assert _hardware.cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert _hardware.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
