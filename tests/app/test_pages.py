"""Every page against a stand-in engine: nothing raises, and what is said is what was computed."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data
from streamlit.testing.v1 import AppTest

import telltale.bundle
import telltale.bundle.summary
import telltale.engine
from support.fake_analysis import DETECTORS, FakeBundle, FakeEngine, analyse
from support.pages import ATTACKED, MAIN, PAGES, open_app, show, text_of, unopened
from support.paper_cells import CELLS, RATES, TABLE, store
from telltale.attacks.registry import ATTACKS
from telltale.base.errors import InputError
from telltale.bundle.summary import BundleSummary
from telltale.figures.results.neighbours import layer_votes
from telltale.kinds.neighbours import NeighboursView
from telltale.scores import titles
from telltale.studies.tables import results
from telltale.studies.tables.registry import TABLES
from telltale_app import words
from telltale_app.case import from_query

SUMMARIES = {
    "cifar10": BundleSummary(
        "cifar10", "Photographs", 0.9, 10, 60, (3, 32, 32), 20, 20, 19_500_000, ("Its images are elsewhere.",)
    ),
    "digits": BundleSummary("digits", "Digits", 0.99, 10, 60, (1, 8, 8), 20, 20, 2_000),
    "torn": BundleSummary("torn", problem="It is damaged."),
}
CALM_PAGES = (
    "app_pages/feature_responses.py",
    "app_pages/trajectories.py",
    "app_pages/hidden_state_density.py",
    "app_pages/paper_tables.py",
    "app_pages/cases.py",
    "app_pages/lessons.py",
    "app_pages/evaluation.py",
    "app_pages/versus.py",
)


@pytest.mark.parametrize("query", [{}, ATTACKED], ids=["natural", "attacked"])
@pytest.mark.parametrize("page", PAGES)
def test_page_opens(engine: FakeEngine, page: str, query: dict[str, str]) -> None:
    app = open_app(page, **query)
    assert not app.exception, app.exception
    assert not app.error
    assert app.title


def test_the_first_screen_is_a_finished_example(engine: FakeEngine) -> None:
    app = open_app()
    case = app.session_state["case"]
    scores = FakeBundle().scores.to_pandas()
    fooled = scores.query("split == 'test' and attack == 'pgd' and kind == 'adversarial'")
    assert case.attack == "pgd" and int(case.image.removeprefix("test-")) in set(fooled["image_id"])
    assert dict(case.parameters)["eps"] == 0.1  # as behind the stored scores
    assert "PGD succeeded" in text_of(app) and "4 detectors notice the attacked image" in text_of(app)
    assert app.query_params["attack"].startswith("pgd~")


def test_a_link_without_an_attack_shows_the_natural_image(engine: FakeEngine) -> None:
    app = open_app(attack="none")
    assert [task for task, _ in engine.submitted] == ["analyse"]
    assert "Nothing has changed yet" in text_of(app)
    assert "0 of 4 detectors notice this natural image, at 5 % false alarms." in text_of(app)


def test_attack_says_who_notices(engine: FakeEngine) -> None:
    text = text_of(open_app(**ATTACKED))
    assert "3 of 4 detectors notice the attacked image, at 10 % false alarms." in text
    assert "PGD succeeded: 7 became 0, after rounding to 8 bits." in text
    assert "Gradients: 20" in text and "Queries: 21" in text
    task, arguments = engine.submitted[0 if engine.submitted[0][0] == "attack" else 1]
    assert task == "attack"
    assert arguments["parameters"]["eps"] == 0.2 and arguments["seed"] == 3


def test_a_successful_attack_says_what_it_survives(engine: FakeEngine) -> None:
    text = text_of(open_app(**ATTACKED))
    assert "**PNG: still adversarial**, read as **0** (91 %)" in text
    assert "The file has 90 bytes and keeps every pixel exactly." in text
    assert "**JPEG 90: no longer adversarial**" in text and "moves pixels by up to 9/255" in text
    ((_, arguments),) = [sent for sent in engine.submitted if sent[0] == "survive"]
    assert (arguments["label"], arguments["target"]) == (7, -1)
    assert "survive being saved" not in text_of(open_app(**{**ATTACKED, "attack": "pgd~eps~0"}))


def test_failed_attack_is_a_result(engine: FakeEngine) -> None:
    app = open_app(**{**ATTACKED, "attack": "pgd~eps~0"})
    assert "PGD failed within its budget: it did not leave 7" in text_of(app)
    assert "It failed within its budget: still read as **7**." in text_of(app)
    assert "a notice here is a false alarm too" in text_of(app)
    assert not app.error


def test_stability_says_what_movements_take_from_each_image(engine: FakeEngine) -> None:
    app = open_app("app_pages/feature_responses.py", **ATTACKED)
    text = text_of(app)
    assert "natural image, read as **7**, leads by 6.00 logits, loses " in text
    assert "attacked image, read as **0**, leads by 6.00 logits, loses 8.00 of that on average when it moves" in text
    assert "and is read as **another class** under 4 of the 4 movements that count." in text


def open_gallery() -> AppTest:
    """Open the workbench with the gallery of all test images in front."""
    app = open_app()
    app.session_state["image-source-digits"] = "Test images"
    return app.run()


def test_two_clicks_fool_it(engine: FakeEngine) -> None:
    app = open_gallery()
    second = [button.key for button in app.button if (button.key or "").startswith("pick-")][1]
    app.button(key=second).click().run()
    assert app.query_params["image"] == second.replace("pick", "test")
    next(button for button in app.button if button.label == "Attack").click().run()
    assert app.query_params["attack"].startswith("pgd~eps~0.1~")
    assert "3 of 4 detectors notice the attacked image" in text_of(app)
    (said,) = (text.value for text in app.markdown if "[What changed](#what-changed)" in text.value)
    assert said.startswith("Read as **0** now. ")


def attack_button(app: AppTest) -> Any:
    return next(button for button in app.button if button.label == "Attack")


def test_the_submitted_form_stays_and_another_case_starts_a_new_one(engine: FakeEngine) -> None:
    app = open_gallery()
    app.number_input(key=next(n.key for n in app.number_input if n.label == "Seed")).set_value(5)
    before = attack_button(app).key
    attack_button(app).click().run()
    assert "seed~5" in app.query_params["attack"] and attack_button(app).key == before
    app.session_state["case"] = replace(app.session_state["case"], seed=9)
    app.run()
    assert attack_button(app).key != before
    assert next(n.value for n in app.number_input if n.label == "Seed") == 9


STALE = "still belong to **PGD**"


def dimmed(app: AppTest) -> bool:
    """Return whether the page says, and shows, that its results belong to an earlier attack."""
    said, styled = STALE in text_of(app), any("opacity: 0.45" in str(html.proto.body) for html in app.get("html"))
    assert said == styled
    return said


@pytest.mark.parametrize("changed", ["attack", "budget", "steps", "seed", "target"])
def test_whatever_is_changed_in_the_form_dims_what_belongs_to_the_attack_before(
    engine: FakeEngine, changed: str
) -> None:
    app = open_app(**ATTACKED)
    assert not dimmed(app)
    boxes = {box.label: box for box in (*app.selectbox, *app.number_input, *app.select_slider, *app.slider)}
    if changed == "attack":
        boxes["Attack"].select("deepfool")
    elif changed == "budget":
        boxes["Budget ε (L∞)"].set_value(0.3)
    elif changed == "target":
        boxes["Target class"].select(5)
    else:
        box = boxes["Seed" if changed == "seed" else "Steps"]
        box.set_value(box.value + 1)
    app.run()
    assert not app.exception and dimmed(app)
    attack_button(app).click().run()
    assert not app.exception and STALE not in text_of(app)


def test_the_case_that_a_form_began_with_starts_it_afresh_when_one_comes_back(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    first = app.session_state["case"]
    for seed in (5, 6):  # twice in a row from the same form
        app.number_input(key=next(n.key for n in app.number_input if n.label == "Seed")).set_value(seed).run()
        attack_button(app).click().run()
        assert f"seed~{seed}" in app.query_params["attack"] and not dimmed(app)
    app.session_state["case"] = first
    app.run()
    assert next(n.value for n in app.number_input if n.label == "Seed") == first.seed
    assert not dimmed(app)


def test_cancelling_the_strengths_keeps_the_attack_and_its_verdicts(engine: FakeEngine) -> None:
    app = unopened(PAGES[0], **ATTACKED)
    app.run()
    app.session_state["strength-stopped"] = app.session_state["case"]
    app.run()
    text = text_of(app)
    assert "Following the change was cancelled." in text and "**Attacked** :" in text
    assert "this is the natural image" not in text
    app.button(key="again-strength").click().run()
    assert "Drag, or press Play" in text_of(app)


def test_the_verdict_follows_the_strength_and_alpha(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    assert "The fused verdict calls it adversarial at × 1 to × 1.5." in text_of(app)
    app.slider(key="alpha-slider").set_value(1).run()
    assert "The fused verdict calls it" not in text_of(app), "20 calibration images are too few for 1 %"
    asked = [arguments for task, arguments in engine.submitted if task == "verdicts_along"]
    assert all("alpha" not in arguments for arguments in asked), "another rate needs no other look"


def test_without_an_attack_nothing_is_dimmed(engine: FakeEngine) -> None:
    app = open_app(attack="none")
    next(box for box in app.selectbox if box.label == "Attack").select("deepfool")
    app.run()
    assert not any("opacity: 0.45" in str(html.proto.body) for html in app.get("html"))


def test_a_change_outweighs_the_address_that_its_click_came_with(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app()
    monkeypatch.setattr("telltale_app.state.SETTLING_SECONDS", -1.0)  # however slow the page is
    app.query_params["alpha"] = "0.1"
    app.slider(key="alpha-slider").set_value(7).run()
    assert app.query_params["alpha"] == "0.07"


def test_case_survives_page_switches(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    for page in PAGES[1:]:
        app.switch_page(page).run()
        assert app.query_params["image"] == "test-167", page
        assert app.query_params["attack"].startswith("pgd~eps~0.2~"), page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"image": "test-3"}, "no test image 3"),
        ({"image": "../../etc/passwd"}, "neither an image of the data set"),
        ({"image": "png-" + "A" * 40}, "damaged"),
        ({"attack": "nonsense"}, "attack that does not exist"),
        ({"attack": "pgd~eps~7"}, "must be a number in [0, 1]"),
        ({"attack": "pgd~bogus~1"}, "has no parameter 'bogus'"),
        ({"attack": "pgd~target~99"}, "target class does not exist"),
        ({"alpha": "nan"}, "must be a number in"),
        ({"bundle": "/etc"}, "no model of that name"),
    ],
)
def test_forged_links_fall_back(engine: FakeEngine, query: dict[str, str], said: str) -> None:
    app = open_app(**query)
    assert not app.exception and not app.error
    assert any(said in warning.value for warning in app.warning), [warning.value for warning in app.warning]


def test_moving_alpha_changes_the_case(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    app.slider(key="alpha-slider").set_value(20).run()
    assert app.query_params["alpha"] == "0.2"
    assert "at 20 % false alarms" in text_of(app)


def test_no_model_is_a_sentence(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telltale.bundle, "list_bundles", tuple)
    app = open_app()
    assert not app.exception
    assert [error.value for error in app.error] == ["There is no model of that name here."]


def test_several_models_can_be_chosen(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: ("cifar10", "digits", "torn"))
    monkeypatch.setattr(telltale.bundle.summary, "summarise", lambda name: SUMMARIES[name])
    monkeypatch.setenv("TELLTALE_BUNDLES", "/no/such/folder")
    app = open_app(**ATTACKED)
    app.button(key="models").click().run()
    text = text_of(app)
    assert "99 % of test images right, 10 classes, grey, 8 × 8 pixels, 2 kB" in text
    assert "90 % of test images right, 10 classes, colour, 32 × 32 pixels, 19.5 MB" in text
    assert "Its images are elsewhere." in text
    assert "**torn** cannot be used. It is damaged." in text
    assert "TELLTALE_BUNDLES names '/no/such/folder', which is not a folder" in text
    assert app.button(key="model-digits").disabled
    app.button(key="model-cifar10").click().run()
    assert not app.exception
    assert app.query_params["attack"].startswith("pgd~eps~0.1~")  # its opening example, not the attack before
    assert "Its images are elsewhere." not in text_of(app)


def test_engine_errors_are_sentences(engine: FakeEngine) -> None:
    engine.problem = "Too many people are waiting; try again in a minute."
    app = open_app()
    assert not app.exception
    assert [error.value for error in app.error] == [engine.problem]


def test_slow_work_ends_in_its_result(engine: FakeEngine) -> None:
    engine.seconds = 0.9
    app = open_app(attack="none")
    assert "0 of 4 detectors notice" in text_of(app)
    assert not [button for button in app.button if button.label == "Cancel"]


def test_cancelled_work_does_not_start_by_itself(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    app.session_state["given-up"] = app.session_state["case"]
    submitted = len(engine.submitted)
    app.run()
    assert "Cancelled: this is the natural image." in text_of(app)
    assert "0 of 4 detectors notice" in text_of(app)
    assert "attack" not in [task for task, _ in engine.submitted[submitted:]]
    app.button(key="start-again").click().run()
    assert "3 of 4 detectors notice" in text_of(app)


def test_attack_starts_again_after_a_cancel(engine: FakeEngine) -> None:
    app = open_app(**ATTACKED)
    app.session_state["given-up"] = app.session_state["case"]
    app.run()
    next(button for button in app.button if button.label == "Attack").click().run()
    assert "3 of 4 detectors notice" in text_of(app)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_the_natural_image_after_a_cancel(engine: FakeEngine, page: str) -> None:
    app = unopened(page, **ATTACKED)
    app.session_state["given-up"], _ = from_query(ATTACKED)
    app.run()
    assert not app.exception
    assert "attack" not in [task for task, _ in engine.submitted]


@pytest.mark.parametrize("with_data", [True, False], ids=["beside its data", "without its data"])
@pytest.mark.parametrize("page", PAGES)
def test_page_opens_with_colour(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, page: str, with_data: bool
) -> None:
    show(monkeypatch, FakeBundle(with_data, colour=True))
    app = open_app(page, attack="pgd~eps~0.1")
    assert not app.exception and not app.error and not app.warning
    assert app.query_params["image"].startswith("test-" if with_data else "chelsea-png-")
    said = text_of(app).replace("The lessons are about the model 'signs', which is not on this machine.", "")
    assert ("not on this machine" in said) == (not with_data and page not in CALM_PAGES)


def test_images_that_are_missing_leave_class_id_distance_and_one_command(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, without = FakeBundle(colour=True), FakeBundle(False, colour=True)
    show(monkeypatch, beside)
    pictures = len(open_app(PAGES[3], k="5").get("image"))
    assert pictures == 3 * (5 + 1) + 1  # three lists behind the image, and the case itself beside the page
    show(monkeypatch, without)
    app = open_app(PAGES[3], k="5")
    assert len(app.get("image")) == 3 + 1, "chips stand in the place of training images, the image itself is at hand"
    assert text_of(app).count("not on this machine") == 1
    assert [code.value for code in app.code[:1]] == ["telltale build cifar10 --data uoft-cs/cifar10"]
    text = text_of(app)
    first = engine_neighbours(app)
    for image_id, label, distance in first:
        assert f"no. {image_id}  \nd = {distance:.3g}" in text
        assert f"**{without.class_names[label]}**" in text
    histogram = next(html.proto.body for html in app.get("html") if "of 5</span>" in html.proto.body)
    for label in {label for _, label, _ in first}:
        count = sum(other == label for _, other, _ in first)
        assert f"class {without.class_names[label]}</span>" in histogram and f">{count} of 5</span>" in histogram
    assert "This compact model keeps 120 of the 300 training images as references" in text


def engine_neighbours(app: AppTest) -> list[tuple[int, int, float]]:
    """Return id, class and distance of the nearest five training images, as the stand-in engine answers."""
    near = analyse(np.zeros((3, 32, 32), np.float32), 0.05, {"knn_score": 0.0}).view(NeighboursView)
    return [(int(near.ids[-1, i]), int(near.labels[-1, i]), float(near.distances[-1, i])) for i in range(5)]


def test_a_target_is_never_the_images_own_class(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(image="test-167")  # its label is 7
    app.selectbox[0].select(next(name for name, spec in ATTACKS.items() if spec.targeted)).run()
    targets = next(box for box in app.selectbox if box.label == "Target class").options
    assert targets == ["any other class", "a random other class", *(name for name in bundle.class_names if name != "7")]


def test_parameters_are_named_in_words(engine: FakeEngine) -> None:
    kinds = ("slider", "select_slider", "number_input", "toggle", "selectbox")
    for name, spec in ATTACKS.items():
        app = open_app(attack=name)
        labels = {widget.label for kind in kinds for widget in app.get(kind)}
        assert {parameter.label for parameter in spec.parameters} <= labels, name
        assert not {"Eps", "Lr", "Popsize", "C0", "Beta", "M", "K"} & labels, labels


def test_a_budget_is_chosen_in_grey_levels_for_colour_and_in_hundredths_for_grey(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = next(slider for slider in open_app(attack="pgd").select_slider if slider.label == "Budget ε (L∞)")
    assert budget.value == 0.1 and budget.options[:3] == ["0", "0.01", "0.02"] and budget.options[-1] == "1"
    show(monkeypatch, FakeBundle(colour=True))
    app = open_app(attack="fgsm~eps~0.0314")
    budget = next(slider for slider in app.select_slider if slider.label == "Budget ε (L∞)")
    assert budget.value == 0.0314
    assert budget.options[7:10] == ["7/255", "8/255", "8.0/255"] and budget.options[-1] == "255/255"
    budget.set_value(8 / 255)
    next(button for button in app.button if button.label == "Attack").click().run()
    assert [given["parameters"] for task, given in engine.submitted if task == "attack"][-1] == {"eps": 8 / 255}


def test_a_target_can_be_left_to_chance(engine: FakeEngine) -> None:
    app = open_app(image="test-167")
    target = next(box for box in app.selectbox if box.label == "Target class")
    target.select("random")
    next(button for button in app.button if button.label == "Attack").click().run()
    assert app.query_params["attack"].endswith("~target~random")
    assert [arguments["target"] for task, arguments in engine.submitted if task == "attack"] == ["random"]
    again = open_app(image="test-167", attack=app.query_params["attack"])
    assert next(box for box in again.selectbox if box.label == "Target class").value == "random"
    needy = open_app(image="test-167", attack="jsma")
    assert next(box for box in needy.selectbox if box.label == "Target class").options[0] == "a random other class"


def test_the_adaptive_attack_has_a_choice_of_detector_and_a_weight(engine: FakeEngine) -> None:
    app = open_app(attack="adaptive")
    box = next(box for box in app.selectbox if box.label == "Detector")
    assert "I-defender" in box.options
    weight = next(slider for slider in app.slider if slider.label == "Weight of hiding")
    assert (weight.min, weight.max, weight.step, weight.value) == (0.0, 1.0, 0.05, 0.5)
    searching = open_app(attack="adaptive_square")
    chosen = {box.label: box.options for box in searching.selectbox}
    assert not searching.exception and "I-defender" in chosen["Detector"] and "gradients" in chosen["Starts from"]


def test_a_detector_that_the_references_are_too_few_for_is_said_below_the_others(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = FakeBundle()
    bundle.missing_detectors = {"mahalanobis": "The spread of classes needs more."}
    show(monkeypatch, bundle)
    assert "Mahalanobis distance is not available here. The spread of classes needs more." in text_of(open_app())


def test_a_photograph_is_cut_where_the_sliders_say(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = FakeBundle(False, colour=True)
    show(monkeypatch, bundle)
    app = open_app()
    app.button(key="photograph-coffee").click().run()
    assert "Cup of coffee" in text_of(app)
    for name, value in {"side": 200, "left": 150, "top": 40}.items():
        app.slider(key=f"crop-{name}-coffee").set_value(value).run()
    assert not app.exception and not app.error
    whole = Image.fromarray(data.coffee())
    cut = whole.crop((150, 40, 350, 240)).resize((32, 32), Image.Resampling.LANCZOS)
    reference = str(app.query_params["image"])
    assert reference.startswith("coffee-png-")
    shown = Image.open(io.BytesIO(base64.urlsafe_b64decode(reference.removeprefix("coffee-png-") + "==")))
    assert np.array_equal(np.asarray(shown), np.asarray(cut))


def test_a_larger_square_stays_inside_the_photograph(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, FakeBundle(False, colour=True))
    app = open_app()
    app.slider(key="crop-side-chelsea").set_value(299).run()
    assert (app.slider(key="crop-left-chelsea").value, app.slider(key="crop-left-chelsea").max) == (60, 152)
    app.slider(key="crop-side-chelsea").set_value(100).run()
    app.slider(key="crop-left-chelsea").set_value(351).run()
    app.slider(key="crop-side-chelsea").set_value(300).run()
    assert not app.exception and not app.error
    assert app.slider(key="crop-left-chelsea").value == 151
    assert app.slider(key="crop-top-chelsea").value == 0


def test_upload_travels_in_the_link(engine: FakeEngine) -> None:
    buffer = io.BytesIO()
    Image.new("L", (20, 20), 90).save(buffer, "PNG")
    app = open_app()
    app.get("button_group")
    app.session_state["image-source-digits"] = "Upload"
    app.run()
    app.file_uploader[0].upload("mine.png", buffer.getvalue()).run()
    assert not app.exception and not app.error
    reference = str(app.query_params["image"])
    assert reference.startswith("png-")
    again = open_app(image=reference)
    assert not again.warning
    assert "Your image" in text_of(again)


def test_every_list_is_headed_by_its_image_and_bars_are_distances(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGES[3], **ATTACKED, k="6", layer="layer1")
    near = analyse(np.zeros((1, 8, 8), np.float32), 0.05, {"knn_score": 0.0}).view(NeighboursView)
    said = text_of(app)
    assert said.count("**This image**") == 3 and "those of **layer1**" in said
    drawn = [html.proto.body for html in app.get("html") if re.search(r"width:[\d.]+%", html.proto.body)]
    widths = [float(re.findall(r"width:([\d.]+)%", markup)[0]) for markup in drawn]
    assert len(widths) == 3 * 6
    distances = near.distances[bundle.layers.index("layer1"), :6]
    np.testing.assert_allclose(widths[:6], 100 * distances / distances.max(), atol=0.06)
    key = f"nearest-open-train-{near.ids[1, 0]}"
    app.button(key=key).click().run()
    assert app.query_params["image"] == f"train-{near.ids[1, 0]}"


def test_votes_are_those_of_the_shown_images_on_the_chosen_layer() -> None:
    found = analyse(np.zeros((1, 8, 8), np.float32), 0.05, {"knn_score": 0.0})
    near = found.view(NeighboursView).labels
    for layer in range(len(near)):
        for k in (1, 6):
            shares = layer_votes((("natural", found),), 10, layer, k)["natural"]
            assert shares.tolist() == [near[layer][:k].tolist().count(c) / k for c in range(10)]


def test_neighbours_count_the_overlap(engine: FakeEngine) -> None:
    text = text_of(open_app(PAGES[3], **ATTACKED, k="20"))
    assert "Of the 20 nearest training images of the attacked image, **4** are also among the most helpful" in text


def test_detector_page_names_every_detector_and_every_control(engine: FakeEngine) -> None:
    app = open_app(PAGES[5], **ATTACKED, figures="true")
    table = next(frame.value for frame in app.dataframe if "AUC" in frame.value)
    controls = ("low_confidence", "high_confidence", "random")  # whose columns the scores have
    assert table["detector"].tolist() == [titles.detector_title(name) for name in (*DETECTORS, *controls)]
    assert "Caught (TPR)" in text_of(app)
    assert "no fused verdict to compare" in text_of(app)


TABLES_PAGE = "app_pages/paper_tables.py"


def show_results(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the page find the runs in this folder, and no others."""
    for name in ("load_results", "stored_network", "stored_results"):
        monkeypatch.setattr(results, name, partial(getattr(results, name), folder=folder))


