"""Which schedulers are used, and which workers are refused and why."""

from __future__ import annotations

import asyncio
from typing import Any

import dask
import pytest

from telltale.base.errors import InputError
from telltale.base.remote import roster
from telltale.base.remote.address import check_address, check_certificates, scheduler_address
from telltale.base.remote.identity import own_identity, refusal, same_instructions, who_is_there
from telltale.base.remote.roster import Roster

ADDRESS = "tcp://10.0.0.7:4000"


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786", "tls://scheduler.example.org:8786"]
)
def test_this_machine_and_tls_are_used_as_they_are(address: str) -> None:
    assert scheduler_address({"TELLTALE_SCHEDULER": f" {address} "}) == address


def test_no_address_is_none() -> None:
    assert scheduler_address({}) is None
    assert scheduler_address({"TELLTALE_SCHEDULER": ""}) is None


@pytest.mark.parametrize("address", ["scheduler", "10.0.0.1:8786", "tcp://host", "ucx://host:1", "tls://:8786"])
def test_what_is_no_address_is_refused_in_a_sentence(address: str) -> None:
    with pytest.raises(InputError, match=r"reads tls://HOST:PORT or tcp://127\.0\.0\.1:PORT"):
        check_address(address, {})


@pytest.mark.parametrize("host", ["10.0.0.7", "scheduler", "0.0.0.0", "[fe80::1]", "127.0.0.1.example.org"])
def test_another_machine_without_tls_wants_leave(host: str) -> None:
    with pytest.raises(InputError, match="could run code on yours: use tls://"):
        check_address(f"tcp://{host}:8786", {})
    assert check_address(f"tcp://{host}:8786", {"TELLTALE_PLAIN_TCP": "on"})


def test_missing_certificates_are_named_before_anything_is_connected(tmp_path: Any) -> None:
    file = tmp_path / "ca.pem"
    with dask.config.set({"distributed.comm.tls.ca-file": None}):
        with pytest.raises(InputError, match="DASK_DISTRIBUTED__COMM__TLS__CA_FILE names none"):
            check_certificates("tls://host:1", "client")
        check_certificates("tcp://host:1", "client")
    with dask.config.set({"distributed.comm.tls.ca-file": str(file)}):
        with pytest.raises(InputError, match="which is no file"):
            check_certificates("tls://host:1", "client")
        file.touch()
        with pytest.raises(InputError, match="DASK_DISTRIBUTED__COMM__TLS__WORKER__CERT names none"):
            check_certificates("tls://host:1", "worker")


def worker(**changes: Any) -> dict[str, Any]:
    return own_identity() | {"name": "upstairs", "threads": 1} | changes


def test_an_equal_worker_is_accepted_and_every_difference_is_a_refusal() -> None:
    mine = own_identity()
    assert refusal(mine, worker()) == ""
    assert refusal(mine, worker(threads=4)).startswith("computes with 4 threads")
    libraries = mine["libraries"] | {"torch": "1.0"}
    assert refusal(mine, worker(libraries=libraries)) == f"has other versions: torch 1.0 (here {libraries_of('torch')})"
    del libraries["torch"]
    assert "torch missing" in refusal(mine, worker(libraries=libraries))
    assert refusal(mine, worker(code="0" * 64)).startswith("runs another version of Telltale's code (00000000, here ")
    assert same_instructions(mine, worker())
    assert not same_instructions(mine, worker(instructions=["aarch64"]))


def libraries_of(name: str) -> str:
    return str(own_identity()["libraries"][name])


class Client:
    """A client that is told what every worker answers; an exception stands for one that cannot."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.answers, 1)

    async def run(self, function: Any, *, workers: list[str], on_error: str) -> dict[str, Any]:
        assert on_error == "return" and function is who_is_there
        self.asked += workers
        answer = self.answers[workers[0]]
        if answer is None:
            await asyncio.sleep(60)
        return {workers[0]: answer}


def test_the_roster_refuses_by_name_asks_once_and_forgets_who_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "ANSWER_SECONDS", 0.1)
    client = Client(
        {
            "tcp://good:1": worker(name="good"),
            "tcp://old:1": worker(code="0" * 64, name="old"),
            "tcp://bare:1": ModuleNotFoundError("No module named 'telltale'"),
            "tcp://busy:1": None,
        }
    )
    known = Roster()

    async def look() -> None:
        await known.refresh(client)

    asyncio.run(look())
    assert known.accepted == {"tcp://good:1": "good"}
    assert known.refused["tcp://old:1"].startswith("The worker old at tcp://old:1 runs another version")
    assert "The worker tcp://bare:1 cannot say who it is" in known.refused["tcp://bare:1"]
    assert known.complaint(ADDRESS) == " ".join(sorted(known.refused.values()))
    client.answers["tcp://busy:1"] = worker(name="busy")
    del client.answers["tcp://good:1"], client.answers["tcp://old:1"], client.answers["tcp://bare:1"]
    asyncio.run(look())
    assert known.accepted == {"tcp://busy:1": "busy"} and not known.refused
    assert sorted(client.asked) == ["tcp://bare:1", *["tcp://busy:1"] * 2, "tcp://good:1", "tcp://old:1"]
    client.answers.clear()
    asyncio.run(look())
    assert known.complaint(ADDRESS) == (
        f"No worker has joined the scheduler at {ADDRESS}: start one by `telltale worker --scheduler {ADDRESS}`."
    )
