"""Typed settings: one declaration per parameter, from which descriptions and validation are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass
from typing import Literal

import pytest

from telltale.base.errors import InputError
from telltale.base.parameters import Parameter
from telltale.base.settings import Settings, parameter

ASKED: list[str] = []


def animals() -> tuple[str, ...]:
    ASKED.append("animals")
    return ("cat", "dog")


@dataclass(frozen=True)
class Walk(Settings):
    """One field of every type."""

    pace: float = parameter(1.5, low=0.0, high=4.0, help="Metres per second.", step=0.5, title="Pace v", pixels=True)
    rounds: int = parameter(2, low=1, help="Rounds.")
    leash: bool = parameter(True, help="Whether there is a leash.")
    way: Literal["wood", "town"] = parameter("wood", choices=("wood", "town"), help="Where.")
    animal: str = parameter("dog", choices=animals, help="Who.")


@dataclass(frozen=True)
class LongWalk(Walk):
    """Another default and one field more."""

    rounds: int = parameter(9, low=1, high=20, help="Rounds.")
    song: bool = parameter(False, help="Whether one sings.")


def test_parameters_are_drawn_from_the_fields_in_their_order() -> None:
    assert Walk.parameters() == (
        Parameter("pace", "float", 1.5, 0.0, 4.0, (), "Metres per second.", 0.5, "Pace v", True),
        Parameter("rounds", "int", 2, 1, None, (), "Rounds."),
        Parameter("leash", "bool", True, help="Whether there is a leash."),
        Parameter("way", "choice", "wood", choices=("wood", "town"), help="Where."),
        Parameter("animal", "choice", "dog", choices=("cat", "dog"), help="Who."),
    )


def test_a_subclass_keeps_the_places_of_what_it_changes() -> None:
    assert [p.name for p in LongWalk.parameters()] == ["pace", "rounds", "leash", "way", "animal", "song"]
    assert LongWalk().rounds == 9 and Walk().rounds == 2


def test_choices_are_not_asked_for_when_they_are_declared() -> None:
    @dataclass(frozen=True)
    class Fresh(Settings):
        animal: str = parameter("dog", choices=animals, help="Who.")

    ASKED.clear()
    Fresh(animal="cat")
    assert ASKED == []
    assert Fresh.parameters()[0].choices == ("cat", "dog") and ASKED == ["animals"]


def test_values_come_back_as_they_were_given_in_their_types() -> None:
    read = Walk.read({"rounds": "3", "pace": 1, "leash": "false"}, "walk")
    assert read == Walk(pace=1.0, rounds=3, leash=False)
    assert (type(read.pace), type(read.rounds), type(read.leash)) == (float, int, bool)
    assert list(read.values().items()) == list(asdict(read).items())
    assert Walk.read(read.values(), "walk") == read
    with pytest.raises(FrozenInstanceError):
        read.pace = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"pace": 5}, r"The 'pace' parameter of walk must be a number in \[0, 4\]. Got 5 instead."),
        ({"rounds": 0}, r"The 'rounds' parameter of walk must be an integer in \[1, inf\]. Got 0 instead."),
        ({"animal": "cow"}, r"The 'animal' parameter of walk must be one of cat, dog. Got 'cow' instead."),
        ({"way": "sea"}, r"The 'way' parameter of walk must be one of wood, town. Got 'sea' instead."),
        ({"speed": 1}, r"walk has no parameter 'speed'; it accepts pace, rounds, leash, way, animal\."),
    ],
)
def test_what_is_not_accepted_is_refused_with_the_sentence_of_parameters(
    given: Mapping[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        Walk.read(given, "walk")


def test_a_field_that_was_not_declared_is_an_error_of_the_programmer() -> None:
    @dataclass(frozen=True)
    class Undeclared(Settings):
        pace: float = 1.0

    with pytest.raises(TypeError, match="'pace' of Undeclared must be made by parameter"):
        Undeclared.parameters()
