"""The lessons: each can be gone through, a link resumes it, and what it says is true of the shipped bundle."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import telltale.bundle
import telltale.engine
from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import open_link
from support.shipped import shipped
from telltale.analysis.analyse import analyse_image, attack_image, sweep
from telltale.analysis.few_classes import few_classes
from telltale.analysis.opened import LoadedBundle
from telltale.kinds.neighbours import NeighboursView
from telltale.kinds.trajectory import TrajectoryView
from telltale.scores import metrics
from telltale.scores.table import select_scores
from telltale_app import engine_client
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import course, facts, fooling, looking, neighbours, threshold
from telltale_app.lessons.lesson import Lesson, Step
from telltale_app.lessons.registry import LESSONS
from telltale_app.link_images import true_label

ROOT = Path(__file__).resolve().parents[2]
WORDS_A_MINUTE, MOST_MINUTES = 130, 6  # read aloud
NOT_MEASURED = (r"\{\w+\}", r"× [01]\b", r"0\.5", "of 1;", r"part \d")  # may stand in a text
STEPS = [(lesson, index) for lesson in LESSONS.values() for index in range(len(lesson.steps))]


def press(app: AppTest, key: str, page: str) -> AppTest:
    """Press a button that opens another page, and stay there: a test's runs would go on where it was before."""
    app.button(key=key).click().run()
    return app.switch_page(page)


def right(app: AppTest) -> bool:
    """Return whether the bar says that the answer is right."""
    return any(success.value.startswith("**Right.**") for success in app.success)


def text_of(app: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "caption", "success", "info")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


def assert_at(app: AppTest, lesson: Lesson, index: int) -> None:
    assert not app.exception and not app.error and not app.warning
    assert f"{lesson.title}** · step {index + 1} of {len(lesson.steps)}" in text_of(app)
    assert app.expander[0].label == f"**{lesson.steps[index].title}**"
    assert (app.query_params["lesson"], app.query_params["step"]) == (lesson.name, str(index + 1))


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=list(LESSONS))
def test_a_lesson_is_gone_through_from_its_card_to_its_end(lesson_engine: FakeEngine, lesson: Lesson) -> None:
    app = open_link()
    app.switch_page("app_pages/lessons.py").run()
    press(app, f"begin-{lesson.name}", lesson.steps[0].script)
    for index, step in enumerate(lesson.steps):
        assert_at(app, lesson, index)
        if step.question is not None:
            assert not right(app), "nothing is answered before somebody has answered"
            tried = []
            while not right(app):
                app.radio[0].set_value(len(tried)).run()
                tried.append([info.value for info in app.info if info.value.startswith("**Not quite.**")])
            assert all(tried[:-1]) and not tried[-1]
        if index + 1 < len(lesson.steps):
            press(app, "lesson-next", lesson.steps[index + 1].script)
    press(app, "lesson-finish", "app_pages/lessons.py")
    assert not app.exception
    assert app.title[0].value == "Lessons" and "lesson" not in app.query_params
    assert app.button(key=f"begin-{lesson.name}").label == "Again"


def test_answers_and_the_way_back_survive_wandering_off_and_reset_forgets_them(lesson_engine: FakeEngine) -> None:
    lesson = LESSONS["departing"]
    app = open_link(lesson="departing").switch_page(lesson.steps[0].script)
    app.radio[0].set_value(0).run()
    app.switch_page("app_pages/about.py").run()
    assert "You have gone to another page" in text_of(app)
    press(app, "lesson-return", lesson.steps[0].script)
    assert_at(app, lesson, 0)
    assert app.radio[0].value == 0 and right(app)
    app.button(key="strip-attack").click().run()
    assert "a case of your own" in text_of(app)
    press(app, "lesson-return", lesson.steps[0].script)
    assert_at(app, lesson, 0)
    app.button(key="lesson-next").click().run()
    app.button(key="lesson-back").click().run()
    assert app.radio[0].value == 0
    app.button(key="lesson-next").click().run()
    app.button(key="lesson-reset").click().run()
    assert_at(app, lesson, 0)
    assert app.radio[0].value is None


