"""The workbench without choosing by hand: a random story, the images before and after, and their keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import open_link
from telltale.scores.samples import stories
from telltale.scores.table import natural_test_ids
from telltale_app.panels.hands import KEYS


def test_next_and_previous_walk_through_the_test_images(engine: FakeEngine, bundle: FakeBundle) -> None:
    order = natural_test_ids(bundle.scores).tolist()
    app = open_link(image=f"test-{order[0]}", attack="pgd")
    app.button(key="test-image-next").click().run()
    assert (app.query_params["image"], app.query_params["attack"]) == (f"test-{order[1]}", "none")
    app.button(key="test-image-previous").click().run()
    app.button(key="test-image-previous").click().run()
    assert app.query_params["image"] == f"test-{order[-1]}"
    assert not app.exception


def test_a_random_story_opens_an_attack_and_says_what_it_teaches(engine: FakeEngine, bundle: FakeBundle) -> None:
    told = {(f"test-{sample.image_id}", sample.attack) for sample in stories(bundle)}
    app = open_link()
    for _ in range(2):
        before = app.query_params["image"]
        app.button(key="story").click().run()
        case = app.query_params["image"], str(app.query_params["attack"]).partition("~")[0]
        assert case in told and case[0] != before
        assert [line.value for line in app.caption if line.value.startswith(":material/casino: **Attack that")]
    app.button(key="test-image-next").click().run()
    assert not [line.value for line in app.caption if line.value.startswith(":material/casino:")]
    assert not app.exception


def test_what_a_story_teaches_is_said_of_its_own_case_only(engine: FakeEngine) -> None:
    app = open_link()
    app.button(key="story").click().run()
    case, told = app.session_state["story-told"]
    others = (replace(case, seed=1), replace(case, parameters=()), replace(case, bundle="another-model"))
    for other in others:
        app.session_state["story-told"] = other, told
        app.run()
        assert not [line.value for line in app.caption if line.value.startswith(":material/casino:")]
    app.session_state["story-told"] = case, told
    app.session_state["case"] = replace(case, alpha=0.2)
    app.run()
    assert [line.value for line in app.caption if line.value.startswith(":material/casino:")]


def test_every_key_of_the_sheet_is_a_buttons(engine: FakeEngine) -> None:
    app = open_link()
    keys = {button.proto.shortcut.lower() for button in app.button if button.proto.shortcut}
    assert keys == {key for key, _ in KEYS if len(key) == 1 and key != "?"}
    app.button(key="keys").click().run()
    assert all(f"| `{key}` |" in "\n".join(str(m.value) for m in app.markdown) for key, _ in KEYS)


@pytest.mark.parametrize("key", ["story", "test-image-next"])
def test_without_images_only_the_sheet_is_left(engine: FakeEngine, bundle: FakeBundle, key: str) -> None:
    bundle.image_set = None  # type: ignore[assignment]
    app = open_link()
    assert key not in [button.key for button in app.button] and "keys" in [button.key for button in app.button]
    app.button(key="keys").click().run()
    sheet = "\n".join(str(m.value) for m in app.markdown)
    assert "| `a` |" in sheet and "| `n` |" not in sheet
