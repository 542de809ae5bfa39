"""What the pages must see to where workers are somebody else's: who may compute for them, and with which bundle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from telltale.analysis.kept import bundle_stamp
from telltale.base.errors import InputError
from telltale.base.remote.asking import answer_of
from telltale.base.remote.roster import Roster
from telltale.base.sealed import do_sealed, seal
from telltale.engine.remote_bundle import send_bundle
from telltale.engine.worker_state import Call, other_bundle, run_call

BUNDLE_ARGUMENTS = ("bundle", "other")  # of tasks

logger = logging.getLogger(__name__)


class OthersWorkers:
    """The workers that have joined somebody else's scheduler.

    Parameters
    ----------
    client : distributed.Client
    address : str
        Of the scheduler.
    bundle : str
        That every worker must hold; empty for none.
    """

    def __init__(self, client: Any, address: str, bundle: str) -> None:
        self._client = client
        self._address = address
        self._bundle = bundle
        self._roster = Roster()
        self._differing: dict[str, str] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, tuple[str, ...]] = {}  # whom a call was handed to, by its key

    @property
    def accepted(self) -> Mapping[str, str]:
        """Names by address of those whose code and libraries are this process's."""
        return self._roster.accepted

    async def refresh(self) -> None:
        """Learn who is there.

        Raises
        ------
        TimeoutError, OSError
            If the scheduler does not answer.
        """
        await self._roster.refresh(self._client)

    def fit(self, known: set[str], reports: Mapping[str, Any]) -> tuple[set[str], dict[str, Any]]:
        """Return those of the workers, and of what they report, that may compute with the server's bundle.

        Workers that lack it are sent it, in the background.
        """
        stamp = bundle_stamp(self._bundle) if self._bundle else ""
        here = {address: state for address, state in reports.items() if address in self.accepted}
        other = {address: state for address, state in here.items() if stamp and state["stamp"] != stamp}
        for address, state in other.items():
            if not state["stamp"]:
                self._send(address, stamp)
        self._differing = {
            address: f"The worker {self.accepted[address]} at {address} {other_bundle(self._bundle, state['stamp'])}."
            for address, state in other.items()
        }
        known = (known & self.accepted.keys()) - other.keys()
        return known, {address: state for address, state in here.items() if address in known}

    def _send(self, address: str, stamp: str) -> None:
        if address not in self._sending or self._sending[address].done():
            self._sending[address] = asyncio.create_task(self._sent(address, stamp))

    async def _sent(self, address: str, stamp: str) -> None:
        try:
            await send_bundle(self._client, address, self._bundle, stamp)
        except (OSError, TimeoutError, InputError) as error:  # it is tried again at the next look
            logger.warning("The bundle '%s' could not be sent to %s: %s", self._bundle, address, error)

    @property
    def refused(self) -> list[str]:
        """Sentences that name every worker that may not compute for this process, and why."""
        return sorted([*self._roster.refused.values(), *self._differing.values()])

    def complaint(self) -> str:
        """Return why nobody computes, in words."""
        under_way = [address for address, task in self._sending.items() if not task.done()]
        if under_way:
            return f"The bundle '{self._bundle}' is being sent to {len(under_way)} workers that lack it."
        if self._differing:
            return " ".join(sorted(self._differing.values()))
        if self.accepted:
            return f"0 of {len(self.accepted)} workers hold the bundle '{self._bundle}'; they are loading it."
        return self._roster.complaint(self._address)

    def submit(self, call: Call, key: str, workers: Sequence[str]) -> Any:
        """Hand a call to workers, with the stamps of the bundles that it must be done with."""
        names = [str(call.kwargs[name]) for name in BUNDLE_ARGUMENTS if name in call.kwargs]
        stamped = replace(call, stamps={name: bundle_stamp(name) for name in names})
        self._asked[key] = tuple(workers or self.accepted)
        sealed = seal(run_call, stamped)
        return self._client.submit(do_sealed, sealed, key=key, pure=False, workers=list(self._asked[key]))

    def close(self) -> None:
        """Send nothing more."""
        for task in self._sending.values():
            task.cancel()

    async def answer(self, future: Any) -> Any:
        """Wait for what becomes of a call; raise `WorkersGoneError` once nobody is left who might do it."""
        asked = set(self._asked.pop(str(future.key)))
        return await answer_of(future, lambda: not self.accepted.keys() & asked)
