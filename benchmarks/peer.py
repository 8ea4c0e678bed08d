"""escnn, the library of group convolutions for PyTorch, timed beside ours where it is installed.

Weiler & Cesa 2019, arXiv 1911.08251; https://github.com/QUVA-Lab/escnn. What its installation compiles from Fortran,
py3nj, it needs for none of these groups: `pip install --no-deps escnn`, then `pip install lie_learn joblib pymanopt
autograd scipy`. Where lie_learn cannot be imported (0.0.2 with NumPy 2), a stand-in of its one function that escnn
imports, `lie_learn.representations.SO3.wigner_d.wigner_D_matrix`, will do: it is for SO(3).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import keras
import numpy as np

from benchmarks.cases import LayerCase
from benchmarks.timing import FORWARD

_SPACES = {"P4": "rot2dOnR2", "P4M": "flipRot2dOnR2"}


def has(case: LayerCase) -> bool:
    """Whether escnn can be timed: on PyTorch, where it is installed, on convolutions on its planar groups."""
    known = keras.backend.backend() == "torch" and case.window is not None and case.group in _SPACES
    return known and importlib.util.find_spec("escnn") is not None


def escnn(case: LayerCase, mode: str) -> Callable[[], None]:
    """One pass of its planar convolution between regular fields, as `benchmarks.timing.compiled` does one of ours.

    In inference, as ever in escnn, the expanded kernel was made before.
    """
    import torch
    from escnn import gspaces, nn

    assert case.window is not None
    kernel, filters = case.window
    space = getattr(gspaces, _SPACES[case.group])(4)
    read, written = (nn.FieldType(space, number * [space.regular_repr]) for number in (case.channels, filters))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layer = nn.R2Conv(read, written, kernel, padding=kernel // 2).to(device)
    values = np.random.default_rng(0).normal(size=(case.batch, read.size, *case.size)).astype("float32")
    inputs = nn.GeometricTensor(torch.tensor(values, device=device, requires_grad=mode != FORWARD), read)
    layer.train(mode != FORWARD)

    def call():
        if mode == FORWARD:
            with torch.no_grad():
                layer(inputs)
        else:
            layer.zero_grad()
            inputs.tensor.grad = None
            layer(inputs).tensor.square().mean().backward()
        if device == "cuda":
            torch.cuda.synchronize()

    return call
