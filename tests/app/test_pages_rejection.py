"""How it is beaten, on the Detectors page: the stored study at the page's alpha, its words, and the checklist."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.judged import judged_rows
from support.pages import open_app, text_of
from telltale.scores.rejection import ADAPTIVE, NONE, SCHEMA
from telltale.studies.rejection import results

DETECTORS, CHECKLIST = "app_pages/detectors.py", "app_pages/evaluation.py"
BUDGETS, IMAGES = (0, 4, 8), 40
ATTACKS = {"FGSM": ("fgsm", NONE), "PGD": ("pgd", NONE), "Adaptive PGD": ("adaptive", ADAPTIVE)}
NOT_TRIED = "One who knows the detectors has not been tried"


def rows(detector: str | None) -> list[dict]:
    tried = [attacker for attacker in ATTACKS.values() if attacker[1] == NONE or detector is not None]
    return judged_rows(tried, BUDGETS, IMAGES, certain=8, steps=40, seed=5)


def store(bundle: FakeBundle, detector: str | None) -> list[dict]:
    made = rows(detector)
    origin = results.Origin(bundle.name, bundle.id, "f", "c", 0, detector, {})
    found = results.StoredRejection(pa.Table.from_pylist(made, schema=SCHEMA), origin)
    results.save_rejection(results.stored_at(bundle), found)  # type: ignore[arg-type]  # a stand-in
    return made


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    return tmp_path


def curves(app: AppTest) -> dict[str, list[float]]:
    """Return the lines after rejection; none where no chart has them."""
    charts = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    found = [chart for chart in charts if chart["layout"]["yaxis"]["title"]["text"] == "wrong and not rejected"]
    assert len(found) <= 1
    return {t["name"]: t["y"] for chart in found for t in chart["data"] if "name" in t and t.get("showlegend", True)}


def counted(made: list[dict], attacks: list[str], alpha: float) -> list[float]:
    return [
        len(
            {
                row["image_id"]
                for row in made
                if row["eps"] == eps and row["attack"] in attacks and row["wrong"] and not row["p_value"] <= alpha
            }
        )
        / IMAGES
        for eps in BUDGETS
    ]


def headers(app: AppTest) -> list[str]:
    return [header.value for header in app.header]


def commands(app: AppTest) -> list[str]:
    return [code.value for code in app.code if code.value.startswith("telltale ")]


def test_without_a_study_one_line_says_which_command_makes_it(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(DETECTORS)
    assert not app.exception and not app.error and curves(app) == {}
    assert "How it is beaten" in headers(app)
    assert commands(app) == [results.full_command(bundle)]  # type: ignore[arg-type]
    assert "telltale rejection digits --eps 0,8,16,26,51 " in commands(app)[0]


def test_a_study_of_another_build_is_not_shown(engine: FakeEngine, bundle: FakeBundle) -> None:
    store(bundle, None)
    bundle.id = "e" * 64
    app = open_app(DETECTORS)
    assert not app.exception and curves(app) == {} and len(commands(app)) == 1


def test_a_damaged_study_is_one_sentence_and_the_command(engine: FakeEngine, bundle: FakeBundle, folder: Path) -> None:
    (folder / "digits.parquet").write_bytes(b"nonsense")
    app = open_app(DETECTORS)
    assert not app.exception and len(app.error) == 1 and "digits.parquet" in app.error[0].value
    assert commands(app) == [results.full_command(bundle)]  # type: ignore[arg-type]


@pytest.mark.parametrize("detector", [None, "fused", "idefender"])
def test_alpha_moves_the_curves_which_are_what_counting_gives(
    engine: FakeEngine, bundle: FakeBundle, detector: str | None
) -> None:
    made = store(bundle, detector)
    expected = {name: [attack] for name, (attack, _) in ATTACKS.items()}
    if detector is None:
        del expected["Adaptive PGD"]
    else:
        expected["Worst case, adaptive"] = ["fgsm", "pgd", "adaptive"]
    expected["Worst case, zero-knowledge"] = ["fgsm", "pgd"]
    app = open_app(DETECTORS, alpha="0.05")
    seen = []
    for alpha in (0.05, 0.2):
        app.slider(key="alpha-slider").set_value(round(100 * alpha)).run()
        assert not app.exception and not app.error and not commands(app)
        found = curves(app)
        assert set(found) == set(expected)
        for name, attacks in expected.items():
            assert found[name] == pytest.approx(counted(made, attacks, alpha)), (name, alpha)
        seen.append(found)
        assert f"alarm at α {100 * alpha:.0f} %" in text_of(app)
    assert all(max(seen[1][name]) < max(seen[0][name]) for name in expected)


@pytest.mark.parametrize("detector", [None, "fused", "idefender"])
def test_the_headline_names_only_attackers_who_were_tried(
    engine: FakeEngine, bundle: FakeBundle, detector: str | None
) -> None:
    made = store(bundle, detector)
    app = open_app(DETECTORS, alpha="0.1")
    (headline,) = (header for header in headers(app) if header.startswith("How it is beaten"))
    text = text_of(app)
    blind = max(counted(made, ["fgsm", "pgd"], 0.1))
    assert f"Attackers who do not know the detectors get {100 * blind:.3g} % of 40 images past" in text
    assert (
        headline
        == {
            None: "How it is beaten, against attackers who do not know it",
            "fused": "How it is beaten, by attackers who do not know it and by one who does",
            "idefender": "How it is beaten, against attackers who do not know it and one who knows only I-defender",
        }[detector]
    )
    assert (NOT_TRIED in text) == (detector is None)
    if detector is not None:
        known = "the fused verdict" if detector == "fused" else "I-defender"
        best = max(counted(made, ["fgsm", "pgd", "adaptive"], 0.1))
        assert f"An attacker who knows {known} gets {100 * best:.3g} % of 40 images past" in text


def test_the_checklist_is_a_page_of_its_own_and_whole(engine: FakeEngine) -> None:
    links = [link.proto.label for link in open_app(DETECTORS).get("page_link")]
    assert "Evaluation checklist: what is missing" in links
    app = open_app(CHECKLIST)
    assert not app.exception and not app.error
    document = (Path(__file__).parents[2] / "docs" / "evaluation-checklist.md").read_text()
    lines = [line for line in document.splitlines()[1:] if line and not line.startswith(("## ", "```"))]
    text = "\n".join([text_of(app), *(shown.value for shown in app.code)])
    assert [line for line in lines if line not in text] == [] and len(lines) > 50
    assert headers(app) == [line[3:] for line in document.splitlines() if line.startswith("## ")]
