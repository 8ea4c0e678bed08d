"""Ctrl-C and SIGTERM as one exception, whatever becomes of it on its way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raises KeyboardInterrupt if the program is broken off by Ctrl-C or SIGTERM.

    What runs when the signal comes may end with an error of another kind: Keras tells what was called while JAX traced
    it, and puts its variables back in order with what it has not made.
    """
    came = []

    def interrupt(number, frame):
        came.append(number)
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()  # the others get no signals
    before = {number: signal.signal(number, interrupt) for number in _SIGNALS} if in_main_thread else {}
    try:
        yield
    except Exception as error:
        if came:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