def test_leaving_keeps_the_case_and_the_card_knows_how_far_one_came(lesson_engine: FakeEngine) -> None:
    app = open_link(lesson="departing", step="2").switch_page("app_pages/trajectories.py")
    assert_at(app, LESSONS["departing"], 1)
    image = app.query_params["image"]
    app.button(key="lesson-leave").click().run()
    assert "lesson" not in app.query_params and app.query_params["image"] == image
    assert not [button for button in app.button if (button.key or "").startswith("lesson-")]
    app.switch_page("app_pages/lessons.py").run()
    assert app.button(key="begin-departing").label == "Go on"
    press(app, "begin-departing", "app_pages/trajectories.py")
    assert_at(app, LESSONS["departing"], 1)


@pytest.mark.parametrize("gone_on", [False, True])
def test_leaving_brings_back_the_case_from_before_unless_one_has_gone_on(
    lesson_engine: FakeEngine, gone_on: bool
) -> None:
    app = open_link(image="test-1", attack="pgd~eps~0.2~seed~3").switch_page("app_pages/lessons.py").run()
    own = app.query_params["image"], app.query_params["attack"]
    press(app, "begin-looking", LESSONS["looking"].steps[0].script).run()
    assert (app.query_params["image"], app.query_params["attack"]) != own
    if gone_on:
        app.session_state["case"] = dataclasses.replace(app.session_state["case"], seed=7, attack="pgd")
        app.run()
        own = app.query_params["image"], app.query_params["attack"]
    app.button(key="lesson-leave").click().run()
    assert (app.query_params["image"], app.query_params["attack"]) == own


@pytest.mark.parametrize(("lesson", "index"), STEPS, ids=[f"{lesson.name}-{index + 1}" for lesson, index in STEPS])
def test_a_short_link_opens_the_step_with_its_case_on_its_page(
    lesson_engine: FakeEngine, lesson: Lesson, index: int
) -> None:
    app = open_link(lesson=lesson.name, step=str(index + 1))
    assert_at(app, lesson, index)
    step = lesson.steps[index]
    if step.anchor:
        assert f"(#{step.anchor})" in text_of(app), "the bar links to where one is to look"
        assert step.anchor in {heading.anchor for heading in (*app.header, *app.subheader)}
    meant = step.case(FakeBundle())
    assert app.query_params["image"] == meant.image
    assert app.query_params["attack"] == meant.to_query()["attack"]


@pytest.mark.parametrize(
    ("query", "index"),
    [({"lesson": "fooling", "step": "99"}, 0), ({"lesson": "fooling", "step": "-1"}, 0), ({"lesson": "../etc"}, None)],
)
def test_a_forged_link_opens_the_first_step_or_no_lesson(
    lesson_engine: FakeEngine, query: dict[str, str], index: int | None
) -> None:
    app = open_link(**query)
    assert not app.exception and not app.error
    if index is None:
        assert "lesson" not in app.query_params
    else:
        assert_at(app, LESSONS["fooling"], index)


def test_presenter_view_is_one_toggle_and_travels_in_the_link(lesson_engine: FakeEngine) -> None:
    app = open_link(lesson="fooling")
    assert not [html for html in app.get("html") if "font-size" in html.proto.body]
    app.toggle(key="presenter-view").set_value(True).run()
    assert app.query_params["present"] == "true"
    assert [html for html in app.get("html") if "font-size" in html.proto.body]
    press(app, "lesson-next", "app_pages/workbench.py")
    press(app, "lesson-next", "app_pages/trajectories.py")
    assert app.toggle(key="presenter-view").value and app.query_params["present"] == "true"
    app.button(key="lesson-leave").click().run()
    assert "present" not in app.query_params
    assert open_link(lesson="fooling", present="true").toggle(key="presenter-view").value


def test_without_the_lessons_model_the_page_says_so(lesson_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    colour = FakeBundle(colour=True)
    monkeypatch.setattr(telltale.bundle, "load_bundle", lambda _: colour)
    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: ("cifar10",))
    monkeypatch.setenv("TELLTALE_BUNDLE", "cifar10")
    app = open_link(lesson="fooling")
    assert not app.exception and "lesson" not in app.query_params
    app.switch_page("app_pages/lessons.py").run()
    assert [info.value for info in app.info] == [
        "The lessons are about the model 'digits', which is not on this machine."
    ]


