"""What a run keeps on disk: checkpoints, history and results, each whole at every moment."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

CHECKPOINTS = ("last.keras", "previous.keras")
PROGRESS = "progress.json"  # in a checkpoint, beside what Keras keeps there
FINAL = "final.keras"
HISTORY = "history.csv"
_WITHOUT_HISTORY = "Where it is removed --resume goes on; curves and seconds begin there."


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why."""


def save(model: keras.Model, folder: Path, epoch: int) -> None:
    """Keeps the last two checkpoints, after so many epochs; at every moment at least one of them is whole."""
    last, previous = (folder / name for name in CHECKPOINTS)

    def write(partial: Path) -> None:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as file:
            file.writestr(PROGRESS, json.dumps({"epoch": epoch}))

    def keep(partial: Path) -> None:
        if last.exists():
            last.replace(previous)
        partial.replace(last)

    write_whole(folder / "partial.keras", write, keep)


def save_final(model: keras.Model, folder: Path) -> None:
    """Keeps the net that is evaluated."""
    write_whole(folder / "partial.keras", model.save, lambda partial: partial.replace(folder / FINAL))


def load_final(folder: Path) -> keras.Model:
    """The net of a finished run, uncompiled; raises ValueError if it cannot be read."""
    try:
        return keras.saving.load_model(folder / FINAL, compile=False)
    except Exception as error:  # whatever a broken file makes Keras raise
        raise ValueError(f"{folder / FINAL} cannot be read ({_what_is_wrong(folder / FINAL, error)}).") from None


def restore(folder: Path, steps: int) -> tuple[keras.Model | None, int]:
    """The newest whole checkpoint and the number of epochs it has made; (None, 0) if there is none yet.

    A checkpoint that cannot be read is set aside, so that the next one does not take the place of a whole one.

    Args:
        folder: of the run.
        steps: the number of steps of an epoch, by which checkpoints count that do not say their epoch.
    """
    found = [folder / name for name in CHECKPOINTS if (folder / name).exists()]
    for path in found:
        try:
            model = keras.saving.load_model(path)
            epoch = _epoch_of(path)
        except Exception as error:  # whatever a broken file makes Keras raise
            then = "" if path == found[-1] else "; trying the one before"
            print(f"training: {path} cannot be read ({_what_is_wrong(path, error)}){then}", file=sys.stderr)
            continue
        for broken in found[: found.index(path)]:
            with contextlib.suppress(OSError):  # another process of the run may have done so
                broken.replace(broken.with_suffix(".damaged"))
        return model, int(model.optimizer.iterations) // steps if epoch is None else epoch
    if found:
        raise TrainingError(f"no checkpoint in {folder} can be read; remove that folder to train from the beginning.")
    return None, 0


def _epoch_of(path: Path) -> int | None:
    """What `save` noted, None in checkpoints of before it did."""
    with zipfile.ZipFile(path) as file:
        if PROGRESS not in file.namelist():
            return None
        epoch = json.loads(file.read(PROGRESS))["epoch"]
        if not isinstance(epoch, int) or epoch < 1:
            raise ValueError(f"its epoch is {epoch!r}")
        return epoch


def _what_is_wrong(path: Path, error: Exception) -> Exception | str:
    """What makes a file unreadable: Keras says of one that is cut off that it is not there."""
    return error if zipfile.is_zipfile(path) or not path.is_file() else "it is not a whole .keras file"


def read_history(folder: Path, epochs: int) -> list[dict[str, Any]]:
    """The lines of history.csv, one for each of the first epochs; it is said if some are missing."""
    path = folder / HISTORY
    if epochs == 0:
        return []
    lines: list[dict[str, Any]] = []
    try:
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                lines = [
                    {k: int(v) if k == "epoch" else float(v) for k, v in row.items()} for row in csv.DictReader(file)
                ]
                if lines and not {"epoch", "loss", "seconds"} <= set(lines[0]):
                    raise ValueError(f"its columns are {', '.join(lines[0])}")
        lines = [line for line in lines if line["epoch"] <= epochs]
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read ({error}). {_WITHOUT_HISTORY}") from None
    if [line["epoch"] for line in lines] != list(range(1, epochs + 1)):
        print(
            f"training: {path} has not every epoch up to {epochs}, where the checkpoint is; curves and seconds are "
            "without those that are missing",
            file=sys.stderr,
        )
    return lines


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from making the same run at the same time, by a lock of its folder where there are such.

    Raises:
        TrainingError: if one does.
    """
    try:
        import fcntl
    except ImportError:  # on Windows
        yield
        return
    directory = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(directory)
        raise TrainingError(f"another process makes the run in {folder}; wait for its end, or stop it.") from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(directory)


def write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """Writes history.csv; raises TrainingError where what was there has other columns than its last line."""
    if other := sorted(set(history[0]) ^ set(history[-1])):
        raise TrainingError(
            f"{folder / HISTORY} has other columns than this run ({', '.join(other)}). {_WITHOUT_HISTORY}"
        )

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(history[0]))
            writer.writeheader()
            writer.writerows(history)

    write_whole(folder / f"{HISTORY}.partial", write, lambda partial: partial.replace(folder / HISTORY))


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A table from a file; raises ValueError that names one that has none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}).") from None
    if not isinstance(table, dict):
        raise ValueError(f"{path} has no table.")
    return table


def write_text(path: Path, text: str) -> None:
    write_whole(
        path.with_suffix(".partial"),
        lambda partial: partial.write_text(text, encoding="utf-8"),
        lambda partial: partial.replace(path),
    )


def write_whole(partial: Path, write: Callable[[Path], Any], keep: Callable[[Path], Any]) -> None:
    """Writes beside what is there and puts it in its place when it is whole; on a full disk nothing is lost."""
    try:
        write(partial)
        with partial.open("r+b") as file:
            os.fsync(file.fileno())  # whole on the disk, before it takes the place of another
        keep(partial)
    except OSError as error:
        raise TrainingError(
            f"{partial.parent} cannot be written ({error}). The files that were there are whole: make space, and "
            "--resume goes on from the last checkpoint."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
