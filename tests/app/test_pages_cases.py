"""The page of saved cases, and saving from beside every page, against a stand-in engine and a real store."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import ATTACKED, open_app, show, text_of
from support.saved_cases import saved_case
from telltale.cases.exporting import to_zip
from telltale.cases.pixels import read_png
from telltale.cases.record import SavedCase
from telltale.cases.store import CaseStore, open_store
from telltale_app import cases
from telltale_app.panels import case_report

PAGE = "app_pages/cases.py"


@pytest.fixture
def store(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CaseStore]:
    monkeypatch.setenv("TELLTALE_CASES", str(tmp_path / "cases.sqlite"))
    opened = open_store()
    yield opened
    opened.close()


def save_here(app: AppTest, note: str, tags: str) -> AppTest:
    app.text_area(key="save-note").set_value(note)
    app.text_input(key="save-tags").set_value(tags)
    next(button for button in app.button if button.label == "Save").click()
    return app.run()


def saved_from(app: AppTest, store: CaseStore) -> SavedCase:
    assert not app.exception and not app.error, text_of(app)
    (saved,) = store.find().cases
    return saved


def test_an_empty_page_says_how_to_fill_it(store: CaseStore) -> None:
    app = open_app(PAGE)
    assert not app.exception and not app.error
    assert "No case has been saved here yet" in text_of(app)


def test_what_is_shown_is_what_is_saved(store: CaseStore, bundle: FakeBundle) -> None:
    app = save_here(open_app(**ATTACKED), "A seven in disguise", "teaching, odd , teaching")
    saved = saved_from(app, store)
    record = saved.record
    assert (record.note, record.tags, record.title) == ("A seven in disguise", ("teaching", "odd"), "Test image 167")
    assert bundle.image_set is not None
    assert np.array_equal(read_png(saved.natural_png), bundle.image_set.images([167])[0])
    assert (record.settings.attack, record.settings.seed, record.settings.alpha) == ("pgd", 3, 0.1)
    assert record.settings.parameters["eps"] == 0.2
    assert (record.numbers.natural.prediction, record.numbers.true_class) == ("7", "7")
    assert record.numbers.attacked is not None and record.numbers.attacked.noticing == (3, 4)
    assert "Saved." in text_of(app)


def test_a_case_that_cannot_be_read_hides_no_other_and_can_be_deleted(store: CaseStore) -> None:
    good, bad = saved_case(1), saved_case(2)
    store.save(good)
    store.save(bad)
    with store._engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE cases SET record = 'no JSON' WHERE id = '{bad.record.id}'")
    app = open_app(PAGE)
    assert not app.exception and not app.error
    assert "Test image 1" in text_of(app) and "Test image 2" not in text_of(app)
    assert f"The case `{bad.record.id}` is damaged" in text_of(app)
    app.button(key=f"delete-now-{bad.record.id}").click().run()
    assert not app.exception and "is damaged" not in text_of(app)
    assert store.find().cases == (good,)


def test_a_search_of_too_many_words_is_a_sentence(store: CaseStore) -> None:
    store.save(saved_case(1))
    app = open_app(PAGE)
    app.text_input(key="case-search").set_value(" ".join(f"w{n}" for n in range(300))).run()
    assert not app.exception and "at most 200 different words" in text_of(app)


def test_a_cancelled_case_is_not_saved_as_something_else(store: CaseStore) -> None:
    app = open_app(**ATTACKED)
    app.session_state["given-up"] = app.session_state["case"]
    app = save_here(app, "", "")
    assert any("has not been run" in error.value for error in app.error)
    assert store.find().total == 0


def test_cases_are_listed_searched_and_narrowed_by_tag(store: CaseStore) -> None:
    for number, tags in ((1, ("one",)), (2, ("one", "two")), (3, ())):
        store.save(saved_case(number, f"note {number}", tags, attacked=number != 3))
    app = open_app(PAGE)
    assert not app.exception and not app.error
    text = text_of(app)
    assert "3 cases, the latest first" in text
    assert text.index("Test image 3") < text.index("Test image 2") < text.index("Test image 1")
    assert "3 of 4 detectors notice, at 5 % false alarms." in text
    app.text_input(key="case-search").set_value("note 2").run()
    assert "1 case, the latest first" in text_of(app) and "Test image 3" not in text_of(app)
    app.text_input(key="case-search").set_value("").run()
    app.multiselect(key="case-tags").set_value(["one"]).run()
    assert "2 cases" in text_of(app)
    app.text_input(key="case-search").set_value("absent").run()
    assert "No saved case fits" in text_of(app)


def test_notes_and_tags_are_shown_as_they_were_written(store: CaseStore) -> None:
    store.save(saved_case(1, "**bold** <b>x</b> $a$", ("[a](http://b)",)))
    app = open_app(PAGE)
    assert not app.exception
    assert [text.value for text in app.get("text")] == ["**bold** <b>x</b> $a$"]
    assert r"\[a\]\(http\://b\)" in text_of(app)


def test_an_opened_case_shows_the_numbers_that_were_saved(store: CaseStore) -> None:
    saved = saved_from(save_here(open_app(**ATTACKED), "", ""), store)
    app = open_app(PAGE)
    app.button(key=f"open-{saved.record.id}").click().run()
    assert not app.exception and not app.error
    assert app.query_params["image"] == "test-167" and app.query_params["attack"].startswith("pgd~eps~0.2~")
    text = text_of(app)
    assert "Every number is as it was saved." in text
    assert "3 of 4 detectors notice the attacked image, at 10 % false alarms." in text


@pytest.mark.parametrize(
    ("bundle_id", "entropy", "said"),
    [
        ("0" * 64, 0.0, "has been built again since; the numbers are still the same"),
        ("0" * 64, 0.5, "has been built again since. Other numbers than saved: natural mean_entropy."),
        ("f" * 64, 0.5, "UTC. Other numbers than saved: natural mean_entropy."),
    ],
)
def test_an_opened_case_says_what_differs(store: CaseStore, bundle_id: str, entropy: float, said: str) -> None:
    saved = saved_from(save_here(open_app(**ATTACKED), "", ""), store)
    store.delete(saved.record.id)
    numbers = saved.record.numbers
    natural = replace(numbers.natural, mean_entropy=numbers.natural.mean_entropy + entropy)
    record = replace(saved.record, bundle_id=bundle_id, numbers=replace(numbers, natural=natural))
    store.save(replace(saved, record=record))
    app = open_app(PAGE)
    assert ("another build than the one here" in text_of(app)) == (bundle_id != "f" * 64)
    app.button(key=f"open-{record.id}").click().run()
    assert said in text_of(app)


def test_an_image_that_is_not_here_travels_along(
    store: CaseStore,
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine,
) -> None:
    saved = saved_case(1)  # an image of the person's own, under the id of a training image
    store.save(saved)
    app = open_app(PAGE)
    app.button(key=f"open-{saved.record.id}").click().run()
    assert not app.exception and not app.error and not app.warning
    assert app.query_params["image"].startswith("png-")
    shown = next(arguments["image"] for task, arguments in reversed(engine.submitted) if task == "attack")
    assert np.array_equal(shown, read_png(saved.natural_png))


def test_a_case_of_another_shape_is_refused_in_a_sentence(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = saved_case(1)
    store.save(replace(saved, record=replace(saved.record, settings=replace(saved.record.settings, bundle="cifar10"))))
    show(monkeypatch, FakeBundle(colour=True))
    app = open_app(PAGE)
    app.button(key=f"open-{saved.record.id}").click().run()
    assert not app.exception
    assert ["another shape" in error.value for error in app.error] == [True]


def test_two_ticked_cases_stand_side_by_side(store: CaseStore) -> None:
    first, second, third = saved_case(1), saved_case(2, attacked=False), saved_case(3)
    for saved in (first, second, third):
        store.save(saved)
    app = open_app(PAGE)
    app.checkbox(key=f"compare-{first.record.id}").check().run()
    assert "Stored numbers" in text_of(app)
    app.checkbox(key=f"compare-{second.record.id}").check().run()
    text = text_of(app)
    assert "Side by side" in text and "**3 of 5** detectors say something else of the two" in text
    table = app.dataframe[0].value
    for name, saved in (("left", first), ("right", second)):
        scores = [f"{verdict.score:.4g}" for verdict in saved.record.numbers.judged.verdicts]
        assert table[f"{name}: score"].tolist()[1:] == scores
    app.checkbox(key=f"compare-{third.record.id}").check().run()
    ticked = [app.checkbox(key=f"compare-{saved.record.id}").value for saved in (first, second, third)]
    assert ticked == [False, True, True], "a third case takes the place of the first"


def test_deleting_asks_first(store: CaseStore) -> None:
    gone, kept = saved_case(1), saved_case(2)
    store.save(gone)
    store.save(kept)
    app = open_app(PAGE)
    app.checkbox(key=f"compare-{gone.record.id}").check().run()
    assert store.find().total == 2
    app.button(key=f"delete-now-{gone.record.id}").click().run()
    assert not app.exception and not app.error
    assert store.find().cases == (kept,)
    assert "The case is deleted." in text_of(app) and "Stored numbers" not in text_of(app)


def test_a_zip_is_imported_once(store: CaseStore) -> None:
    saved = saved_case(4, "from elsewhere", ("far",))
    app = open_app(PAGE)
    app.file_uploader(key="case-zip").upload("case.zip", to_zip(saved)).run()
    assert not app.exception and not app.error
    assert "Imported: Test image 4." in text_of(app)
    assert store.get(saved.record.id) == saved
    again = open_app(PAGE)
    again.file_uploader(key="case-zip").upload("case.zip", to_zip(saved)).run()
    assert [error.value for error in again.error] == [
        "This case is among the saved ones already. Nothing was imported."
    ]


def test_a_hostile_zip_leaves_nothing(store: CaseStore) -> None:
    app = open_app(PAGE)
    app.file_uploader(key="case-zip").upload("case.zip", b"PK no zip").run()
    assert [error.value for error in app.error] == ["This file is no readable zip of a case. Nothing was imported."]
    assert store.find().total == 0


def test_where_saving_is_switched_off_cases_can_be_read_only(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = saved_case(1)
    store.save(saved)
    monkeypatch.setenv("TELLTALE_SAVE_CASES", "off")
    app = open_app(PAGE)
    assert not app.exception and not app.error
    assert "switched off" in text_of(app) and saved.record.title in text_of(app)
    keys = {widget.key for kind in ("button", "text_area", "file_uploader") for widget in app.get(kind)}
    assert f"open-{saved.record.id}" in keys
    assert not keys & {f"delete-now-{saved.record.id}", "save-note", "case-zip"}


def test_a_store_that_cannot_be_opened_is_one_sentence(
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TELLTALE_CASES", str(tmp_path))
    app = open_app(PAGE)
    assert not app.exception
    assert ["cannot be opened" in error.value for error in app.error] == [True]


def test_many_cases_fill_several_pages(store: CaseStore) -> None:
    for number in range(9):
        store.save(saved_case(number))
    app = open_app(PAGE)
    assert not app.exception
    titles = [element.value for element in app.markdown if element.value.startswith("**Test image")]
    assert len(titles) == 8 and "Test image 0" not in " ".join(titles)
    app.session_state["case-page"] = 2
    app.run()
    assert "Test image 0" in text_of(app) and "Test image 8" not in text_of(app)
    app.text_input(key="case-search").set_value("pgd").run()
    assert "Test image 8" in text_of(app), "a search starts at its first page"


def test_a_page_that_somebody_else_emptied_gives_way_to_the_first(store: CaseStore) -> None:
    for number in range(9):
        store.save(saved_case(number))
    app = open_app(PAGE)
    app.session_state["case-page"] = 2
    (last,) = store.find(first=8).cases
    store.delete(last.record.id)
    app.run()
    assert not app.exception
    assert "8 cases" in text_of(app) and "Test image 8" in text_of(app)


def test_settings_that_are_no_longer_accepted_fall_back_with_a_sentence(store: CaseStore) -> None:
    saved = saved_case(1)
    settings = replace(saved.record.settings, attack="of-a-newer-version", alpha=0.5)
    store.save(replace(saved, record=replace(saved.record, settings=settings)))
    app = open_app(PAGE)
    app.button(key=f"open-{saved.record.id}").click().run()
    assert not app.exception and not app.error
    said = " ".join(warning.value for warning in app.warning)
    assert "an attack that does not exist here" in said and "must be a number in" in said


def test_a_report_has_the_training_images_and_a_link_to_its_case(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = saved_case(4)
    html = case_report.report_of(case, "https://host/team/?old=1").decode()
    assert html.count("<li><img") == 24 and "joined to its nearest, most helpful, most harmful ones" in html
    (address,) = re.findall(r'href="([^"]+)"', html)
    address = unescape(address)
    assert address.startswith("https://host/team/?") and "old" not in address
    reached = dict(parse_qsl(urlsplit(address).query))
    assert reached == cases.to_case(case).to_query()
    monkeypatch.setattr(engine, "problem", "Too much is waiting.")
    without = case_report.report_of(case, "?").decode()
    assert "Left out: the model" in without and "href" not in without
    bundle.id = "0" * 64
    asked = len(engine.submitted)
    assert "Left out: the model" in case_report.report_of(case, "?").decode() and len(engine.submitted) == asked
