"""The `groco` command: its parser, and what the shell is told.

Each module of this package adds the commands of one kind. What they need is imported when they run, so that
`groco --help`, `groco list` and `groco info` do not wait for Keras.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from groco._interruption import interruptible
from groco._version import __version__
from groco.cli import catalogue, checking, exporting, figures, finetuning, inference, publishing
from groco.cli.common import CommandError

_MODULES = (catalogue, inference, finetuning, checking, figures, exporting, publishing)
_BACKENDS = ("tensorflow", "jax", "torch")
_EXIT_CODES = """\
exit status: 0 all is well, 1 a check failed, 2 something asked for is wrong (one line on stderr says what),
130 interrupted. Tables are separated by tabs when they go to a pipe or file, and aligned on a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit status: 0, 1 if a check failed, 2 if something asked for is wrong."""
    options = _parser().parse_args(arguments)
    try:
        with interruptible():
            status = options.run(options)
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, as in `groco list | head -1`
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (CommandError, ValueError, OSError) as error:
        problem = str(error)
    except ImportError as error:
        problem = _missing(error)
    print(f"groco {options.command}: {' '.join(problem.split())}", file=sys.stderr)
    return 2


def _missing(error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    if package in _BACKENDS:
        others = ", ".join(other for other in _BACKENDS if other != package)
        return (
            f"Keras is set to the backend {package}, which is not installed: pip install 'groco[{package}]', or set "
            f"KERAS_BACKEND to another that is ({others})"
        )
    extra = {"matplotlib": "plot", "PIL": "plot"}.get(package)
    if extra:
        return f"it needs {package}: pip install 'groco[{extra}]'"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="groco",
        description="Trained group-equivariant networks.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"groco {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _MODULES:
        module.add_commands(commands)
    return parser
