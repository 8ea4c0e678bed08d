"""The architectures by name."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import keras

_BUILDERS: dict[str, Callable[..., keras.Model]] = {}


def register_model(builder: Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Decorator: makes a builder function known under its own name."""
    name = builder.__name__
    if name in _BUILDERS:
        raise ValueError(f"An architecture {name!r} is registered already.")
    _BUILDERS[name] = builder
    return builder


def register_variants(builder: Callable[..., keras.Model], **variants: dict[str, Any]) -> None:
    """Registers a builder under other names, each with its own defaults for some of the arguments."""
    for name, defaults in variants.items():
        register_model(_variant(builder, name, defaults))


def _variant(builder: Callable[..., keras.Model], name: str, defaults: dict[str, Any]) -> Callable[..., keras.Model]:
    signature = inspect.signature(builder)
    new = {**defaults, "name": name}
    unknown = set(new) - set(signature.parameters)
    if unknown:
        raise ValueError(f"{builder.__name__} has no arguments {', '.join(sorted(unknown))}.")
    parameters = [p.replace(default=new.get(p.name, p.default)) for p in signature.parameters.values()]
    signature = signature.replace(parameters=parameters)

    @functools.wraps(builder)
    def variant(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return builder(*bound.args, **bound.kwargs)

    variant.__name__ = variant.__qualname__ = name
    variant.__dict__["__signature__"] = signature
    listed = ", ".join(f"{key}={value!r}" for key, value in defaults.items())
    variant.__doc__ = f"`{builder.__name__}` with {listed}.\n\n    {inspect.getdoc(builder)}"
    return variant


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
    """A new, untrained model of an architecture; `kwargs` are those of its builder.

    It is channels last, and `input_shape` is (*spatial, channels), whatever `keras.config.image_data_format()` says.

    Raises:
        ValueError: if there is no such architecture, or an argument is not one of its builder's or does not fit.
    """
    check_arguments(name, kwargs)
    return get_builder(name)(**kwargs)


def check_arguments(name: str, arguments: Iterable[str]) -> None:
    """Raises ValueError if the builder of an architecture has no argument of one of those names."""
    known = inspect.signature(get_builder(name)).parameters
    if unknown := [key for key in arguments if key not in known]:
        raise ValueError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(known)}.")
