"""How far to trust influence: what retraining has shown, from the stored study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import InputError
from telltale.figures.scores import Score, score_lines
from telltale.studies.influence_trust.figures import best_possible, method_trusts
from telltale.studies.influence_trust.methods import HEAD
from telltale.studies.influence_trust.results import trust_of
from telltale.studies.influence_trust.words import how, sentences, unmeasured
from telltale_app import layout

if TYPE_CHECKING:
    from telltale.bundle import Bundle


def show_trust(bundle: Bundle) -> None:
    """Show how far influences foretold what retraining gave, or say that it was not measured on these data."""
    try:
        found = trust_of(bundle)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.header("How far to trust influence", anchor=False)
    if found is None:
        st.markdown(unmeasured(bundle.name))
        return
    trusts = method_trusts(found)
    said = " ".join(sentences(found, trusts))
    st.markdown(said)
    scores = [Score(trust.title, trust.score, trust.low, trust.high, trust.method == HEAD) for trust in trusts]
    figure = score_lines(scores, "rank correlation (LDS)", best_possible(found))
    layout.chart(figure, f"Linear datamodeling scores. {said.replace('*', '')}", "influence-lds")
    st.caption(how(found))
