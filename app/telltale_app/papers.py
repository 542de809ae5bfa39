"""The five papers whose methods the pages show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One paper.

    Attributes
    ----------
    title, authors, venue : str
    year : int
    gives : str
        What Telltale takes from it.
    """

    title: str
    authors: str
    venue: str
    year: int
    gives: str

    @property
    def reference(self) -> str:
        """Authors, title, venue and year in one Markdown line."""
        return f"{self.authors}. *{self.title}*. {self.venue}, {self.year}."


KNN = Paper(
    "Detecting adversarial example attacks to deep neural networks",
    "F. Carrara, F. Falchi, R. Caldelli, G. Amato, R. Fumarola, R. Becarelli",
    "CBMI",
    2017,
    "kNN score: the weighted share of the predicted class among the nearest training images",
)
TRAJECTORY = Paper(
    "Adversarial examples detection in features distance spaces",
    "F. Carrara, R. Becarelli, R. Caldelli, F. Falchi, G. Amato",
    "ECCV Workshops",
    2018,
    "trajectories: distances to class pivots, layer by layer, read by an LSTM or a perceptron",
)
DENSITY = Paper(
    "Robust detection of adversarial attacks by modeling the intrinsic properties of deep neural networks",
    "Z. Zheng, P. Hong",
    "NeurIPS",
    2018,
    "hidden-state density: one Gaussian mixture per class (I-defender)",
)
INFLUENCE = Paper(
    "Detecting adversarial samples using influence functions and nearest neighbors",
    "G. Cohen, G. Sapiro, R. Giryes",
    "CVPR",
    2020,
    "influence of every training image, and where the most influential ones lie among the neighbours (NNIF)",
)
RESPONSE = Paper(
    "Trace and detect adversarial attacks on CNNs using feature response maps",
    "M. Amirian, F. Schwenker, T. Stadelmann",
    "ANNPR",
    2018,
    "feature responses and their mean local entropy",
)
PAPERS = (KNN, TRAJECTORY, DENSITY, INFLUENCE, RESPONSE)
