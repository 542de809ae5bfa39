"""Visitors take turns, whatever each of them asks for; held against lists that are worked through by hand."""

from __future__ import annotations

import random

import pytest

from telltale.engine.fair_queue import FairQueue
from telltale.engine.jobs import Run


def run(name: str) -> Run:
    return Run(name, "module:function", {})


def taken(queue: FairQueue) -> list[str]:
    order = []
    while queue:
        order.append(queue.take().key)
    return order


def test_visitors_take_turns_and_each_line_keeps_its_order() -> None:
    queue = FairQueue()
    for name in ("a1", "a2", "a3", "b1", "c1", "b2", "a4"):
        queue.add(run(name), name[0])
    assert [waiting.key for waiting in queue] == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert taken(queue) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    with pytest.raises(LookupError):
        queue.take()


def test_who_comes_later_waits_for_one_run_of_each_other_visitor_at_most() -> None:
    queue = FairQueue()
    for k in range(200):
        queue.add(run(f"a{k}"), "a")
    assert [queue.take().key, queue.take().key] == ["a0", "a1"]
    queue.add(run("b0"), "b")
    assert [queue.take().key, queue.take().key, queue.take().key] == ["a2", "b0", "a3"]
    assert (queue.count("a"), queue.count("b"), len(queue)) == (196, 0, 196)


def test_a_shared_run_is_taken_once_at_the_earliest_of_its_places() -> None:
    queue = FairQueue()
    runs = [run(f"a{k}") for k in range(4)]
    for one in runs:
        queue.add(one, "a")
    queue.add(runs[3], "b")
    queue.add(runs[3], "b")
    assert len(queue) == 4
    assert taken(queue) == ["a0", "a3", "a1", "a2"]


def test_a_run_left_by_one_visitor_keeps_its_place_with_another() -> None:
    queue = FairQueue()
    both, own = run("both"), run("own")
    queue.add(both, "a")
    queue.add(own, "b")
    queue.add(both, "b")
    queue.leave(both, "a")
    assert both in queue and queue.count("a") == 0
    assert taken(queue) == ["own", "both"]
    queue.add(both, "a")
    queue.leave(both, "nobody")
    queue.remove(both)
    assert both not in queue and not queue and len(queue) == 0


def test_what_had_begun_comes_before_everything() -> None:
    queue = FairQueue()
    again = run("again")
    queue.add(run("a"), "a")
    queue.put_back(again)
    assert again in queue
    assert taken(queue) == ["again", "a"]
    queue.put_back(again)
    queue.remove(again)
    assert not queue
    queue.put_back(again)
    queue.add(run("a"), "a")
    queue.clear()
    assert not queue and list(queue) == []


@pytest.mark.parametrize("seed", range(20))
def test_iterating_foretells_taking_and_no_visitor_is_served_twice_while_another_waits(seed: int) -> None:
    draw, queue = random.Random(seed), FairQueue()
    for k in range(40):
        visitor = draw.choice("abcde")
        queue.add(run(f"{visitor}{k}"), visitor)
        if draw.random() < 0.3:
            queue.take()
    foretold = [waiting.key for waiting in queue]
    assert taken(queue) == foretold
    for place, name in enumerate(foretold):
        again = next((later for later in range(place + 1, len(foretold)) if foretold[later][0] == name[0]), None)
        if again is not None:
            between = [other[0] for other in foretold[place + 1 : again]]
            assert len(between) == len(set(between)), "nobody comes twice between"
            waiting = {other[0] for other in foretold[again:]} - {name[0]}
            assert waiting <= set(between), "everybody who waits came between"
