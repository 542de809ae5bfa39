"""Who has joined somebody else's scheduler: those who may compute for this process, and those who are refused."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from telltale.base.remote.identity import Identity, own_identity, refusal, same_instructions, who_is_there
from telltale.base.waiting import within

ANSWER_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Roster:
    """The workers of a scheduler, each asked once who it is.

    Attributes
    ----------
    accepted : dict of str to str
        Names by address.
    refused : dict of str to str
        Sentences that say why, by address.
    """

    def __init__(self) -> None:
        self.accepted: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    async def refresh(self, client: Any) -> None:
        """Forget who has left and ask who has joined.

        Raises
        ------
        TimeoutError, OSError
            If the scheduler does not answer.
        """
        present = set(await within(ANSWER_SECONDS, client.nthreads()))
        for known in (self.accepted, self.refused):
            for address in known.keys() - present:
                del known[address]
        new = present - self.accepted.keys() - self.refused.keys()
        await asyncio.gather(*(self._meet(client, address) for address in new))

    async def _meet(self, client: Any, address: str) -> None:
        """Ask one worker; who does not answer in time is asked again at the next look."""
        try:
            answer = await within(ANSWER_SECONDS, client.run(who_is_there, workers=[address], on_error="return"))
        except (TimeoutError, OSError):
            return
        found = answer.get(address)
        if isinstance(found, dict):
            self._judge(address, found)
        elif isinstance(found, Exception) and not isinstance(found, OSError):
            reason = f"cannot say who it is ({type(found).__name__}: {found}): it needs this version of Telltale"
            self.refused[address] = f"The worker {address} {reason}."

    def _judge(self, address: str, theirs: Identity) -> None:
        mine, name = own_identity(), theirs["name"]
        who = f"The worker {name}" if name == address else f"The worker {name} at {address}"
        reason = refusal(mine, theirs)
        if reason:
            self.refused[address] = f"{who} {reason}."
            return
        if not same_instructions(mine, theirs):
            logger.warning("%s has a processor of another kind: what networks answer there agrees to 1e-5.", who)
        self.accepted[address] = name

    def complaint(self, address: str) -> str:
        """Return, in words, why nobody at the scheduler of `address` computes for this process."""
        if self.refused:
            return " ".join(sorted(self.refused.values()))
        return f"No worker has joined the scheduler at {address}: start one by `telltale worker --scheduler {address}`."
