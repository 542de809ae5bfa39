"""Choosing what to look at: samples that teach, a pasted link, and pinned cases beside the current one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import ATTACKED, PAGES, open_app, show, text_of
from support.shifted import made_shift
from telltale.scores.samples import teaching_samples
from telltale.studies.shift import results as shift_results
from telltale_app import pins, words
from telltale_app.panels import natural_shift, pinned, roc, standing


def table_of(app: AppTest) -> dict[str, dict[str, str]]:
    """Return the comparison: row by row, cells by column."""
    _of_words, compared = app.table
    frame = compared.value
    names = frame[""].tolist()
    return {name: frame.iloc[row].to_dict() for row, name in enumerate(names)}


def choose(app: AppTest, attack: str) -> AppTest:
    """Attack the current image with the usual settings of another attack."""
    box = next(box for box in app.selectbox if box.label == "Attack")
    box.select(attack)
    app.run()
    next(button for button in app.button if button.label == "Attack").click()
    return app.run()


def test_a_sample_opens_its_case_attack_included(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app()
    for sample in teaching_samples(bundle):  # type: ignore[arg-type]  # a stand-in
        app.button(key=f"pick-sample-{sample.lesson}").click().run()
        assert not app.exception
        assert app.query_params["image"] == f"test-{sample.image_id}"
        assert app.query_params["attack"].split("~")[0] == (sample.attack or "none")
    assert "of 5 detectors notice" in text_of(app)


def test_samples_need_images(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, FakeBundle(False, colour=True))
    app = open_app()
    app.session_state["image-source-cifar10"] = "Start here"
    app.run()
    assert not app.exception and "choose a photograph or upload" in text_of(app)


@pytest.mark.parametrize(
    "link", ["https://x.org/telltale/?bundle=digits&image=test-171&attack=pgd~eps~0.2&alpha=0.1", "?image=test-171"]
)
def test_a_pasted_link_opens_its_case(engine: FakeEngine, link: str) -> None:
    app = open_app()
    app.session_state["image-source-digits"] = "Link"
    app.run()
    app.text_input(key="pasted-link").set_value(f"  {link} ").run()
    assert not app.exception and not app.error
    assert app.query_params["image"] == "test-171"
    assert app.query_params["attack"].startswith("pgd~eps~0.2~" if "attack" in link else "none")


@pytest.mark.parametrize("link", ["nonsense", "https://x.org/?attack=pgd", "https://[x"])
def test_what_is_no_link_of_a_case_is_said_in_a_sentence(engine: FakeEngine, link: str) -> None:
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


def test_a_pinned_attack_stands_beside_the_next_one(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    assert len(app.table) == 1
    app.button(key="pin").click().run()
    assert "This case is pinned." in "".join(info.value for info in app.info)
    app = choose(app, "fgsm")
    assert not app.exception and not app.error
    table = table_of(app)
    assert list(table["read as"]) == ["", "Natural", "A: PGD", "B: FGSM", pinned.COMPARED]
    assert [table["read as"][name] for name in ("Natural", "A: PGD", "B: FGSM")] == ["7", "0", "0"]
    assert "budget ε (L∞) 0.2, step size 0.01, steps 20, random start on; seed 3" in text_of(app)
    assert table["L∞"]["Natural"] == "–" and table["L∞"]["A: PGD"] != "–"
    assert table["read as"][pinned.COMPARED] == table["kNN score"][pinned.COMPARED] == pinned.SAME
    assert "Adversarial, p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.010" in table["kNN score"]["B: FGSM"]
    assert "Looks natural, p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.400" in table["kNN score"]["Natural"]
    assert table["Feature response entropy"]["A: PGD"].endswith("Not calibrated")
    (chart,) = [chart.proto for chart in app.get("plotly_chart") if "p-values of every detector" in chart.proto.alt]
    letters = next(trace for trace in json.loads(chart.spec)["data"] if trace.get("text") == "A")
    assert letters["name"] == "A: PGD, pinned"
    assert "kNN score 0.010" in chart.alt.partition("A, PGD, pinned: ")[2]


def test_what_differs_between_pinned_cases_is_marked(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    app.button(key="pin").click().run()
    app.button(key="pick-sample-sure").click().run()
    table = table_of(app)
    assert list(table["read as"]) == ["", "A: PGD", "B: natural", pinned.COMPARED]
    assert table["kNN score"][pinned.COMPARED] == table["L∞"][pinned.COMPARED] == pinned.OTHER
    assert table["NNIF"][pinned.COMPARED] == pinned.SAME  # the stand-in for NNIF never notices


def test_pins_travel_in_the_link_and_can_be_let_go(engine: FakeEngine) -> None:
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
    assert "pin" not in app.query_params and len(app.table) == 1


def test_the_oldest_pin_makes_room(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    for attack in ("fgsm", "bim", "deepfool"):
        app.button(key="pin").click().run()
        app = choose(app, attack)
    assert [name for name in table_of(app)["read as"]][1:-1] == ["Natural", "A: FGSM", "B: BIM", "C: DeepFool"]
    assert pins.MOST == 2


@pytest.mark.parametrize("text", ["nonsense", "digits!test-3", "!!!", "digits!png-A!pgd!9,/etc!x!y!z"])
def test_forged_pins_raise_nothing(engine: FakeEngine, text: str) -> None:
    app = open_app(**ATTACKED, pin=text)
    assert not app.exception and not app.error


def test_the_fused_card_needs_no_statistics(engine: FakeEngine) -> None:
    text = text_of(open_app(**ATTACKED))
    assert "#### :orange[:material/warning: Adversarial]" in text
    assert "About **1 in 100** natural images looks at least as suspicious." in text  # p = 0.01
    assert "#### :blue[:material/check_circle: Looks natural]" in text
    assert "Speaks for an attack: kNN score, Trajectory and I-defender." in text
    assert "Against: kNN score, Trajectory and I-defender." in text  # the natural image's


@pytest.mark.parametrize(("p_value", "said"), [(0.9, "Most natural"), (0.5, "1 in 2"), (0.0029, "1 in 345")])
def test_p_values_are_counted_in_images(p_value: float, said: str) -> None:
    assert said in words.rarity(p_value)


@pytest.mark.parametrize(
    ("change", "colour", "said"), [(8 / 255, True, "8/255"), (0.0314, True, "8.0/255"), (0.1, False, "0.1")]
)
def test_changes_of_a_pixel_are_written_as_their_field_writes_them(change: float, colour: bool, said: str) -> None:
    assert words.pixel_change(change, colour) == said


def test_what_is_folded_costs_nothing_until_it_is_opened(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    parts = [(roc, "show_scores"), (roc, "show_table"), (standing, "show_shown_as"), (natural_shift, "show_shift")]
    for panel, part in parts:
        monkeypatch.setattr(panel, part, lambda *_, part=part: drawn.append(part))
    open_app("app_pages/detectors.py")
    assert drawn == []
    open_app("app_pages/detectors.py", scores="true", figures="true", shown="true", processed="true")
    assert drawn == [part for _, part in parts]


def test_natural_shift_is_shown_as_stored_or_the_command_that_makes_it(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shift_results, "RESULTS", tmp_path)
    app = open_app("app_pages/detectors.py", processed="true")
    assert not app.exception
    assert "`telltale leaderboard digits --shift --store` measures it" in text_of(app)
    before = len(app.dataframe)
    shift_results.save_shift(bundle, made_shift())
    app = open_app("app_pages/detectors.py", processed="true")
    assert not app.exception and len(app.dataframe) == before + 1
    shown = app.dataframe[-1].value
    assert shown["as it is"].tolist() == [4.0, 5.0] and shown["noise σ 8/255"].tolist() == [15.0, 16.25]
    said = text_of(app)
    assert "exceed 10 % under some change for NNIF (15 %, " in said and ", noise σ 8/255)" in said
    (tmp_path / "digits.parquet").write_bytes(b"nothing")
    app = open_app("app_pages/detectors.py", processed="true")
    assert not app.exception and len(app.error) == 1
