"""The pages with the shipped bundle and the real engine: what is said equals what the engine answers."""

from __future__ import annotations

import base64
import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import telltale.bundle
import telltale.engine
from support.pages import MAIN
from support.shipped import shipped
from telltale.analysis.reading import count_noticing
from telltale.analysis.results import Analysis
from telltale.model_errors.evaluated import evaluated_images
from telltale.scores.controls import controls_in
from telltale.scores.evaluation import evaluate_stored
from telltale.scores.leaderboard import leaderboard
from telltale.scores.rates import rates_of
from telltale.scores.table import natural_test_ids
from telltale.scores.titles import detector_title
from telltale_app import words

pytestmark = pytest.mark.slow

PAGES = (
    "feature_responses",
    "trajectories",
    "neighbours",
    "hidden_state_density",
    "detectors",
    "paper_tables",
    "evaluation",
    "about",
    "lessons",
    "cases",
)


@pytest.fixture(scope="module")
def image_id() -> int:
    return int(natural_test_ids(telltale.bundle.load_bundle("digits").scores, label=7)[0])


@pytest.fixture(scope="module")
def app(image_id: int) -> AppTest:
    app = AppTest.from_file(MAIN, default_timeout=120)
    app.query_params["image"] = f"test-{image_id}"
    app.query_params["attack"] = "pgd~eps~0.2~seed~1"
    return app.run()


def analyse(image_id: int, eps: float) -> tuple[Analysis, Analysis]:
    engine = telltale.engine.get_engine()
    image_set = telltale.bundle.load_bundle("digits").image_set
    assert image_set is not None
    image = image_set.images([image_id])[0]
    parameters = {"eps": eps, "step": 0.01, "steps": 20, "random_start": True}
    attack = engine.submit(
        "attack", bundle="digits", image=image, attack="pgd", parameters=parameters, seed=1, target=None
    ).result(120)
    jobs = [engine.submit("analyse", bundle="digits", image=i, alpha=0.05) for i in (image, attack.images[0])]
    natural, attacked = (job.result(120) for job in jobs)
    return natural, attacked


def test_workbench_says_what_the_engine_answers(app: AppTest, image_id: int) -> None:
    assert not app.exception and not app.error
    natural, attacked = analyse(image_id, 0.2)
    text = said(app)
    noticing, calibrated = count_noticing(attacked.verdicts)
    assert re.search(rf"{noticing} of {calibrated} detectors notices? the attacked image, at 5 % false alarms\.", text)
    assert "**Natural** :" in text and f"read as **{natural.prediction.name}**" in text
    assert "**Attacked** :" in text and f"read as **{attacked.prediction.name}**" in text
    assert attacked.image_sha256[:12] in text
    for verdict in attacked.verdicts:
        figures = f"score {verdict.score:.4g}, p = {verdict.p_value:.3f}, threshold {verdict.threshold:.4g}"
        assert any(cell.endswith(figures) for cell in app.table[0].value["Attacked"])


@pytest.mark.parametrize("page", PAGES)
def test_page_opens(app: AppTest, page: str) -> None:
    app.switch_page(f"app_pages/{page}.py").run()
    assert not app.exception and not app.error
    assert not app.warning


def test_pages_never_import_torch(app: AppTest) -> None:
    loaded = {name for name, module in sys.modules.items() if name.startswith("telltale_app.") and module is not None}
    assert loaded
    for name in loaded:
        assert "torch" not in vars(sys.modules[name])


def test_an_image_that_is_misread_by_itself_is_said_to_be_so_and_no_other(app: AppTest) -> None:
    bundle = telltale.bundle.load_bundle("digits")
    wrong = evaluated_images(bundle.scores).errors()
    row = int(np.flatnonzero(wrong.splits == "test")[0])
    label, read = (bundle.class_names[int(found[row])] for found in (wrong.labels, wrong.predictions))
    misread = AppTest.from_file(MAIN, default_timeout=120)
    misread.query_params["image"] = f"test-{wrong.ids[row]}"
    text = said(misread.run())
    assert f"The data set says {label}: the model errs on this image" in text
    assert f"read as **{read}**" in text
    assert "The model misreads this image by itself." in text
    misread.switch_page("app_pages/trajectories.py").run()
    assert f"wrongly: the label says {label}" in said(misread)
    app.switch_page("app_pages/workbench.py").run()
    assert "misreads this image" not in said(app) and "The data set says" not in said(app)


