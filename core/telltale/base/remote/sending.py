"""Sending workers the files that they lack, in pieces, each file once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from telltale.base.files import file_sha256
from telltale.base.remote.errands import Content, lacks, take_piece
from telltale.base.waiting import within

PIECE_BYTES = 8 << 20
PIECE_SECONDS = 60.0
ANSWER_SECONDS = 30.0


class Contents:
    """The SHA-256 of files, computed anew only for those that were written to."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, str]] = {}

    def of(self, files: Sequence[Path]) -> tuple[Content, ...]:
        """Return what is in every file.

        Raises
        ------
        OSError
            If one cannot be read.
        """
        return tuple(Content(file, self._sha256(file)) for file in files)

    def _sha256(self, file: Path) -> str:
        about = file.stat()
        mark = (about.st_ino, about.st_size, about.st_mtime_ns)
        known = self._known.get(file)
        if known is None or known[0] != mark:
            known = self._known[file] = (mark, file_sha256(file))
        return known[1]


class Sender:
    """Sends files to workers; two errands that need the same file wait for each other."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, client: Any, worker: str, files: Mapping[str, Path]) -> None:
        """Send a worker those files that it lacks.

        Parameters
        ----------
        client : distributed.Client
        worker : str
            Its address.
        files : mapping of str to Path
            By SHA-256.

        Raises
        ------
        TimeoutError, OSError
            If it cannot be reached, or cannot keep them.
        InputError
            If a file changed while it was sent.
        """
        async with self._locks[worker]:
            lacking = await _ask(client, worker, ANSWER_SECONDS, lacks, tuple(files))
            for sha256 in lacking:
                await _send(client, worker, sha256, files[sha256])


async def _send(client: Any, worker: str, sha256: str, file: Path) -> None:
    size, offset = file.stat().st_size, 0
    while True:
        piece = await asyncio.to_thread(_piece, file, offset)
        last = offset + len(piece) >= size
        await _ask(client, worker, PIECE_SECONDS, take_piece, sha256, offset, piece, last)
        offset += len(piece)
        if last:
            return


def _piece(file: Path, offset: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(PIECE_BYTES)


async def _ask(client: Any, worker: str, seconds: float, function: Any, *args: Any) -> Any:
    answers = await within(seconds, client.run(function, *args, workers=[worker], on_error="return"))
    answer = answers.get(worker)
    if isinstance(answer, Exception):
        raise answer
    return answer
