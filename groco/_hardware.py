"""What a run is made on, in words, and with which versions."""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path

import keras
import numpy as np

from groco._version import __version__

# Any of these, as Linux names them, multiplies in bfloat16: AMX, AVX-512, AVX, and ARM's.
BFLOAT16 = {"amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16"}


def hardware(devices: int = 1) -> str:
    """The accelerators, if there are any, of which `devices` are used; and the processor.

    Of that the cores that the process may use, the machine, and the instructions that tell processors apart in speed.
    """
    number, name = cores(), accelerator()
    accelerators = [] if name is None else [name if devices == 1 else f"{devices} x {name}"]
    processor = [f"{number} core{'s' if number > 1 else ''}", platform.machine(), *instructions()]
    return ", ".join([*accelerators, *processor])


def versions() -> dict[str, str]:
    """The versions of groco, Keras, its backend and NumPy."""
    backend = keras.backend.backend()
    computing = importlib.import_module(backend).__version__
    return {"groco": __version__, "keras": keras.__version__, backend: computing, "numpy": np.__version__}


def accelerator() -> str | None:
    """What its maker calls the accelerator that Keras' backend computes on; None on a CPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("TPU")
        details = tf.config.experimental.get_device_details(found[0]) if found else {}
        return details.get("device_name", found[0].device_type) if found else None
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
        return "Apple GPU" if torch.backends.mps.is_available() else None
    return None


def cores() -> int:
    """How many cores the process may use, where the system says; else how many there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def instructions() -> list[str]:
    """The names of the instructions that tell processors apart in speed."""
    mine = features()
    known = {"AVX-512": {"avx512f"}, "AMX": {"amx_tile"}, "bfloat16": BFLOAT16}
    return [name for name, flags in known.items() if flags & mine]


def features(path: str | Path = "/proc/cpuinfo") -> set[str]:
    """The instruction sets of this processor as Linux names them; none where the system does not say."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.lower().startswith(("flags", "features")) for word in line.split()[2:]}