def test_another_model_is_named_as_such(lesson_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    bundles = {"digits": FakeBundle(), "cifar10": FakeBundle(colour=True)}
    monkeypatch.setattr(telltale.bundle, "load_bundle", bundles.__getitem__)
    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: tuple(bundles))
    app = open_link(bundle="cifar10", lesson="fooling", image="test-160")
    assert "You have chosen another model" in text_of(app)
    app.switch_page("app_pages/lessons.py").run()
    assert "The lessons are about drawn road signs" in text_of(app)
    app.button(key="begin-looking").click().run()
    assert_at(app, LESSONS["looking"], 0)
    assert app.query_params["bundle"] == "digits"


# What the lessons say, against the shipped bundle ---------------------------------------------------------------------


def lesson_model() -> LoadedBundle:
    """Return the model that the lessons are about."""
    return shipped(course.MODEL)


def analysed(step: Step) -> CaseAnalysis:
    """Return what core says of a step's case, without pages and engine."""
    loaded = lesson_model()
    case = step.case(loaded.bundle)
    image = loaded.bundle.require_images().images([int(case.image.removeprefix("test-"))])[0]
    natural = analyse_image(loaded, image, case.alpha)
    label = true_label(case.image, loaded.bundle)
    if case.attack is None:
        return CaseAnalysis(case, loaded.bundle, image, label, natural, None, None)
    attack = attack_image(loaded, image, case.attack, dict(case.parameters), case.seed, case.target)
    attacked = analyse_image(loaded, attack.images[0], case.alpha)
    return CaseAnalysis(case, loaded.bundle, image, label, natural, attack, attacked)


