"""The workers of somebody else's scheduler, for code that hands them one call each; see `telltale.base.pool`."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from telltale.base.calls import Call
from telltale.base.errors import InputError, WorkerLostError
from telltale.base.outcomes import Outcome
from telltale.base.remote.asking import LOOK_SECONDS, WorkersGoneError, answer_of
from telltale.base.remote.connecting import connect
from telltale.base.remote.errands import Content, Errand, Lacking, put_in_place, run_errand
from telltale.base.remote.job_files import files_read, moved
from telltale.base.remote.roster import Roster
from telltale.base.remote.sending import Contents, Sender

PATIENCE_SECONDS = 300.0  # a network that was cut for a minute is back by then, with workers that have joined again
REFUSAL_SECONDS = 20.0  # a worker that may compute might be about to join
MOST_LOSSES = 2
MOST_SENDS = 10

KEPT = "What was finished is kept where the command keeps its work: start it again."
LOST = f"Three workers were lost while doing the same work. {KEPT}"


class RemoteCrew:
    """Workers that may come and go, share no disk with this machine and belong to others too.

    Open it with `RemoteCrew.open`. Every method belongs to the event loop that opened it.
    """

    def __init__(self, address: str, client: Any) -> None:
        self.address = address
        self._client = client
        self._session = uuid.uuid4().hex
        self._roster, self._contents, self._sender = Roster(), Contents(), Sender()
        self._manned_at = self._looked_at = time.monotonic()
        self._trouble = ""
        self._met = False  # whether anybody has ever been accepted
        self._looking = asyncio.create_task(self._look())

    @classmethod
    async def open(cls, address: str) -> RemoteCrew:
        """Connect to the scheduler and meet its workers.

        Raises
        ------
        WorkerLostError
            If no scheduler answers.
        InputError
            If certificates are missing.
        """
        try:
            crew = cls(address, await connect(address))
        except OSError as error:
            raise WorkerLostError(f"No scheduler can be reached at {address}: {_short(error)}.") from error
        await crew._looking
        return crew

    @property
    def capacity(self) -> int:
        """How many calls can be under way: one for each worker that is accepted and can be reached."""
        return 0 if self._trouble else len(self._roster.accepted)

    async def look_after(self) -> None:
        """Learn who is there, and connect again where the scheduler was lost.

        Raises
        ------
        WorkerLostError
            If nobody has been there who could compute for `PATIENCE_SECONDS`, or for `REFUSAL_SECONDS` where all who
            ever came are refused.
        """
        if self._looking.done():
            self._looking.result()
            if time.monotonic() - self._looked_at > LOOK_SECONDS:
                self._looking = asyncio.create_task(self._look())  # beside the calls: who does not answer holds up none
        waited = time.monotonic() - self._manned_at
        if waited > (REFUSAL_SECONDS if self._roster.refused and not self._met else PATIENCE_SECONDS):
            raise WorkerLostError(f"{self._trouble} Waited for {waited:.0f} s. {KEPT}")

    async def _look(self) -> None:
        try:
            if self._client.status == "closed":
                self._client = await connect(self.address)
            await self._roster.refresh(self._client)
            self._trouble = "" if self._roster.accepted else self._roster.complaint(self.address)
        except (OSError, TimeoutError, AttributeError) as error:  # between two connections a client has no scheduler
            self._trouble = f"The scheduler at {self.address} does not answer ({_short(error)})."
        self._looked_at = time.monotonic()
        if not self._trouble:
            self._met, self._manned_at = True, self._looked_at

    async def attempt(self, call: Call) -> Outcome:
        """Do one call on any worker, and put in place what it has written."""
        argument = moved(call.argument, Path.absolute)
        files = await asyncio.to_thread(lambda: self._contents.of(files_read(argument)))
        outcome = await self._outcome(Errand(self._session, Call(call.function, argument), files))
        if outcome.error is None:
            await asyncio.to_thread(put_in_place, argument, outcome.value)
        return outcome

    async def _outcome(self, errand: Errand) -> Outcome:
        """Try until the call has been done, or failed, or has cost its worker too often."""
        from distributed import KilledWorker
        from distributed.client import ClosedClientError, FutureCancelledError

        losses, sends, where = 0, 0, ""
        while True:
            try:
                outcome = await self._submit(errand, where)
            except (KilledWorker, WorkersGoneError):
                losses, where = losses + 1, ""
                if losses > MOST_LOSSES:
                    return Outcome(error=WorkerLostError(LOST))
                continue
            except (FutureCancelledError, ClosedClientError, OSError):  # the scheduler was lost, and with it the call
                await asyncio.sleep(LOOK_SECONDS)
                continue
            if not isinstance(outcome.value, Lacking):
                return outcome
            where, sends = outcome.value.worker, sends + 1
            problem = await self._send(outcome.value, errand.files)
            if problem is not None and sends > MOST_SENDS:
                return Outcome(error=problem)

    async def _submit(self, errand: Errand, where: str) -> Outcome:
        """Hand the call to a worker, the one at `where` if it may, and wait for what becomes of it."""
        import dask

        while not self.capacity:  # `look_after` loses patience, not this
            await asyncio.sleep(LOOK_SECONDS)
        accepted = list(self._roster.accepted)
        chosen = [where] if where in accepted else accepted
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):  # images are large
            future = self._client.submit(run_errand, errand, key=uuid.uuid4().hex, pure=False, workers=chosen)
        outcome: Outcome = await answer_of(future, lambda: not self._roster.accepted.keys() & set(chosen))
        return outcome

    async def _send(self, lacking: Lacking, files: Sequence[Content]) -> Exception | None:
        """Send a worker what it lacks; return why that failed, where it did."""
        wanted = {file.sha256: file.path for file in files if file.sha256 in lacking.sha256s}
        try:
            await self._sender.send(self._client, lacking.worker, wanted)
        except (OSError, TimeoutError, AttributeError, InputError) as error:
            await asyncio.sleep(LOOK_SECONDS)
            return WorkerLostError(f"The worker {lacking.worker} could not be sent its files: {_short(error)}. {KEPT}")
        return None

    async def renew(self) -> None:
        """Do nothing: others' processes are not ours to end."""

    async def close(self) -> None:
        """Let go of the scheduler; calls that are under way are dropped."""
        self._looking.cancel()
        await self._client.close(timeout=1)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
