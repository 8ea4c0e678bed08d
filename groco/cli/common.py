"""What the commands share: their errors, their tables, and a quiet start of Keras."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from groco import _command
from groco._descriptors import redirected


class CommandError(Exception):
    """What the user asked for cannot be done; the message is the one line they see."""


def add_name(parser: argparse.ArgumentParser, **kwargs) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a trained model (see `groco list`), hf://organisation/name[@revision], or a folder",
        **kwargs,
    )


def load_preprocessor(name: str, invert: bool):
    """The preprocessor of a model; with `invert` that of images whose contrast is the other way round."""
    from groco.pretrained.preprocessor import preprocessor

    preprocess = preprocessor(name)
    if invert and preprocess.inverted:
        print(f"groco: {name} inverts images by itself; with --invert they are taken as they are", file=sys.stderr)
    return dataclasses.replace(preprocess, inverted=preprocess.inverted != invert)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write JSON")


def start_keras(tensorflow: bool = False) -> None:
    """Imports Keras and all of groco, without the greetings that backends write past Python to stderr.

    TensorFlow is left out where it is not the backend, unless what is to be done needs it. In a process that has Keras
    already, which is not the command's own, nothing happens.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silence():
        import keras

        from groco._backend import leave_out_tensorflow

        if not tensorflow:
            leave_out_tensorflow()
        else:
            with contextlib.suppress(ImportError):  # what needs it says so
                importlib.import_module("tensorflow")
        _command.import_everything()
        keras.ops.zeros(1)  # looks for devices


@contextlib.contextmanager
def _silence():
    """Holds back what is written to stderr, and shows it if there is an error."""
    with tempfile.TemporaryFile() as file:
        try:
            with redirected(file, 2):
                yield
        except Exception:
            file.seek(0)
            os.write(2, file.read())
            raise


def write_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table to stdout: aligned and with its header on a terminal, else only the rows, separated by tabs."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(map(str, row)))
        return
    lines = [[f"{value:,}" if isinstance(value, int) else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    for line in [list(header), *lines]:
        print("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


def write_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False, default=str))


def new_picture(path: Path) -> Path:
    """The path of a picture, a PNG if it does not say, once its folder is there.

    Raises:
        CommandError: if it is a folder.
    """
    if path.is_dir():
        raise CommandError(f"{str(path)!r} is a folder; give the path of a file")
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
