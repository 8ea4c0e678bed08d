"""Writes docs/models.md: every architecture with its parameters, its cost, and its measured equivariance.

python -m docs.write_models                           # parameters and cost; what was measured before is kept
python -m docs.write_models --measure [PATTERN ...]   # and measures, which takes a minute for the largest nets
"""

from __future__ import annotations

import argparse
import fnmatch
import inspect
import math
import re
from pathlib import Path

import keras
import numpy as np

from groco.groups import get_group
from groco.models import create_model, get_builder, list_models, macs, parameters, symmetry_group
from groco.testing import equivariance_error
from tests.models.test_models import PUBLISHED, PUBLISHED_MILLIONS
from tests.models.trained_like import randomise

PAGE = Path(__file__).with_name("models.md")
SHOWN = ("group", "widths", "width", "growth", "depth", "widen")
# Where the default is unknown sizes: sizes to count at.
SIZES = {2: (64, 64), 3: (32, 32, 32)}
# Sizes to measure at: the smallest on which every stride of the nets has something to do.
MEASURED_SIZES = {2: (16, 16), 3: (8, 8, 8)}
LARGER = {"*cnn*": (28, 28), "*densenet": (32, 32)}
LARGER |= {f"*resnet{depth}": (32, 32) for depth in (18, 34, 50)}
TEXT = """\
# Architectures

Written by `python -m docs.write_models`, as `groco.create_model` builds each architecture by default.

- Parameters are the trainable ones. Those that the papers publish (Cohen & Welling 2016; for the planar large ResNets
  every public implementation) are tested; All-CNN-C has them in both forms, the residual nets of depth 6n + 2 with
  `form="paper"`, whose classifier sees the orientations and which is not exactly equivariant; those of the planar wide
  nets are rounded in Zagoruyko & Komodakis 2016.
- MACs are the multiply-accumulates of convolutions and dense layers for one input of the size in the table, a group
  convolution as the ordinary convolution that it is computed with (`groco.models.macs`).
- The equivariance error is the largest over all elements of the group of |f(g x) - g f(x)|, relative to the largest
  |f(x)|, in single precision, of random weights with batch-norm statistics as after training, on random inputs of
  {sizes} points (more for nets that need more). Planar nets are measured under P4, or O for volumes.
  Nets that are restricted to P1 at the end are equivariant up to there only.

| architecture | arguments | parameters | published | input | MACs | equivariance error |
|---|---|---|---|---|---|---|
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.write_models", description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs="*", metavar="PATTERN", help="measure these architectures, or all, anew")
    options = parser.parse_args(arguments)
    errors = measured()
    for name in list_models():
        if options.measure is not None and any(fnmatch.fnmatch(name, p) for p in options.measure or "*"):
            errors[name] = measure(name)
            print(f"{name}: {errors[name]}", flush=True)
            keras.backend.clear_session()
    sizes = " and ".join(" x ".join(map(str, size)) for size in MEASURED_SIZES.values())
    lines = [f"{row(name)} {errors.get(name, 'not measured')} |" for name in list_models()]
    PAGE.write_text(TEXT.format(sizes=sizes) + "\n".join(lines) + "\n", encoding="utf-8")


def row(name: str, model: keras.Model | None = None) -> str:
    """The line of one architecture but for what is measured; `model` is the one of unchanged arguments."""
    defaults = {key: p.default for key, p in inspect.signature(get_builder(name)).parameters.items()}
    listed = ", ".join(f"{key}={defaults[key]!r}" for key in SHOWN if defaults.get(key) is not None)
    published = f"{PUBLISHED[name]:,}" if name in PUBLISHED else ""
    if name in PUBLISHED_MILLIONS:
        published = f"{PUBLISHED_MILLIONS[name]} M"
    shape = defaults["input_shape"]
    if None in shape:
        shape, model = (*SIZES[len(shape) - 1], shape[-1]), None
    model = model or create_model(name, input_shape=shape)
    size = " x ".join(map(str, shape))
    return f"| `{name}` | {listed} | {parameters(model):,} | {published} | {size} | {macs(model) / 1e6:,.1f} M |"


def measured() -> dict[str, str]:
    """What the page says was measured."""
    if not PAGE.is_file():
        return {}
    return dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def measure(name: str) -> str:
    """The equivariance error, as the power of ten that it stays below; 1e-6 is as good as single precision gets."""
    default = inspect.signature(get_builder(name)).parameters
    ndim, channels = len(default["input_shape"].default) - 1, default["input_shape"].default[-1]
    size = next((size for pattern, size in LARGER.items() if fnmatch.fnmatch(name, pattern)), MEASURED_SIZES[ndim])
    group = symmetry_group(name)
    restricted = group is None and isinstance(default["group"].default, tuple) if "group" in default else False
    if restricted:
        return "restricted to P1"
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = create_model(name, input_shape=(*size, channels))
    randomise(model, rng)
    inputs = rng.normal(size=(1, *size, channels)).astype("float32")
    error = equivariance_error(model, inputs, group or get_group({2: "P4", 3: "O"}[ndim], ndim), ndim=ndim)
    if group is None:
        return "planar" if error > 1e-2 else f"planar, {error:.0e}"
    return f"< 1e{max(-5, math.floor(math.log10(error)) + 1) if error > 0 else -5}"


if __name__ == "__main__":
    main()
