"""What a stored study of success after rejection says, in sentences that name no attacker who was not tried."""

from __future__ import annotations

from collections.abc import Sequence

from telltale.attacks.methods.adaptive import BOTH
from telltale.base.parameters import JOINT
from telltale.detectors.fusion import FUSED
from telltale.scores.rejection import ADAPTIVE, NONE, WORST, Knowledge, Success
from telltale.scores.titles import attack_title, detector_title, percent
from telltale.studies.rejection.results import Origin

EFFORTS = {"steps": "steps", "restarts": "runs", "queries": "queries"}


def title_of(origin: Origin) -> str:
    """Return the headline of what was shown: it names the attackers, and no more of them than were tried."""
    if origin.detector is None:
        return "How it is beaten, against attackers who do not know it"
    if origin.detector == FUSED:
        return "How it is beaten, by attackers who do not know it and by one who does"
    return f"How it is beaten, against attackers who do not know it and one who knows only {_known(origin.detector)}"


def sentences(successes: Sequence[Success], origin: Origin) -> tuple[str, ...]:
    """Say what each kind of attacker achieves at the budget that suits it best, and what was not tried.

    Parameters
    ----------
    successes : sequence of Success
        At one alpha, of the study's whole table.
    origin : Origin
    """
    blind, knowing = _strongest(successes, NONE), _strongest(successes, ADAPTIVE)
    said = []
    if blind is not None:
        said.append(f"Attackers who do not know the detectors get {_achieved(blind)}")
    if knowing is not None and origin.detector is not None:
        said.append(f"An attacker who knows {_known(origin.detector)} gets {_achieved(knowing)}")
    if knowing is None or origin.detector is None:
        said.append(
            "All of this is against attackers who do not know it. One who knows the detectors has not been tried, and "
            "should be expected to do better."
        )
    elif origin.detector != FUSED:
        said.append(
            f"The attacker who knows hides from {_known(origin.detector)} alone, while the fused verdict rejects: one "
            "who hides from the fused verdict has not been tried."
        )
    return tuple(said)


def effort(origin: Origin) -> str:
    """Say how hard those who know the detectors have tried: steps, runs and queries, as far as each has them."""
    said = []
    for attack, parameters in origin.parameters.items():
        if "detector" in parameters:
            counts = [f"{parameters[key]:,} {word}" for key, word in EFFORTS.items() if key in parameters]
            ways = ", each with weighted and with orthogonal steps" if parameters.get("aims") == BOTH else ""
            said.append(f"{attack_title(attack)}: {', '.join(counts)}{ways}")
    return "; ".join(said)


def _strongest(successes: Sequence[Success], knowledge: Knowledge) -> Success | None:
    """Return the worst case of an attacker at its best budget; the only attack where there is just one."""
    known = [success for success in successes if success.knowledge == knowledge]
    worst = [success for success in known if success.attack == WORST]
    return max(worst or known, key=lambda success: success.after.share, default=None)


def _achieved(success: Success) -> str:
    low, high = success.after.interval
    how = "by whatever succeeds on an image" if success.attack == WORST else f"by {attack_title(success.attack)}"
    return (
        f"{percent(success.after.share)} of {success.after.total:,} images past the model and the fused verdict "
        f"({percent(low)} to {percent(high)}), {how}, at ε = {success.eps}/255; without rejection it would be "
        f"{percent(success.before.share)}."
    )


def _known(detector: str) -> str:
    return "the fused verdict" if detector == FUSED else " and ".join(map(detector_title, detector.split(JOINT)))
