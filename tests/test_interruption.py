"""What breaks a program off, whatever becomes of it on its way."""

import os
import signal
import threading

import pytest

from groco._interruption import interruptible

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("becomes", [None, TypeError("of a framework's own cleaning up")])
def test_a_signal_is_an_interruption(number, becomes):
    def broken_off():
        with interruptible():
            try:
                os.kill(os.getpid(), number)
            finally:
                if becomes is not None:
                    raise becomes

    before = [signal.getsignal(number) for number in NUMBERS]
    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_other_errors_are_as_they_are():
    with pytest.raises(TypeError, match="an error"), interruptible():
        raise TypeError("an error")


def test_outside_of_the_main_thread():
    done = []

    def run():
        with interruptible():
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]
