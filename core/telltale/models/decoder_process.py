"""What runs in a limited process: it decodes what a stranger sent, and hands back a few pixels.

It imports neither torch nor Streamlit, writes no file, and is ended from outside and by its own clocks.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import ByteImages, to_bytes
from telltale.data.limits import LIMITS
from telltale.data.messages import Message, receive, send
from telltale.data.plain_png import FaultyPngError, read_plain_png
from telltale.data.uploads import Square, decode_image, preview
from telltale.models.fitting import first_part
from telltale.models.preprocess import Preprocess

READY = Message({"ready": True})
OUT_OF_CLOCK, OUT_OF_PROCESSOR = signal.SIGALRM, signal.SIGPROF


def serve(descriptor: int, seconds: float, processor_seconds: float, memory: int) -> None:
    """Answer requests on a socket until its other side closes it.

    Parameters
    ----------
    descriptor : int
        Of the socket.
    seconds, processor_seconds : float
        For one picture.
    memory : int
        Bytes for one picture.
    """
    Image.init()  # the first picture need not wait for the code of its format
    _restrict(memory)
    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(OSError):
        send(connection, READY)
        while (request := receive(connection, LIMITS.bytes)) is not None:
            _start_clocks(seconds, processor_seconds)
            answer = _answer(request)
            _start_clocks(0.0, 0.0)
            send(connection, answer)


def _restrict(memory: int) -> None:
    """Bound this process's memory, let it write no file, and make it the first to go where the system runs out."""
    with contextlib.suppress(OSError):  # other systems have no such files
        Path("/proc/self/oom_score_adj").write_text("1000")
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _start_clocks(seconds: float, processor_seconds: float) -> None:
    """Let the system end this process after so long; 0 stops the clock. No code of ours can miss it."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_PROF, processor_seconds)


def _answer(request: Message) -> Message:
    try:
        return _TASKS[request.header["task"]](bytes(request.body), request.header)
    except InputError as error:
        return Message({"refused": str(error)})
    except FaultyPngError as error:
        return Message({"fault": error.fault.value})
    except MemoryError:
        return Message({"refused": str(LIMITS.took_too_much())})


def _look(data: bytes, asked: dict[str, Any]) -> Message:
    """Answer a small copy and, behind it, a part: a person waits for both, and decoding may take long."""
    picture = decode_image(data)
    small, part = to_bytes(preview(picture, asked["longest_side"])), _part(picture, asked)
    return Message({**part.header, "size": picture.size, "small": small.shape}, small.tobytes() + part.body)


def _cut(data: bytes, asked: dict[str, Any]) -> Message:
    return _part(decode_image(data), asked)


def _part(picture: Image.Image, asked: dict[str, Any]) -> Message:
    preprocess, square = asked["preprocess"], asked["square"]
    chosen, image = first_part(
        picture,
        tuple(asked["shape"]),
        None if preprocess is None else Preprocess(**preprocess),
        None if square is None else Square(*square),
        asked["invert"],
    )
    return _pixels(to_bytes(image), square=None if chosen is None else (chosen.left, chosen.top, chosen.side))


def _plain_png(data: bytes, _: dict[str, Any]) -> Message:
    return _pixels(read_plain_png(data))


def _pixels(pixels: ByteImages, **more: object) -> Message:
    return Message({"shape": pixels.shape, **more}, pixels.tobytes())


_TASKS: dict[str, Callable[[bytes, dict[str, Any]], Message]] = {"look": _look, "cut": _cut, "plain_png": _plain_png}
