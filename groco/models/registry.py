"""The architectures by name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable

import keras

_BUILDERS: dict[str, Callable[..., keras.Model]] = {}


def register_model(builder: Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Decorator: makes a builder function known under its own name."""
    name = builder.__name__
    if name in _BUILDERS:
        raise ValueError(f"An architecture {name!r} is registered already.")
    _BUILDERS[name] = builder
    return builder


def list_models(pattern: str = "*") -> list[str]:
    """The names of all architectures that match a shell pattern, in alphabetical order."""
    return sorted(fnmatch.filter(_BUILDERS, pattern))


def get_builder(name: str) -> Callable[..., keras.Model]:
    """The builder function of an architecture; raises ValueError with close names if there is none."""
    if name not in _BUILDERS:
        close = difflib.get_close_matches(str(name), _BUILDERS, n=3, cutoff=0.4)
        hint = f" Close names: {', '.join(close)}." if close else ""
        raise ValueError(f"There is no architecture {name!r}.{hint} groco.list_models() gives all.")
    return _BUILDERS[name]


def create_model(name: str, **kwargs) -> keras.Model:
    """A new, untrained model of an architecture; `kwargs` are those of its builder."""
    return get_builder(name)(**kwargs)
