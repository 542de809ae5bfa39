"""Everything the pages show about the current case, computed by the engine and never kept in the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from telltale.analysis.results import Analysis
from telltale.attacks.base import AttackResult
from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.cases.picture_store import GonePictureError
from telltale_app import catalogue, engine_client, state
from telltale_app.case import Case
from telltale_app.link_images import read_image, true_label

if TYPE_CHECKING:
    from telltale.bundle import Bundle


BRING_IT_BACK = (
    "Upload it once more: the same picture, cut as it was, brings back all that the link says, the attack included."
)


@dataclass(frozen=True)
class CaseAnalysis:
    """The current case with its numbers.

    Attributes
    ----------
    case : Case
    bundle : Bundle
    image : array of float32, shape (C, H, W)
    true_label : int or None
        The data set's own label, where the image comes from it.
    natural : Analysis
    attack : AttackResult or None
        Of one image; None where the case has no attack, or it was cancelled or refused.
    attacked : Analysis or None
        Of the attacked image, also where the attack failed (its best attempt).
    """

    case: Case
    bundle: Bundle
    image: FloatImages
    true_label: int | None
    natural: Analysis
    attack: AttackResult | None
    attacked: Analysis | None

    @property
    def fooled(self) -> bool:
        """Whether the attack reached its aim."""
        return self.attack is not None and bool(self.attack.success[0])

    @property
    def attack_missing(self) -> bool:
        """Whether the case has an attack that was cancelled or refused."""
        return self.case.attack is not None and self.attack is None

    @property
    def contradicted_label(self) -> int | None:
        """The data set's label where the natural image is read as another class; None elsewhere."""
        return None if self.true_label == self.natural.prediction.label else self.true_label

    @property
    def rival(self) -> int | None:
        """The class that the attacked image is taken for, where it differs from the natural one's."""
        if self.attacked is None or self.attacked.prediction.label == self.natural.prediction.label:
            return None
        return self.attacked.prediction.label

    def views(self) -> tuple[tuple[str, Analysis], ...]:
        """Return (name, analysis) of the natural image and, where there is one, of the attacked image."""
        pairs = (("natural", self.natural),)
        return pairs if self.attacked is None else (*pairs, ("attacked", self.attacked))


def analyse(case: Case, announce: bool = True) -> CaseAnalysis:
    """Return the case with its numbers, waiting where people can see it.

    An attack that was cancelled or refused leaves the natural image, with a sentence that says so; any other error
    ends the page with its sentence.

    Parameters
    ----------
    case : Case
    announce : bool
        Whether to say that the case was cancelled; once a page is enough.
    """
    bundle = catalogue.bundle(case.bundle)
    image = _image_or_stop(case, bundle)
    label = true_label(case.image, bundle)
    natural_job = engine_client.submit_analysis(case.bundle, image, case.alpha)
    if engine_client.given_up() and announce:
        engine_client.offer_to_start_again()
    if case.attack is None or engine_client.given_up():
        natural = engine_client.wait_analysis(natural_job, "Analysing the image")
        return CaseAnalysis(case, bundle, image, label, natural, None, None)
    title = catalogue.attack_title(case.attack)
    attack_job = engine_client.submit_attack(
        case.bundle, image, case.attack, dict(case.parameters), case.seed, case.target
    )
    attack = engine_client.wait_attack(attack_job, f"Attacking with {title}")
    if attack is None:
        natural = engine_client.wait_analysis(natural_job, "Analysing the natural image")
        return CaseAnalysis(case, bundle, image, label, natural, None, None)
    attacked_job = engine_client.submit_analysis(case.bundle, attack.images[0], case.alpha)
    natural = engine_client.wait_analysis(natural_job, "Analysing the natural image")
    attacked = engine_client.wait_analysis(attacked_job, "Analysing the attacked image")
    return CaseAnalysis(case, bundle, image, label, natural, attack, attacked)


def _image_or_stop(case: Case, bundle: Bundle) -> FloatImages:
    try:
        return read_image(case.image, bundle)
    except GonePictureError as error:
        st.error(f"{error} {BRING_IT_BACK}", icon=":material/image_not_supported:")
        if st.button("Upload it", icon=":material/upload:", key="upload-again", on_click=state.ask_for_upload):
            st.switch_page("app_pages/workbench.py", query_params=case.to_query())
        st.stop()
    except InputError as error:
        if case.image:
            st.error(str(error), icon=":material/error:")
        else:
            st.info(
                "The images of this model are not on this machine. Upload one on the workbench to go on.",
                icon=":material/upload:",
            )
        st.page_link("app_pages/workbench.py", label="Open the workbench", icon=":material/science:")
        st.stop()