@pytest.fixture(scope="module")
def real() -> dict[tuple[str, int], CaseAnalysis]:
    return {(lesson.name, index): analysed(lesson.steps[index]) for lesson, index in STEPS}


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the strength scrubber ask core instead of the engine."""
    monkeypatch.setattr(engine_client, "sweep", lambda _, *asked: sweep(lesson_model(), *asked))
    monkeypatch.setattr(engine_client, "few_classes", lambda _, image: few_classes(lesson_model(), image))


@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize(("lesson", "index"), STEPS, ids=[f"{lesson.name}-{index + 1}" for lesson, index in STEPS])
def test_texts_are_whole_and_exactly_one_answer_is_right(
    real: dict[tuple[str, int], CaseAnalysis], lesson: Lesson, index: int
) -> None:
    step, case = lesson.steps[index], real[lesson.name, index]
    texts = [step.text, step.look]
    if step.question is not None:
        choices = step.question.choices_for(case)
        assert sum(choice.right for choice in choices) == 1
        assert len({choice.text for choice in choices}) == len(choices) >= 2
        texts += [step.question.text, *(part for choice in choices for part in (choice.text, choice.feedback))]
    for text in texts:
        said = facts.filled(text, case, lesson.facts)
        assert not re.search(r"\{|\bnan\b|not calibrated|unknown", said), said
        written = re.sub("|".join([*NOT_MEASURED, *map(re.escape, case.bundle.layers)]), "", text)
        assert not re.search(r"\d", written), written


@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize("lesson", LESSONS.values(), ids=list(LESSONS))
def test_a_lesson_is_read_aloud_in_the_minutes_that_its_card_promises(
    real: dict[tuple[str, int], CaseAnalysis], lesson: Lesson
) -> None:
    said = [lesson.title, lesson.learns]
    for index, step in enumerate(lesson.steps):
        case = real[lesson.name, index]
        texts = [step.title, step.text, step.look]
        if step.question is not None:
            texts.append(step.question.text)
            texts += [part for choice in step.question.choices_for(case) for part in (choice.text, choice.feedback)]
        said += [facts.filled(text, case, lesson.facts) for text in texts]
    minutes = len(" ".join(said).split()) / WORDS_A_MINUTE
    assert 1 < minutes <= min(lesson.minutes, MOST_MINUTES), minutes


def test_every_case_is_what_its_step_says(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    for (name, index), case in real.items():
        assert case.natural.prediction.label == case.true_label, (name, index)
        assert not any(verdict.adversarial for verdict in case.natural.verdicts), "the natural picture looks natural"
        if case.attacked is not None:
            assert case.fooled, (name, index)


def test_the_network_is_sure_of_its_wrong_answer_and_many_detectors_notice(
    real: dict[tuple[str, int], CaseAnalysis],
) -> None:
    attacked = real["fooling", 3].attacked
    assert attacked is not None and attacked.prediction.confidence > 0.9
    assert sum(bool(verdict.adversarial) for verdict in attacked.verdicts) > len(attacked.verdicts) / 3
    assert attacked.fused is not None and attacked.fused.kind == "adversarial"


def test_random_changes_of_the_same_size_hardly_move_the_answer(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    case, rng = real["fooling", 1], np.random.default_rng(0)
    assert case.attack is not None
    step = case.attack.linf[0] * rng.choice([-1.0, 1.0], (50, *case.image.shape)).astype(np.float32)
    labels = lesson_model().classifier.predict(np.clip(case.image + step, 0.0, 1.0).astype(np.float32))
    assert (labels == case.natural.prediction.label).mean() > 0.9


@pytest.mark.usefixtures("swept")
def test_the_answer_on_strength_is_the_one_that_the_network_gives(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    case = real["fooling", 2]
    assert case.attacked is not None
    change = case.attacked.image - case.image
    strengths = np.round(np.arange(16) / 10, 1)
    pictures = np.stack([np.rint(np.clip(case.image + s * change, 0, 1) * 255) / 255 for s in strengths])
    labels = lesson_model().classifier.predict(pictures.astype(np.float32))
    turn = strengths[np.flatnonzero(labels == labels[0])[-1] + 1]
    question = fooling.LESSON.steps[2].question
    assert question is not None
    right = [choice.right for choice in question.choices_for(case)]
    assert right == [turn <= 0.5, 0.5 < turn <= 1.0, turn > 1.0]


def test_entropy_is_a_weak_witness(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    case = real["looking", 2]
    scores = case.bundle.scores
    natural, adversarial = (select_scores(scores, "mean_entropy", kind).values for kind in ("natural", "adversarial"))
    above = (adversarial[:, None] > natural).mean() + 0.5 * (adversarial[:, None] == natural).mean()
    assert looking.reference_auc(case) == pytest.approx(above)
    assert 0.5 < above < 0.8
    assert (adversarial < np.median(natural)).mean() > 0.1, "many attacked pictures lie below many natural ones"


def test_neighbours_change_sides_with_the_layers(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    case = real["neighbours", 1]
    assert case.attacked is not None and case.rival is not None and case.bundle.image_set is not None
    own = case.natural.prediction.label
    assert neighbours.near_of_class(case.natural, -1, own) > neighbours.K / 2
    assert neighbours.near_of_class(case.attacked, -1, case.rival) > neighbours.K / 2
    labels = case.bundle.image_set.labels[case.attacked.view(NeighboursView).ids[-1, : neighbours.K]]
    assert neighbours.near_of_class(case.attacked, -1, case.rival) == (labels == case.rival).sum()


def test_classes_part_along_the_layers(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    case = real["departing", 0]
    own, path = case.natural.prediction.label, case.natural.view(TrajectoryView)
    table = path.distances[path.pivot, path.distance] * (1.0 if path.distance == "cosine" else -1.0)
    ahead = table[:, own] - np.delete(table, own, axis=1).max(1)
    assert ahead[-1] > 0 and ahead[0] < ahead[-1] / 2


def test_the_strong_detector_is_strong_and_the_weak_one_is_weak(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    case = real["threshold", 0]
    order = threshold.by_auc(case.bundle)
    scores = case.bundle.scores
    found = {}
    for name in order:
        natural, adversarial = (
            select_scores(scores, f"score_{name}", kind).values for kind in ("natural", "adversarial")
        )
        found[name] = metrics.auc(natural, adversarial)
    assert found[order[-1]] == max(found.values()) > 0.95
    assert found[order[0]] == min(found.values()) < 0.75


def test_the_attack_that_knows_a_detector_slips_past_it(real: dict[tuple[str, int], CaseAnalysis]) -> None:
    plain, aimed = real["adaptive", 0].attacked, real["adaptive", 1].attacked
    assert plain is not None and aimed is not None
    assert plain.verdict("idefender").adversarial and not aimed.verdict("idefender").adversarial
    others = [verdict for verdict in aimed.verdicts if verdict.detector != "idefender"]
    assert any(verdict.adversarial for verdict in others)
    budgets = [real["adaptive", index].case.parameters for index in (0, 1)]
    assert dict(budgets[0])["eps"] == dict(budgets[1])["eps"]
