"""Choosing what to look at: samples that teach, a pasted link, and pinned cases beside the current one."""

from __future__ import annotations

import pytest
from fake_analysis import FakeBundle, FakeEngine
from streamlit.testing.v1 import AppTest
from test_pages import ATTACKED, PAGES, bundle, engine, open_app, show, text_of  # noqa: F401  # the fixtures are used

from app import pins
from core.samples import teaching_samples


def table_of(app: AppTest) -> dict[str, dict[str, str]]:
    """Return the comparison: row by row, cells by column."""
    frame = app.table[0].value
    names = frame[""].tolist()
    return {name: frame.iloc[row].to_dict() for row, name in enumerate(names)}


def choose(app: AppTest, attack: str) -> AppTest:
    """Attack the current image with the usual settings of another attack."""
    box = next(box for box in app.selectbox if box.label == "Attack")
    box.select(attack)
    app.run()
    next(button for button in app.button if button.label == "Attack").click()
    return app.run()


def test_a_sample_opens_its_case_attack_included(engine: FakeEngine, bundle: FakeBundle) -> None:  # noqa: F811
    app = open_app()
    for sample in teaching_samples(bundle):  # type: ignore[arg-type]  # a stand-in
        app.button(key=f"pick-sample-{sample.lesson}").click().run()
        assert not app.exception
        assert app.query_params["image"] == f"test-{sample.image_id}"
        assert app.query_params["attack"].split("~")[0] == (sample.attack or "none")
    assert "of 5 detectors notice" in text_of(app)


def test_samples_need_images(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    show(monkeypatch, FakeBundle(False, colour=True))
    app = open_app()
    app.session_state["image-source-cifar10"] = "Start here"
    app.run()
    assert not app.exception and "choose a photograph or upload" in text_of(app)


@pytest.mark.parametrize(
    "link", ["https://x.org/telltale/?bundle=digits&image=test-171&attack=pgd~eps~0.2&alpha=0.1", "?image=test-171"]
)
def test_a_pasted_link_opens_its_case(engine: FakeEngine, link: str) -> None:  # noqa: F811
    app = open_app()
    app.session_state["image-source-digits"] = "Link"
    app.run()
    app.text_input(key="pasted-link").set_value(f"  {link} ").run()
    assert not app.exception and not app.error
    assert app.query_params["image"] == "test-171"
    assert app.query_params["attack"].startswith("pgd~eps~0.2~" if "attack" in link else "none")


@pytest.mark.parametrize("link", ["nonsense", "https://x.org/?attack=pgd", "https://[x"])
def test_what_is_no_link_of_a_case_is_said_in_a_sentence(engine: FakeEngine, link: str) -> None:  # noqa: F811
    app = open_app()
    before = app.query_params["image"]
    app.session_state["image-source-digits"] = "Link"
    app.run()
    app.text_input(key="pasted-link").set_value(link).run()
    assert not app.exception
    assert [error.value for error in app.error] == [
        "This is not the link of a case: it names neither a model nor an image. The image chosen before stays."
    ]
    assert app.query_params["image"] == before


def test_a_pinned_attack_stands_beside_the_next_one(engine: FakeEngine) -> None:  # noqa: F811
    app = open_app(**ATTACKED)
    assert not app.table
    app.button(key="pin").click().run()
    assert "This case is pinned." in "".join(info.value for info in app.info)
    app = choose(app, "fgsm")
    assert not app.exception and not app.error
    table = table_of(app)
    assert list(table["read as"]) == ["", "Natural", "A: PGD", "B: FGSM", "differs"]
    assert [table["read as"][name] for name in ("Natural", "A: PGD", "B: FGSM")] == ["7", "8", "8"] or table["read as"][
        "A: PGD"
    ] == table["read as"]["B: FGSM"]
    assert table["settings"]["Natural"] == "–" and table["settings"]["A: PGD"].startswith("budget ε (L∞) 0.2")
    assert table["settings"]["differs"].endswith("differs") and table["read as"]["differs"] == pins_same()
    assert "Adversarial, p = 0.010" in table["kNN score"]["B: FGSM"]
    assert "Looks natural, p = 0.400" in table["kNN score"]["Natural"]
    assert table["Feature response entropy"]["A: PGD"].endswith("Not calibrated")


def pins_same() -> str:
    from app.panels.pinned import SAME

    return SAME


def test_pins_travel_in_the_link_and_can_be_let_go(engine: FakeEngine) -> None:  # noqa: F811
    app = open_app(**ATTACKED)
    app.button(key="pin").click().run()
    app = choose(app, "fgsm")
    shown, text = table_of(app), str(app.query_params["pin"])
    assert text.startswith("digits!test-167!pgd~eps~0.2~")
    again = open_app(**{name: str(app.query_params[name]) for name in ("bundle", "image", "attack", "alpha", "pin")})
    assert table_of(again) == shown
    again.switch_page(PAGES[2]).run()
    assert again.query_params["pin"] == text
    app.button(key="unpin-all").click().run()
    assert "pin" not in app.query_params and not app.table


def test_the_oldest_pin_makes_room(engine: FakeEngine) -> None:  # noqa: F811
    app = open_app(**ATTACKED)
    for attack in ("fgsm", "bim", "deepfool"):
        app.button(key="pin").click().run()
        app = choose(app, attack)
    assert [name for name in table_of(app)["read as"]][1:-1] == ["Natural", "A: FGSM", "B: BIM", "C: DeepFool"]
    assert pins.MOST == 2


@pytest.mark.parametrize("text", ["nonsense", "digits!test-3", "!!!", "digits!png-A!pgd!9,/etc!x!y!z"])
def test_forged_pins_raise_nothing(engine: FakeEngine, text: str) -> None:  # noqa: F811
    app = open_app(**ATTACKED, pin=text)
    assert not app.exception and not app.error
