"""What evidence costs: ratios worked out by hand, and a clock that only the parts themselves move on."""

from __future__ import annotations

import pytest

from support.shipped import shipped
from telltale.analysis.costs import RANDOM_PIXELS, TEST_IMAGES, Costs, Round, costs_of, measure_costs
from telltale.kinds.registry import KINDS
from telltale.models.classifier import Classifier
from telltale.scores.controls import CONTROLS


def test_each_repetition_is_divided_by_its_own_forward_pass_before_the_median() -> None:
    rounds = [
        Round(0.002, 0.003, {"stability": 0.010, "twin": 0.002}, {"one": 0.002, "fused": 0.004}),
        Round(0.001, 0.002, {"stability": 0.009, "twin": 0.003}, {"one": 0.001, "fused": 0.008}),
        Round(0.004, 0.004, {"stability": 0.008, "twin": 0.004}, {"one": 0.040, "fused": 0.004}),
    ]
    found = costs_of(rounds, {"one": ("stability", "neighbours"), "fused": ("stability", "neighbours", "twin")}, "x")
    assert found.forward_ms == pytest.approx(2.0) and found.repeats == 3
    assert found.trace == pytest.approx(1.5)  # of 1.5, 2 and 1
    assert found.kinds == pytest.approx({"stability": 5.0, "twin": 1.0})  # of 5, 9 and 2; of 1, 3 and 1
    assert found.detectors == pytest.approx({"one": 10.0, "fused": 8.0})  # of 6, 10 and 12; of 8, 20 and 4


def test_a_detector_pays_for_what_it_reads_and_the_verdict_for_everything_once(monkeypatch) -> None:
    loaded, time = shipped(), {"now": 0.0}

    def slower(owner: object, method: str, seconds: float) -> None:
        original = getattr(owner, method)

        def work(*arguments, **named):
            time["now"] += seconds
            return original(*arguments, **named)

        monkeypatch.setattr(owner, method, work)

    slower(Classifier, "logits_of", 2.0)
    measured = {"response": 6.0, "squeezing": 8.0, "stability": 10.0}
    for kind, seconds in measured.items():
        slower(KINDS[kind], "observe", seconds)
    scoring = {name: float(place) for place, name in enumerate(loaded.detectors, start=1)}
    for name, seconds in scoring.items():
        slower(loaded.detectors[name], "_score", seconds)
    found = measure_costs(loaded, 2, now=lambda: time["now"])
    # Squeezing and stability read the image again and again through the same pass, which takes its time there as well.
    again = {kind: ratio - measured[kind] / 2.0 for kind, ratio in found.kinds.items() if kind in measured}
    assert again["response"] == 0.0 and all(passes == int(passes) for passes in again.values())
    assert found.forward_ms == 2000.0 and found.pictures == TEST_IMAGES and found.repeats == 2
    for name, seconds in scoring.items():
        reads = loaded.detectors[name].reads
        assert found.of(name) == pytest.approx(seconds / 2.0 + sum(found.kinds.get(kind, 0.0) for kind in reads)), name
    whole = sum(scoring.values()) / 2.0 + sum(found.kinds[kind] for kind in measured)
    assert found.of("fused") == pytest.approx(whole) == found.of("error_score")
    assert all(found.of(name) == 0.0 for name in CONTROLS) and found.of("nobody") is None


def test_without_the_data_set_random_pixels_are_looked_at(monkeypatch) -> None:
    loaded = shipped()
    monkeypatch.setitem(vars(loaded.bundle), "_data", (None, "nowhere"))
    found = measure_costs(loaded, 1)
    assert found.pictures == RANDOM_PIXELS and RANDOM_PIXELS in found.sentence()
    assert set(found.detectors) == {*loaded.detectors, "fused"}


@pytest.mark.parametrize(("ratio", "said"), [(0.04, "0.04"), (5.26, "5.26"), (13.46, "13.5"), (204.4, "204")])
def test_costs_are_said_in_four_letters(ratio, said) -> None:
    costs = Costs(1.0, 1.0, {}, {"lid": ratio}, 3, TEST_IMAGES)
    assert costs.said_of("lid") == said and costs.said_of("dknn") == "" and costs.said_of("random") == "0.00"
