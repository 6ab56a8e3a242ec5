"""Signals that end a process at once."""

import os
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from archsearch.system.interrupts import SIGNALS, blocked_signals, ending_at_once


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_with_one_line(number: signal.Signals) -> None:
    script = (
        "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from archsearch.system.interrupts import ending_at_once\n"
        f"with ending_at_once(): os.kill(os.getpid(), {number:d}); print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "archsearch: interrupted\n")


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ending_at_once():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ending_at_once():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_changes_no_signals() -> None:
    seen: list[object] = []

    def look() -> None:
        with ending_at_once():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def report_mask(connection: Connection) -> None:
    connection.send(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")
def test_every_process_that_is_started_begins_with_blocked_signals() -> None:
    """Also the first, with which multiprocessing starts a process of its own that unblocks them."""
    context = get_context("spawn")
    for _ in range(2):
        receiver, sender = context.Pipe(duplex=False)
        with blocked_signals():
            process = context.Process(target=report_mask, args=(sender,))
            process.start()
        assert set(SIGNALS) <= receiver.recv()
        process.join()
    assert not set(SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, ())
