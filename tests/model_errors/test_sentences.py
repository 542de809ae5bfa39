"""No sentence on a misread image or a doubtful label contradicts the figures of its row."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

from support.shipped import shipped
from telltale.kinds.trajectory import NO_LAYER
from telltale.model_errors.evaluated import evaluated_images
from telltale.model_errors.reasons import ErrorReasons, explain_errors
from telltale.model_errors.sentences import (
    Votes,
    label_conclusion,
    suspicion_conclusion,
    votes_of,
    what_neighbours_say,
    why_misread,
)
from telltale.model_errors.suspicious import SuspiciousImages, suspicious_images

K = 20
EVERY = [(own, others) for own in range(K + 1) for others in range(K + 1 - own)]
COUNT = r"(\d+|none)(?: of (\d+))? (?:is|are) (\w+)"


def counts_in(sentence: str) -> dict[str, float]:
    """Return the share that a sentence gives every class that it counts."""
    found = re.findall(COUNT, sentence)
    k = int(next(of for _, of, _ in found if of))
    return {name: (0 if number == "none" else int(number)) / k for number, _, name in found}


def check_why(sentence: str, label: str, read: str, shares: tuple[float, float]) -> None:
    """Hold what a sentence says of a misread image against its neighbours' shares of label and read class."""
    assert counts_in(sentence) == pytest.approx({label: shares[0], read: shares[1]})
    largest = max((shares[0], "agree with the label"), (shares[1], "agree with the reading"))
    assert (f"Most neighbours {largest[1]}" in sentence) == (largest[0] > 0.5)
    assert ("Neither class has most" in sentence) == (largest[0] <= 0.5)


def check_neighbours(sentence: str, label: str, other: str, shares: tuple[float, float]) -> None:
    """Hold what a sentence says of a training image against its neighbours' shares of its label and the other one."""
    own, others = shares
    if own == 1.0:
        assert re.fullmatch(rf"All \d+ neighbours carry its label {label}\.", sentence)
        return
    assert others > 0.0 and counts_in(sentence) == pytest.approx({label: own, other: others})
    assert ("agree with its label" in sentence) == (own > 0.5)
    assert (f"favour {other}" in sentence) == (others > own)
    assert ("divided" in sentence) == (others <= own <= 0.5)


def check_doubt(sentence: str, own: float, self_influence: float) -> None:
    """Hold what is concluded of a training image against the share of its label and its self-influence."""
    assert ("The label is doubtful" in sentence) == (own < 0.5)
    if counted := re.search(r"(\d+) of (\d+) neighbours contradicts? it", sentence):
        assert int(counted[1]) / int(counted[2]) == pytest.approx(1.0 - own)
    else:
        assert own == 1.0 and "Nothing but its self-influence" in sentence
    if written := re.search(r"([\d.e-]+) nats", sentence):
        assert float(written[1]) == pytest.approx(self_influence, rel=0.06)


@functools.cache
def reasons() -> ErrorReasons:
    return explain_errors(shipped(), lambda *_: None)


@functools.cache
def ranked() -> SuspiciousImages:
    return suspicious_images(shipped().reference, lambda *_: None)


def test_no_sentence_on_an_error_of_the_digits_contradicts_its_row() -> None:
    bundle, found = shipped().bundle, reasons()
    errors = evaluated_images(bundle.scores).errors()
    assert len(found) == len(errors) > 0
    for row in range(len(errors)):
        label, read = (bundle.class_names[int(of[row])] for of in (errors.labels, errors.predictions))
        shares = float(found["true_share"][row]), float(found["predicted_share"][row])
        layer = int(found["departures"][row])
        departure = None if layer == NO_LAYER else bundle.layers[layer]
        sentence = why_misread(votes_of(label, read, *shares, found["k"]), departure, True)
        check_why(sentence, label, read, shares)
        assert (f"stays nearer to {read} from {departure} on" in sentence) == (layer != NO_LAYER)
        assert (f"does not end nearer to {read}" in sentence) == (layer == NO_LAYER)
        concluded = label_conclusion(float(found["label_error"][row]))
        written = float(re.findall(r"score (\d\.\d\d)", concluded)[0])
        assert written == pytest.approx(found["label_error"][row], abs=0.01)
        assert ("The label is doubtful" in concluded) == (found["label_error"][row] >= 0.9) == (written >= 0.9)


def test_no_sentence_on_a_training_image_of_the_digits_contradicts_its_row() -> None:
    names, found = shipped().bundle.class_names, ranked()
    assert len(found) == len(shipped().bundle.splits.train)
    for row in range(len(found)):
        label, other = names[int(found.labels[row])], names[int(found.neighbour_labels[row])]
        own, others = 1.0 - float(found.disagreement[row]), float(found.neighbour_shares[row])
        votes = votes_of(label, other, own, others, found.k)
        influence = float(found.self_influence[row])
        check_neighbours(what_neighbours_say(votes), label, other, (votes.own / K, votes.others / K))
        assert (votes.own / K, votes.others / K) == pytest.approx((own, others), abs=1e-6)
        check_doubt(suspicion_conclusion(votes, influence), votes.own / K, influence)


def test_nor_does_any_at_counts_that_no_row_of_the_digits_has() -> None:
    for own, others in EVERY:
        votes, shares = Votes("cat", "dog", own, others, K), (own / K, others / K)
        for departure, departs in (("stem", True), (None, True), (None, False)):
            check_why(why_misread(votes, departure, departs), "cat", "dog", shares)
        if (others == 0) == (own == K):  # `other` is the most frequent one: none only where all carry the label
            check_neighbours(what_neighbours_say(votes), "cat", "dog", shares)
            check_doubt(suspicion_conclusion(votes, 0.0625), own / K, 0.0625)


@pytest.mark.parametrize(
    ("score", "wrong", "written"), [(0.8999, False, "0.89"), (0.9, True, "0.90"), (0.0, False, "0.00")]
)
def test_rounding_lifts_no_score_onto_the_threshold(score: float, wrong: bool, written: str) -> None:
    said = label_conclusion(score)
    assert ("The label is doubtful" in said) == wrong and f"label-error score {written}," in said


def test_a_label_that_is_called_doubtful_has_few_neighbours() -> None:
    """Both doubts must be large for a score of 0.9, so the neighbours cannot side with the label at the same time."""
    from telltale.evidence.label_doubt import class_shares, label_error_score

    draws = np.random.default_rng(0)
    drawn = draws.integers(0, 3, (500, K))
    from_none_to_all_but_one = np.where(np.arange(K)[:, None] > np.arange(K), 0, 1)
    near = np.concatenate([drawn, from_none_to_all_but_one])
    sure = np.tile([0.0, 1.0, 0.0], (len(near), 1))
    labels = np.zeros(len(near), dtype=np.int64)
    shares = class_shares(near, 3)
    doubted = label_error_score(sure, shares, labels) >= 0.9
    assert doubted.any() and not doubted.all()
    assert (shares[doubted, 0] <= 0.2).all(), "votes.side is never the label there"
