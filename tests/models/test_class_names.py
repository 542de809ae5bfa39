"""Folders find their outputs by name: spellings, synonyms, WordNet ids; never by position, never by guessing."""

from __future__ import annotations

import pytest

from telltale.base.errors import InputError
from telltale.models.class_names import match_classes
from telltale.models.imagenet import imagenet_classes, imagenet_names


def test_spelling_does_not_matter_and_order_never_does() -> None:
    found = match_classes(["T_shirt", "long-sleeve", "HAT"], ["hat", "Long Sleeve", "t-shirt"])
    assert found.outputs == {"T_shirt": 2, "long-sleeve": 1, "HAT": 0} and not found.unmatched


def test_synonyms_and_wordnet_ids() -> None:
    names = ["n01440764 tench, Tinca tinca", "goldfish, Carassius auratus", "crane, bird", "crane, machine"]
    folders = ["Tinca_tinca", "carassius auratus", "crane"]
    found = match_classes(folders, names)
    assert found.outputs == {"Tinca_tinca": 0, "carassius auratus": 1}
    assert found.ambiguous == {"crane": (2, 3)} and not found.unmatched
    for folder in ("n01440764", "n01440764_tench", "N01440764 tench".lower(), "tench", "n01440764 tench, Tinca tinca"):
        assert match_classes([folder], names).outputs == {folder: 0}


def test_a_whole_name_wins_over_a_synonym() -> None:
    assert match_classes(["maillot"], ["maillot", "maillot, tank suit"]).outputs == {"maillot": 0}


def test_a_thousand_classes_on_a_few_folders() -> None:
    names, synonyms = imagenet_names(), imagenet_classes()
    assert len(set(names)) == len(synonyms) == 1000
    folders = ["tabby", "n02123159_tiger_cat", "crane", "unicorn", "n03710721", "sunglass"]
    found = match_classes(folders, names, synonyms)
    assert found.outputs == {"tabby": 281, "n02123159_tiger_cat": 282, "n03710721": 639, "sunglass": 836}
    assert found.unmatched == ("unicorn",) and found.ambiguous == {"crane": (134, 517)}
    chosen = match_classes(folders, names, synonyms, {"crane": 517, "unicorn": "sorrel"})
    assert chosen.outputs["crane"] == 517 and chosen.outputs["unicorn"] == 339


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(InputError, match=r"the data's are a, b; the network's c, d"):
        match_classes(["a", "b"], ["c", "d"])
    with pytest.raises(InputError, match="'A' and 'a' of the data both mean the output 'a'"):
        match_classes(["A", "a"], ["a", "b"])
    for wanted in (2, "e", True):
        with pytest.raises(InputError, match="outputs are 0 to 1 or their names"):
            match_classes(["x"], ["c", "d"], given={"x": wanted})
