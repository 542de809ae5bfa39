"""Where the fused verdict stands: beside the best control and the best single detector, attack by attack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.scores.comparing import MACRO, JointBootstrap, Outcome, PairedComparison
from telltale.scores.controls import CONTROLS
from telltale.scores.table import NATURAL_ERROR
from telltale.scores.titles import attack_title, detector_title, listed

# What is said of the other where this is the outcome for the verdict.
SAID: tuple[tuple[Outcome, str], ...] = (("worse", "does better than"), ("equal", "cannot be told apart from"))


@dataclass(frozen=True)
class Standing:
    """The fused verdict against one set of images, beside the best of the others.

    The best are chosen by their AUC on the same images, which favours them.

    Attributes
    ----------
    attack : str
        "macro" for the mean over the macro attacks; "natural_error" for natural errors, where the fusion's score of
        errors stands for the verdict if it was fitted.
    control, detector : PairedComparison or None
        The verdict first; None where there is no other.
    """

    attack: str
    control: PairedComparison | None
    detector: PairedComparison | None

    def to_json(self) -> dict[str, object]:
        """Return the standing as JSON holds it."""
        return {
            "attack": self.attack,
            "best_control": None if self.control is None else self.control.to_json(),
            "best_detector": None if self.detector is None else self.detector.to_json(),
        }


def standings(
    joint: JointBootstrap,
    detectors: Sequence[str],
    controls: Sequence[str],
    macro_attacks: Sequence[str],
    error_score: bool,
) -> tuple[Standing, ...]:
    """Compare the fused verdict with the best control and the best single detector on every set of images.

    Parameters
    ----------
    joint : JointBootstrap
    detectors, controls : sequence of str
    macro_attacks : sequence of str
        Empty leaves the macro figures out.
    error_score : bool
        Whether the fusion has a score of natural errors.

    Returns
    -------
    tuple of Standing
        Empty where there is no fused verdict.
    """
    if FUSED not in detectors:
        return ()
    single = [name for name in detectors if name != FUSED]
    found = []
    for attack in joint.groups:
        entrant, column = _entrant(attack, error_score)
        others = [_best(names, {name: joint.auc(name, attack) for name in names}) for names in (controls, single)]
        pairs = [None if name is None else joint.compare(entrant, name, attack, column) for name in others]
        found.append(Standing(attack, *pairs))
    if macro_attacks:
        others = [
            _best(names, {name: _total(joint, name, macro_attacks) for name in names}) for names in (controls, single)
        ]
        pairs = [None if name is None else joint.compare_macro(FUSED, name, macro_attacks) for name in others]
        found.append(Standing(MACRO, *pairs))
    return tuple(found)


def ahead(compared: Iterable[PairedComparison]) -> tuple[PairedComparison, ...]:
    """Choose the comparisons in which the other has the larger AUC, beaten or not to be told apart.

    Parameters
    ----------
    compared : iterable of PairedComparison
        The verdict first.

    Returns
    -------
    tuple of PairedComparison
        Attack by attack in the order given, the largest lead first.
    """
    found = [pair for pair in compared if pair.auc.value < 0.0]
    order = list(dict.fromkeys(pair.attack for pair in found))
    return tuple(sorted(found, key=lambda pair: (order.index(pair.attack), pair.auc.value)))


def all_ahead(
    joint: JointBootstrap,
    detectors: Sequence[str],
    controls: Sequence[str],
    macro_attacks: Sequence[str],
    error_score: bool,
) -> tuple[PairedComparison, ...]:
    """Compare the fused verdict with every detector and control that has a larger AUC, on every set of images.

    The parameters are those of `standings`; only what is ahead is resampled.
    """
    if FUSED not in detectors:
        return ()
    others = [name for name in (*detectors, *controls) if name != FUSED]
    found = []
    if macro_attacks:
        means = {name: _total(joint, name, macro_attacks) for name in (FUSED, *others)}
        names = [name for name in others if means[name] > means[FUSED]]
        found += [joint.compare_macro(FUSED, name, macro_attacks) for name in names]
    for attack in joint.groups:
        entrant, column = _entrant(attack, error_score)
        own = joint.auc(entrant, attack, column)
        names = [name for name in others if joint.auc(name, attack) > own]
        found += [joint.compare(entrant, name, attack, column) for name in names]
        if entrant != FUSED and joint.auc(FUSED, attack) > own:
            found.append(joint.compare(entrant, FUSED, attack, column))
    return ahead(found)


def ahead_sentence(found: Sequence[PairedComparison]) -> str:
    """Say how often something else is ahead of the fused verdict."""
    if not found:
        return "No detector and no control has a larger AUC than the fused verdict on any attack."
    beaten = sum(pair.auc.outcome == "worse" for pair in found)
    sure = f"In {beaten} of these {len(found)} pairs" if len(found) > 1 else f"In {beaten} of this 1 pair"
    return f"{sure} the 95 % interval of the difference leaves 0 out: there the fused verdict is beaten."


def _entrant(attack: str, error_score: bool) -> tuple[str, str | None]:
    """Return what stands for the verdict against one set of images, and the column of its scores if it is its own."""
    return (ERROR_SCORE, ERROR_SCORE) if error_score and attack == NATURAL_ERROR else (FUSED, None)


def _total(joint: JointBootstrap, name: str, attacks: Sequence[str]) -> float:
    return sum(joint.auc(name, attack) for attack in attacks)


def _best(names: Sequence[str], areas: dict[str, float]) -> str | None:
    return max(names, key=lambda name: areas[name], default=None)


def standing_sentences(found: Sequence[Standing]) -> tuple[str, ...]:
    """Say in plain words what beats the fused verdict, what equals it, and where it is ahead, by AUC."""
    controls = _sentences([standing.control for standing in found], "the best control")
    return (*controls, *_sentences([standing.detector for standing in found], "the best single detector"))


def _sentences(pairs: Iterable[PairedComparison | None], best: str) -> list[str]:
    known = [pair for pair in pairs if pair is not None]
    sentences = []
    for outcome, said in SAID:
        those = [pair for pair in known if pair.auc.outcome == outcome]
        for name in dict.fromkeys(pair.second for pair in those):
            on = listed([where(pair) for pair in those if pair.second == name])
            sentences.append(f"{_alone(name)} alone {said} the fused verdict on {on}.")
    ahead = [where(pair) for pair in known if pair.auc.outcome == "better"]
    if ahead:
        sentences.append(f"The fused verdict does better than {best} on {listed(ahead)}.")
    return sentences


def _alone(name: str) -> str:
    """Return a name as a sentence starts with it; some detectors' begin with a small letter."""
    if name not in CONTROLS:
        return detector_title(name)
    words = CONTROLS[name].words
    return words[:1].upper() + words[1:]


def where(pair: PairedComparison) -> str:
    """Say on which images two were compared, within a sentence."""
    if pair.attack == MACRO:
        return "the macro mean"
    if pair.attack != NATURAL_ERROR:
        return attack_title(pair.attack)
    return "natural errors" + (" (the fusion's own score of them)" if pair.first == ERROR_SCORE else "")
