"""Limited processes that decode what strangers send, so that the process that serves pages never does.

A picture that takes too long, too much memory or the decoder down with it costs one of these processes, which is
replaced, and is refused in a sentence. They are started once, wait between pictures, and end with this process, however
that ends. Threads may share them; each waits for a free one.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache

from telltale.base.errors import InputError
from telltale.base.guard import preload_source
from telltale.data.limits import LIMITS, Limits
from telltale.data.messages import BrokenOffError, Message, receive, send
from telltale.models.decoder_process import OUT_OF_CLOCK, OUT_OF_PROCESSOR

AT_ONCE = 2
START_SECONDS = 60.0
WAIT_SECONDS = 20.0
GRACE_SECONDS = 0.1  # for the clocks of the process itself, which say more precisely what ran out
MOST_ANSWERED = 4 * 2**20  # bytes of pixels: a megapixel in colour, and some
_NO_PROCESS = "The process that reads pictures cannot be started; ask whoever runs this server."
_NEEDED = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")


class Decoders:
    """A few limited processes.

    Parameters
    ----------
    count : int
        How many pictures are decoded at once; more wait.
    limits : Limits
        Of their clocks and their memory.
    """

    def __init__(self, count: int = AT_ONCE, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._free: queue.LifoQueue[_Decoder | None] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(None)

    def ask(self, task: str, data: bytes, most: int = MOST_ANSWERED, **asked: object) -> Message:
        """Have one task done.

        Parameters
        ----------
        task : str
            A key of the table in `telltale.models.decoder_process`.
        data : bytes
            The picture's file.
        most : int
            Bytes that the answer may have.
        **asked
            What else the task wants to know.

        Raises
        ------
        InputError
            If the picture is refused, too much for the process, or too many others are waiting.
        """
        self._limits.check_bytes(len(data))
        with self._one() as decoder:
            answer = decoder.ask(Message({"task": task, **asked}, data), most)
        if isinstance(refused := answer.header.get("refused"), str):
            raise InputError(refused)
        return answer

    def start(self) -> None:
        """Start a process before anybody asks, so that the first visitor need not wait for it."""
        with contextlib.suppress(InputError), self._one():  # where none can be started, whoever asks is told
            pass

    def close(self) -> None:
        """End the processes that wait; those at work end with this one, if it ends. New ones start when asked for."""
        waiting = []
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.append(self._free.get_nowait())
        for decoder in waiting:
            if decoder is not None:
                decoder.end()
            self._free.put(None)

    @contextlib.contextmanager
    def _one(self) -> Iterator[_Decoder]:
        """Lend a process that is alive; one that was lost is replaced at once, not when somebody waits for it."""
        try:
            decoder = self._free.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise InputError("Many pictures are being read right now; try again in half a minute.") from None
        try:
            if decoder is None or decoder.ended:
                decoder = _Decoder.start(self._limits)
            yield decoder
        finally:
            self._free.put(_replaced(decoder, self._limits))


class _Decoder:
    """One process, and this side's end of the socket to it."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, limits: Limits) -> None:
        self._process, self._connection, self._limits = process, connection, limits
        self._ready = False

    @classmethod
    def start(cls, limits: Limits) -> _Decoder:
        ours, theirs = socket.socketpair()
        given = (theirs.fileno(), limits.seconds, limits.processor_seconds, limits.memory)
        source = f"{preload_source(os.getpid())}from telltale.models.decoder_process import serve\nserve{given}\n"
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-c", source],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Whoever breaks out of a decoder finds no secrets of the server there.
                    env={name: os.environ[name] for name in _NEEDED if name in os.environ},
                )
        except OSError as error:
            ours.close()
            raise InputError(_NO_PROCESS) from error
        return cls(process, ours, limits)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, request: Message, most: int) -> Message:
        try:
            self._wait_until_ready()
            seconds = self._limits.seconds + GRACE_SECONDS
            until = time.monotonic() + seconds
            self._connection.settimeout(seconds)
            send(self._connection, request)
            answer = receive(self._connection, most, until)
        except (OSError, BrokenOffError) as error:
            raise self._lost() from error
        if answer is None:
            raise self._lost()
        return answer

    def end(self) -> int:
        """End the process, whatever it does, and return its exit status."""
        self._connection.close()
        if not self.ended:
            self._process.kill()
        return self._process.wait()

    def _wait_until_ready(self) -> None:
        if not self._ready:
            self._ready = receive(self._connection, 0, time.monotonic() + START_SECONDS) is not None

    def _lost(self) -> InputError:
        """Return why there is no answer, as far as the process's end tells."""
        was_ready = self._ready
        with contextlib.suppress(subprocess.TimeoutExpired):  # a process that closed its socket is about to end
            self._process.wait(GRACE_SECONDS)
        status = self._process.poll()
        self.end()
        if not was_ready:
            return InputError(_NO_PROCESS)
        if status is None or -status in (OUT_OF_CLOCK, OUT_OF_PROCESSOR):
            return self._limits.took_too_long()
        return InputError("The file is damaged in a way that its decoder does not survive.")


def _replaced(decoder: _Decoder | None, limits: Limits) -> _Decoder | None:
    """Return a new process where this one was lost; None where none can be started now."""
    if decoder is None or not decoder.ended:
        return decoder
    try:
        return _Decoder.start(limits)
    except InputError:
        return None


@cache
def decoders() -> Decoders:
    """Return this process's limited processes."""
    shared = Decoders()
    atexit.register(shared.close)
    return shared