def open_tables(monkeypatch: pytest.MonkeyPatch, folder: Path, **query: str) -> AppTest:
    show_results(monkeypatch, folder)
    app = open_app(TABLES_PAGE, **query)
    assert not app.exception
    return app


def titled(name: str) -> str:
    return f"{TABLES[name].paper}: {TABLES[name].title}"


def test_a_paper_table_shows_ours_beside_the_papers_figure(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = open_tables(monkeypatch, store(tmp_path))
    shown = app.dataframe[0].value
    assert list(shown.index) == ["DkNN", "NNIF", "SVHN: NNIF"]
    texts = shown.map(lambda text: text.replace("\N{NO-BREAK SPACE}", " "))
    assert texts.loc["DkNN"].tolist() == [
        "92.00¹ [90.50, 93.25] not in the paper",
        "75.00 (−12.81) [70.00, 80.00] paper 87.81",
        "",
    ]
    assert texts.loc["NNIF", "FGSM"] == "99.96 (±0.00)² [99.50, 100.00] paper 99.96"
    assert texts.loc["NNIF", "EAD"] == "76.41 (+6.41) [70.00, 80.00] paper 70.00"
    assert texts.loc["SVHN: NNIF", "FGSM"] == "not computed³ paper 99.50"
    text = text_of(app)
    assert "3. needs SVHN and a network trained on it" in text
    assert TABLES[TABLE].setting in text and TABLES[TABLE].title in text
    assert app.selectbox(key="table").options[0] == titled(TABLE), "what is stored comes first"
    assert len(app.selectbox(key="table").options) == len(TABLES)


def test_the_first_figure_with_a_curve_is_open(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = open_tables(monkeypatch, store(tmp_path))
    assert app.selectbox(key="cell").value == "DkNN / FGSM"
    assert [(metric.label, metric.value) for metric in app.metric] == [
        ("Paper", "87.81"),
        ("Ours", "75.00"),
        ("Difference", "−12.81"),
    ]
    assert "n = 300" in text_of(app)
    curve = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]
    assert curve["name"] == "DkNN / FGSM: 75.00 (AUC, %), n = 300"
    assert [RATES[0].tolist(), RATES[1].tolist()] == [_numbers(curve[axis]) for axis in ("x", "y")]


def _numbers(stored: Any) -> list[float]:
    """Return a Plotly array, which may travel as base64."""
    if isinstance(stored, dict):
        return np.frombuffer(base64.b64decode(stored["bdata"]), stored["dtype"]).tolist()
    return list(stored)


def test_an_empty_cell_says_why_and_a_share_has_no_curve(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = open_tables(monkeypatch, store(tmp_path))
    app.selectbox(key="cell").select("SVHN: NNIF / EAD").run()
    assert [info.value for info in app.info] == ["Not computed here: needs SVHN and a network trained on it."]
    assert not app.get("plotly_chart")
    app.selectbox(key="cell").select("DkNN / accuracy").run()
    assert "No ROC curve lies behind this figure" in text_of(app) and not app.get("plotly_chart")


def test_a_link_opens_its_table_and_figure(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results.save_results("nnif-whitebox", CELLS[2:4], store(tmp_path), "a network of its own")
    app = open_tables(monkeypatch, tmp_path, table=titled("nnif-whitebox"), cell="NNIF / EAD")
    assert "Computed with a network of its own." in text_of(app).replace("*", "")
    assert (app.selectbox(key="table").value, app.selectbox(key="cell").value) == ("nnif-whitebox", "NNIF / EAD")
    app.selectbox(key="table").select(TABLE).run()
    app.selectbox(key="cell").select("DkNN / accuracy").run()
    app.selectbox(key="table").select("nnif-whitebox").run()
    assert not app.exception and app.selectbox(key="cell").value == "NNIF / FGSM", "the other table has no such figure"


def test_a_table_without_a_run_gives_the_one_command(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = open_tables(monkeypatch, tmp_path)
    assert not app.error and not app.dataframe
    app.selectbox(key="table").select("nnif-transfer").run()
    assert "telltale reproduce nnif-transfer --data uoft-cs/cifar10 --save" in [code.value for code in app.code]


def test_a_damaged_run_is_one_sentence_and_the_command(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / f"{TABLE}.parquet").write_bytes(b"nonsense")
    app = open_tables(monkeypatch, tmp_path)
    assert len(app.error) == 1 and f"{TABLE}.parquet" in app.error[0].value
    assert f"telltale reproduce {TABLE} --data uoft-cs/cifar10 --save" in [code.value for code in app.code]


def test_live_run_grows_and_ends(engine: FakeEngine) -> None:
    app = open_app(PAGES[5])
    app.button(key="live-start").click().run()
    for _ in range(8):
        app.run()
    assert "24 of 24 images attacked with PGD" in str(app.progress[0].proto.text)


def test_torch_stays_out(engine: FakeEngine) -> None:
    import subprocess

    code = (
        "import sys, telltale_app.layout, telltale_app.analyses\n"
        "from telltale_app.panels import about, density, live, neighbours, paper_tables, responses, roc, trajectory\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(MAIN).parents[2])


def test_a_grey_model_says_that_it_sees_grey(engine: FakeEngine) -> None:
    app = open_app()
    app.session_state["image-source-digits"] = "Photographs"
    app.run()
    assert "grey (luma)" not in text_of(app)  # nothing is cut before a photograph is chosen
    app.button(key="photograph-chelsea").click().run()
    assert not app.exception and not app.error
    assert "8 × 8 pixels, in grey (luma)" in text_of(app)
    whole = Image.fromarray(data.chelsea()).convert("L")
    cut = whole.crop((60, 0, 360, 300)).resize((8, 8), Image.Resampling.LANCZOS)
    reference = str(app.query_params["image"]).removeprefix("chelsea-png-")
    shown = Image.open(io.BytesIO(base64.urlsafe_b64decode(reference + "==")))
    assert np.array_equal(np.asarray(shown), np.asarray(cut))


def test_dark_ink_is_suggested_for_a_light_picture_until_it_is_switched_on(engine: FakeEngine) -> None:
    app = open_app()
    app.session_state["image-source-digits"] = "Photographs"
    app.run()
    hint = "This picture is mostly light."
    app.button(key="photograph-rocket").click().run()
    assert hint not in text_of(app)
    app.button(key="photograph-horse").click().run()
    assert hint in text_of(app)
    app.toggle(key="invert-ink").set_value(True).run()
    assert hint not in text_of(app)
    app.button(key="photograph-rocket").click().run()
    assert app.toggle(key="invert-ink").value and hint not in text_of(app), "light only because it was exchanged"


def test_a_picture_of_the_models_size_is_taken_as_it_is(engine: FakeEngine) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    app = open_app()
    app.session_state["image-source-digits"] = "Upload"
    app.run()
    app.file_uploader[0].upload("mine.png", buffer.getvalue()).run()
    assert "is taken exactly as it is" in text_of(app)
    assert not [slider for slider in app.slider if (slider.key or "").startswith("crop-")]
    reference = str(app.query_params["image"]).removeprefix("png-")
    shown = Image.open(io.BytesIO(base64.urlsafe_b64decode(reference + "==")))
    assert np.array_equal(np.asarray(shown), pixels)


def test_a_file_that_is_no_picture_leaves_the_case_with_one_sentence(engine: FakeEngine) -> None:
    app = open_app()
    before = app.query_params["image"]
    app.session_state["image-source-digits"] = "Upload"
    app.run()
    app.file_uploader[0].upload("mine.png", b"no picture").run()
    assert not app.exception
    assert [error.value for error in app.error] == [
        "The file is not a readable image; PNG, JPEG, WebP, BMP, GIF or TIFF are accepted. "
        "The image chosen before stays."
    ]
    assert app.query_params["image"] == before


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (8 / 255, "8/255"),
        (2 / 255, "2/255"),
        (0.1, "0.1"),
        (0.2, "0.2"),  # 51 of 255, but a decimal says it as well
        (1.0, "1"),
        (0.0, "0"),
        (0.123456, "0.123456"),
        (20, "20"),
        (True, "on"),
        ("EN", "EN"),
    ],
)
def test_settings_are_written_as_people_write_them(value: object, said: str) -> None:
    assert titles.setting(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1.234, "+1.23"), (-12.5, "−12.50"), (0.004, "±0.00"), (-0.004, "±0.00"), (0.0, "±0.00")]
)
def test_differences_carry_a_sign_unless_they_round_to_nothing(value: float, said: str) -> None:
    assert words.signed(value) == said


def test_notes_end_in_one_full_stop() -> None:
    assert words.ended("needs SVHN") == words.ended("needs SVHN.") == "needs SVHN."
    assert words.raised(None) == "" and words.raised(12) == "¹²"


@pytest.mark.parametrize(
    ("share", "said"),
    [(2.62e-7, "under 0.01 %"), (0.0, "0 %"), (1e-4, "0.01 %"), (0.999, "99.9 %"), (float("nan"), "unknown")],
)
def test_a_share_is_written_with_no_more_digits_than_it_needs(share: float, said: str) -> None:
    assert titles.percent(share) == said
    assert words.percent(share) == said.replace(" %", "\u00a0%")


@pytest.mark.parametrize(
    ("owners", "query", "wanted"),
    [
        (None, {}, "signs"),
        (None, {"image": "test-12"}, "digits"),
        (None, {"bundle": "nosuch"}, "digits"),
        ("signs", {"image": "test-12"}, "signs"),
        ("cifar10", {"image": "test-12"}, "cifar10"),
        ("cifar10", {}, "cifar10"),
    ],
)
def test_which_model_a_link_means(
    monkeypatch: pytest.MonkeyPatch, owners: str | None, query: dict[str, str], wanted: str
) -> None:
    monkeypatch.delenv("TELLTALE_BUNDLE", raising=False)
    if owners is not None:
        monkeypatch.setenv("TELLTALE_BUNDLE", owners)
    asked: list[str] = []

    def load(name: str) -> FakeBundle:
        asked.append(name)
        if name == "nosuch":
            raise InputError("There is no such model.")
        return FakeBundle()

    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: ("signs", "digits", "cifar10", "nosuch"))
    monkeypatch.setattr(telltale.bundle, "load_bundle", load)
    from_query(query)
    assert asked[-1] == wanted