def said(app: AppTest) -> str:
    text = "\n".join(element.value for kind in ("markdown", "caption") for element in app.get(kind))
    return text.replace(words.NO_BREAK, " ")


def test_another_model_brings_its_own_usual_attack() -> None:
    app = AppTest.from_file(MAIN, default_timeout=240)
    app.query_params["bundle"] = "digits"
    app.run()
    assert steps(app) == telltale.bundle.load_bundle("digits").attack_parameters("pgd")["steps"]
    app.button(key="models").click().run()
    app.button(key="model-cifar10").click().run()
    assert steps(app) == telltale.bundle.load_bundle("cifar10").attack_parameters("pgd")["steps"] != 20
    votes = "Votes of the neighbours"
    app.switch_page("app_pages/neighbours.py").run()
    assert votes in [header.value for header in app.header]
    tails = telltale.bundle.load_bundle("cifar10").manifest.detectors["knn_score"]["parameters"]["tails"]
    two_tailed = "its score says how unusual the predicted class's share is"
    assert (two_tailed if tails == "both" else "its score is one minus the predicted class's share") in said(app)


def steps(app: AppTest) -> int:
    (found,) = (field for field in (*app.number_input, *app.slider) if field.label == "Steps")
    return int(found.value)


def test_the_detectors_page_hides_no_control_that_wins(app: AppTest) -> None:
    app.query_params.update({"figures": "true", "shown": "true"})
    app.switch_page("app_pages/detectors.py").run()
    assert not app.exception
    said = " ".join(element.value for element in app.markdown)
    assert "Low softmax confidence alone does better than the fused verdict on C&W-L2" in said
    scores = telltale.bundle.load_bundle("digits").scores
    frames = {tuple(element.value.columns[:2]): element.value for element in app.dataframe}
    behind, shown = frames["test images", "by"], frames["test images", "Adversarial"]
    figures = next(frame for frame in frames.values() if "AUC" in frame)
    wanted = leaderboard(evaluate_stored(telltale.bundle.load_bundle("digits"))).ahead
    assert list(zip(behind["AUC ahead by"], behind["by"], strict=True)) == [
        (pytest.approx(-pair.auc.value), detector_title(pair.second)) for pair in wanted
    ]
    beaten = sum(pair.auc.outcome == "worse" for pair in wanted)
    assert f"**Where the fused verdict is beaten.** In {beaten} of these {len(wanted)} pairs" in said
    controls = [name for name in figures["detector"] if name.startswith("Control: ")]
    assert controls == [detector_title(name) for name in controls_in(scores)]
    rates = rates_of(scores, 0.05)
    for group, (_, row) in zip(rates.shown, shown.iterrows(), strict=True):
        assert row["Adversarial"] == pytest.approx(100 * group.adversarial.share)
    assert app.selectbox(key="detector").value == "fused"  # what the page opens on
    every = next(alarms.every for alarms in rates.alarms if alarms.name == "fused")
    assert words.percent(every.share) in {metric.value for metric in app.metric if metric.label == "FPR, all natural"}


def test_the_pictures_along_the_strength_are_the_models_inputs_and_the_lines_its_answers(
    app: AppTest, image_id: int
) -> None:
    app.switch_page("app_pages/workbench.py").run()
    assert not app.exception
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    (figure,) = [spec for spec in specs if spec["layout"].get("sliders")]
    natural, attacked = (analysis.image for analysis in analyse(image_id, 0.2))
    loaded = shipped()
    assert len(figure["frames"]) == 16
    for frame in figure["frames"]:
        strength = frame["data"][0]["x"][0]
        exact = 255.0 * np.clip(natural.astype(np.float64) + strength * (attacked.astype(np.float64) - natural), 0, 1)
        data = base64.b64decode(frame["layout"]["images"][0]["source"].partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
        pixels = pixels[:: len(pixels) // exact.shape[1], :: len(pixels) // exact.shape[1]]
        assert np.abs(pixels - exact[0]).max() <= 0.5 + 1e-4, "the nearest of 256 levels"
        answer = loaded.classifier.probabilities((pixels / np.float32(255))[None, None])[0]
        lines = [trace for trace in figure["data"] if trace.get("name")]
        assert {trace["name"] for trace in lines} >= {"7", loaded.bundle.class_names[int(answer.argmax())]}
        for trace in lines:
            label = loaded.bundle.class_names.index(trace["name"])
            assert trace["y"][trace["x"].index(strength)] == pytest.approx(answer[label], abs=1e-5)
