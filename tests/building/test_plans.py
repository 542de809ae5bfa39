"""What a bundle around somebody's own classifier is built with, and what the pages say of its images."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from telltale.base.errors import InputError
from telltale.data.splits import SplitSizes
from telltale.recipes import OWN_SIZES, RECIPES, own_plan, spared_sizes
from telltale_app import catalogue


@pytest.mark.parametrize(
    ("images", "sizes"),
    [(120, (24, 30, 24)), (1000, (200, 250, 200)), (100_000, (400, 600, 1000))],
)
def test_few_images_are_spread_over_the_splits_and_many_are_not_all_taken(images, sizes) -> None:
    assert spared_sizes(OWN_SIZES, images) == SplitSizes(*sizes)
    assert sum(sizes) < images * 2 / 3  # training images are left


def test_too_few_images_to_hold_any_out_are_refused() -> None:
    with pytest.raises(InputError, match="3 images are too few to learn from some of them and to test on others"):
        spared_sizes(OWN_SIZES, 3)


def test_a_plan_names_its_attacks_in_the_macro_figures() -> None:
    plan = own_plan("mine", "folder", ("pgd", "fgsm"), ("lid",))
    assert [attack.name for attack in plan.attacks] == list(plan.macro_attacks) == ["pgd", "fgsm"]
    assert plan.own and plan.detectors == ("lid",)
    assert own_plan("mine", "folder").macro_attacks == ("fgsm", "pgd", "deepfool")
    assert plan.title == "mine" and own_plan("mine", "folder", title="Ours").title == "Ours"


def test_only_of_a_network_that_was_trained_here_is_said_what_it_has_not_learned_from() -> None:
    own, all_learned, trained = (
        SimpleNamespace(own=mine, notes=notes)
        for mine, notes in ((True, {}), (True, {"held_out_learned": True}), (False, {}))
    )
    assert "not known here" in catalogue.unseen_words(own)
    assert "learned from them, too" in catalogue.unseen_words(all_learned)
    assert catalogue.unseen_words(trained) == "that it has not learned from"


@pytest.mark.parametrize("trained_on", [True, False, None])
def test_a_plan_says_whether_its_network_has_learned_from_the_references(trained_on: bool | None) -> None:
    assert own_plan("mine", "folder", trained_on=trained_on).trained_on is trained_on
    assert all(recipe.trained_on for recipe in RECIPES.values())
    assert catalogue.reference_word(SimpleNamespace(trained_on=trained_on)) == (
        "training" if trained_on else "reference"
    )
