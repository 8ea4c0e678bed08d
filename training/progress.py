"""What a run shows: a progress bar with the time left, or a line for each epoch in a log; curves; TensorBoard."""

from __future__ import annotations

import contextlib
import datetime
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from groco._errors import one_line
from training.checkpoints import write_whole


class Progress(keras.callbacks.Callback):
    """One bar for the whole run on a terminal, a line for each epoch elsewhere, both with the time left.

    Args:
        epochs: of the whole run.
        steps: in each epoch.
        start: epochs made before.
    """

    def __init__(self, epochs: int, steps: int, start: int = 0):
        super().__init__()
        self.epochs, self.steps, self.start = epochs, steps, start
        self.epoch, self.began = start, time.perf_counter()
        self.bar = keras.utils.Progbar((epochs - start) * steps) if sys.stdout.isatty() else None

    def on_train_batch_end(self, batch, logs=None):
        made = (self.epoch - self.start) * self.steps + batch + 1
        if self.bar is not None and made < self.bar.target:
            self.bar.update(made)

    def end_epoch(self, losses: dict[str, float]) -> None:
        """To be called after each epoch with its loss and metrics."""
        self.epoch += 1
        if self.bar is not None:
            self.bar.stateful_metrics |= set(losses)  # means over the epoch already
            self.bar.update((self.epoch - self.start) * self.steps, list(losses.items()))
            return
        each = (time.perf_counter() - self.began) / (self.epoch - self.start)
        figures = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
        left = datetime.timedelta(seconds=round(each * (self.epochs - self.epoch)))
        print(f"epoch {self.epoch}/{self.epochs}  {figures}  {each:.1f} s each, {left} left", flush=True)


def draw_curves(history: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draws every column of a history against the epochs; nothing where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return
    names = [name for name in history[0] if name not in ("epoch", "seconds")]
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [line["epoch"] for line in history]
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axis.plot(epochs, [line[name] for line in history])
        axis.set(xlabel="epoch", ylabel=name)
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    save_figure(figure, path, dpi=80)


def save_figure(figure, path: Path, dpi: int) -> None:
    """Writes a figure as PNG; what was there is replaced when it is whole."""
    partial = path.with_name(f"{path.stem}.partial.png")
    write_whole(partial, lambda partial: figure.savefig(partial, dpi=dpi), lambda partial: partial.replace(path))


class TensorBoardLog:
    """Scalars of each epoch for TensorBoard, in a file of its own for each time that a run goes on.

    Where it cannot be written, as on a full disk, it says so once and is left out: history.csv has all that it has.

    Raises:
        ImportError: where the package tensorboard is missing.
    """

    def __init__(self, folder: Path):
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            raise ImportError(f"--tensorboard needs pip install 'groco[tensorboard]' ({error})") from None
        self.folder = folder
        self.writer: Any = None
        with self._left_out_if_it_fails():
            self.writer = Writer(str(folder))

    def write(self, line: dict[str, Any]) -> None:
        """Writes a line of the history, at once."""
        if self.writer is None:
            return
        with self._left_out_if_it_fails():
            for name, value in line.items():
                if name != "epoch":
                    self.writer.add_scalar(name, value, line["epoch"])
            self.writer.flush()

    @contextlib.contextmanager
    def _left_out_if_it_fails(self) -> Iterator[None]:
        hook = threading.excepthook
        threading.excepthook = lambda about: None  # of the thread that writes, which hands its error on
        try:
            yield
        except Exception as error:  # TensorFlow has errors of its own for files, and is used where it is installed
            self.writer = None
            for thread in threading.enumerate():
                if type(thread).__module__.startswith("tensorboard."):
                    thread.join(timeout=1)
            print(
                f"training: {self.folder} cannot be written ({one_line(error)}); the run goes on without a log for "
                "TensorBoard",
                file=sys.stderr,
            )
        finally:
            threading.excepthook = hook
