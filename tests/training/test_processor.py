"""A warning of slow bfloat16, and memory that stays with the process."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from training import processor

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("precision", "instructions", "on_cpu", "warns"),
    [
        ("mixed_bfloat16", {"avx2", "avx512f"}, True, True),
        ("mixed_bfloat16", {"avx2", "avx512_bf16"}, True, False),
        ("mixed_bfloat16", {"asimd", "bf16"}, True, False),
        ("mixed_bfloat16", {"avx2"}, False, False),
        ("mixed_bfloat16", set(), True, False),
        ("mixed_float16", {"avx2", "avx512_bf16"}, True, True),
        ("float16", set(), True, True),
        ("mixed_float16", {"avx2"}, False, False),
        ("float32", {"avx2"}, True, False),
    ],
)
def test_warning_of_slow_precisions(monkeypatch, capsys, precision, instructions, on_cpu, warns):
    monkeypatch.setattr(processor, "features", lambda: instructions)
    monkeypatch.setattr(processor, "accelerator", lambda: None if on_cpu else "A")
    processor.warn_of_slow_precision(precision)
    message = capsys.readouterr().err
    assert ("--set precision=float32" in message) == warns
    assert bool(message) == warns


# In a process of its own: what it sets holds for the whole process.
FREED = """
import ctypes, os, sys
from training.processor import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
size = 200 * 2**20
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = resident()
block = libc.malloc(size)
ctypes.memset(block, 1, size)
libc.free(block)
print(resident() - before > size // 2)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_keep_freed_memory():
    untuned = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    environment = {**untuned, "PYTHONPATH": str(ROOT)}
    kept = {
        mode: subprocess.run(
            [sys.executable, "-c", FREED, mode], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        for mode in ("kept", "given back")
    }
    assert kept == {"kept": "True", "given back": "False"}
