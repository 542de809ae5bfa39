"""Why an image is misread, and what its label is worth, in sentences that are read off the very figures beside them.

Every word that takes a side ("agree with the reading", "doubtful") has a condition here on the counts that stand
in the same sentence, so no sentence can contradict its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from telltale.model_errors.reasons import LIKELY_LABEL_ERROR


class Side(Enum):
    """What more than half of the neighbours carry."""

    LABEL = "label"
    OTHER = "other"
    NEITHER = "neither"


@dataclass(frozen=True)
class Votes:
    """How the k nearest images of one image vote on two classes.

    Attributes
    ----------
    label, other : str
        The label that the image was given, and the class that competes with it.
    own, others : int
        How many of the neighbours carry each.
    k : int
        Of how many; those that are left carry neither.
    """

    label: str
    other: str
    own: int
    others: int
    k: int

    @property
    def side(self) -> Side:
        """What more than half of them carry."""
        if 2 * self.own > self.k:
            return Side.LABEL
        return Side.OTHER if 2 * self.others > self.k else Side.NEITHER

    @property
    def against(self) -> int:
        """How many carry another label than the image's."""
        return self.k - self.own


def votes_of(label: str, other: str, own_share: float, other_share: float, k: int) -> Votes:
    """Return the counts behind two shares of k neighbours."""
    return Votes(label, other, round(k * own_share), round(k * other_share), k)


def why_misread(votes: Votes, departure: str | None, departs: bool) -> str:
    """Return in one sentence what the evidence says of a misread image.

    Parameters
    ----------
    votes : Votes
        `other` is the class that it is read as.
    departure : str or None
        Layer from which, up to the last, it is nearer to the class that it is read as; None for none.
    departs : bool
        Whether departures are known of this image.
    """
    read, labelled = (votes.others, votes.other), (votes.own, votes.label)
    first, second = (labelled, read) if votes.side is Side.LABEL else (read, labelled)
    counts = f"{_are(*first, votes.k)}, {_are(*second)}"
    opening = {
        Side.OTHER: f"Most neighbours agree with the reading ({counts})",
        Side.LABEL: f"Most neighbours agree with the label ({counts})",
        Side.NEITHER: f"Neither class has most of its neighbours ({counts})",
    }[votes.side]
    if not departs:
        return f"{opening}."
    if departure is not None:
        link = "but" if votes.side is Side.LABEL else "and"
        return f"{opening}, {link} it stays nearer to {votes.other} from {departure} on."
    return f"{opening}; its path does not end nearer to {votes.other}, so the last step decides."


def label_conclusion(score: float) -> str:
    """Return what the label-error score of a misread image concludes, with the score."""
    if score >= LIKELY_LABEL_ERROR:
        written = f"label-error score {score:.2f}, at least {LIKELY_LABEL_ERROR}"
        return f"The label is doubtful, look whether it is wrong: {written}."
    shown = min(round(score, 2), LIKELY_LABEL_ERROR - 0.01)  # rounding must not lift it onto the threshold
    return f"Not enough to doubt the label: label-error score {shown:.2f}, under {LIKELY_LABEL_ERROR}."


def what_neighbours_say(votes: Votes) -> str:
    """Return in one sentence how the neighbours of a training image vote on its label.

    Parameters
    ----------
    votes : Votes
        `other` is the most frequent other label, which means nothing where none of them carries it.
    """
    if votes.own == votes.k:
        return f"All {votes.k} neighbours carry its label {votes.label}."
    counts = f"{_are(votes.own, votes.label, votes.k)}, {_are(votes.others, votes.other)}"
    if votes.side is Side.LABEL:
        return f"Most neighbours agree with its label: {counts}."
    if votes.others > votes.own:
        return f"Its neighbours favour {votes.other}: {counts}."
    return f"Its neighbours are divided: {counts}."


def suspicion_conclusion(votes: Votes, self_influence: float) -> str:
    """Return what the two signs of a wrong label conclude of a training image, with the number that this rests on.

    Parameters
    ----------
    votes : Votes
    self_influence : float
        In nats.
    """
    if 2 * votes.against > votes.k:
        return (
            f"The label is doubtful, look whether it is wrong: {votes.against} of {votes.k} neighbours contradict it."
        )
    if votes.against == 0:
        return f"Nothing but its self-influence ({self_influence:.2g} nats) speaks against the label."
    verb = "contradicts" if votes.against == 1 else "contradict"
    return (
        f"Not enough to doubt the label: {votes.against} of {votes.k} neighbours {verb} it, "
        f"self-influence {self_influence:.2g} nats."
    )


def _are(count: int, name: str, of: int | None = None) -> str:
    """Return "3 of 20 are cat", "1 is dog", "none is frog"."""
    number = str(count or ("none" if of is None else 0))
    return f"{number}{'' if of is None else f' of {of}'} {'is' if count == 1 or number == 'none' else 'are'} {name}"
