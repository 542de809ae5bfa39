"""Parts that every page has: opening, the case in a strip, charts with a text alternative, how it is computed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from telltale.base.errors import InputError
from telltale.figures.enlarging import enlarged
from telltale_app import catalogue, emphasis, figure_files, scripts, state, words
from telltale_app.analyses import CaseAnalysis, analyse
from telltale_app.link_images import image_words
from telltale_app.papers import Paper

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

    from telltale.analysis.results import Analysis

# The bar of Plotly's own buttons is hidden: what saves a chart presses the one in it.
CHART_CONFIG = {"displayModeBar": True, "modeBarButtons": [["toImage"]], "displaylogo": False, "scrollZoom": False}
PAGE_STYLE = (
    f"<style>{figure_files.STYLE}</style>"
    + """<style>
[data-testid="stMainBlockContainer"] { padding-block: 2.75rem 1rem; }
[data-testid="stElementContainer"]:has(> [data-testid="stHtml"] > span[hidden]:first-child) { display: none; }
[data-testid="stLayoutWrapper"]:has(> [class*="st-key-waiting-"] > :only-child > [data-testid="stEmpty"]) {
  display: none;
}
.st-key-result-record > [data-testid="stLayoutWrapper"] {
  flex: 1 1 20rem;
  &:has(> [data-testid="stExpander"] > details[open]) { flex-basis: 100%; }
}
@media (max-width: 40rem) {
  [data-testid="stMainBlockContainer"] { padding-block: 3.5rem 0.5rem; }
  .st-key-keys { display: none; }
  [class*="st-key-test-image-"] button [data-testid="stMarkdownContainer"] {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  }
  .st-key-result-pictures [data-testid="stHorizontalBlock"]:has(.st-key-picture-attacked) {
    flex-wrap: nowrap; gap: 0.5rem;
    & > [data-testid="stColumn"] { min-width: 0; }
    & [class*="st-key-chart-of-"] { display: none; }
  }
}
</style>"""
)
"""Streamlit leaves 6rem above a page, of which its header takes less than 4, and 10rem below it; and on a telephone it
puts pictures that are to be compared below each other. Side by side, their likeliest classes have no room. What
showed progress leaves an empty frame, which would leave a gap."""
MAP_CONFIG = {
    "displaylogo": False,
    "scrollZoom": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}


def opening(title: str, sentence: str) -> None:
    """Open a page: its title, one sentence on what is seen, and what was wrong with the link, if anything."""
    st.title(title, anchor=False)
    st.markdown(sentence)
    for warning in st.session_state.get("case_warnings", ()):
        st.warning(warning, icon=":material/link_off:")


def chart(figure: Any, alt: str, key: str, movable: bool = False) -> None:
    """Show a figure in the page's own text colour; `alt` states what it says."""
    placed(legible(figure, theme_colour("textColor")), alt, key, MAP_CONFIG if movable else CHART_CONFIG)


def placed(figure: Any, alt: str, key: str, config: dict[str, Any], **selecting: Any) -> None:
    """Show a figure as it is, with the button that saves it; the presenter view shows it larger, as it does the type.

    Parameters
    ----------
    figure : Figure
    alt, key : str
    config : dict
        Plotly's own.
    **selecting : object
        What `st.plotly_chart` is told of points that can be chosen.
    """
    drawn = enlarged(figure, state.PRESENTER_SCALE) if state.presenting() else figure
    with st.container(key=f"chart-of-{key}"):
        st.plotly_chart(drawn, alt=alt, key=key, config=config, **selecting)
        figure_files.save_button(drawn, alt, key)


def legible(figure: Any, colour: str) -> Any:
    """Write a figure's axes and numbers in the page's own text colour, and return it.

    Streamlit's grey for them has a contrast of 3.7 : 1 on a light page, and an interval's over its bar has less. A
    figure that is kept for other sessions is kept once for each colour. Properties are set one by one: Plotly's
    `update` methods take three times as long.
    """
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        axis.tickfont.color = colour
        axis.title.font.color = colour
    for bars in figure.select_traces({"type": "bar"}):
        if bars.error_x.array is not None:
            bars.error_x.color = colour
    for slider in figure.layout.sliders:
        slider.currentvalue.font.color = colour
    for note in figure.layout.annotations:
        if note.font.color is None:
            note.font.color = colour
    return figure


def theme_colour(name: str) -> str:
    """Return a colour of the theme that the person sees, by its name among Streamlit's options."""
    theme = "dark" if st.context.theme.type == "dark" else "light"
    return str(st.get_option(f"theme.{theme}.{name}"))


def page_link(page: str, label: str, icon: str | None = None) -> None:
    """Link to another page, the case kept in its address."""
    st.page_link(page, label=label, icon=icon, query_params=state.current().to_query())


def copy_link(key: str, link: str, said: str, label: str = "Copy link", hint: str | None = None) -> None:
    """Copy a link at a click, and show it to whoever wants to see it, or whose browser does not copy.

    Parameters
    ----------
    key : str
        Begins with "copies-", by which the browser finds what to copy.
    link, said : str
        What is copied, and what it does.
    label : str
    hint : str, optional
        Shown where the pointer rests.
    """
    with st.container(key=key):
        st.html(f'<span hidden data-copy="{escape(link)}"></span>')
        with st.popover(label, icon=":material/link:", help=hint):
            st.markdown(said)
            st.code(link, language=None, wrap_lines=True)


def folded(title: str, key: str, icon: str) -> ExpanderContainer:
    """Return a section that costs nothing until it is opened: fill it where its `open` says so.

    Parameters
    ----------
    title : str
    key : str
        Also its name in the address, so that a link opens what was open.
    icon : str
        Material symbol.
    """
    return st.expander(f"**{title}**", icon=f":material/{icon}:", key=key, on_change="rerun", bind="query-params")


def how_computed(method: str, paper: Paper | None, choices: str) -> None:
    """Say how the page's numbers come about."""
    with st.expander("How this is computed", icon=":material/function:"):
        st.markdown(method)
        if paper is not None:
            st.markdown(f"**Paper.** {paper.reference}")
        st.markdown(f"**Choices of this project.** {choices}")


def current_analysis(waiting: DeltaGenerator | None = None) -> CaseAnalysis:
    """Analyse the current case; while that takes long, its progress and Cancel stand above a skeleton.

    Parameters
    ----------
    waiting : container, optional
        Where else progress and Cancel are shown.
    """
    slot = st.container() if waiting is None else waiting
    with st.skeleton(height=420), slot:
        return analyse(state.current())


def evidence_case(kind: type[object] | None = None) -> CaseAnalysis:
    """Analyse the current case and say in one strip what it is; offers an attack where there is none.

    The page ends there with the reason where the evidence that it is about, named by the type of its view, is not
    available.
    """
    slot = st.container()
    case = current_analysis()
    with slot.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(case_words(case), width="stretch")
        if case.attack is None:
            st.button(
                "Attack it",
                icon=":material/bolt:",
                type=emphasis.filled(),
                key="strip-attack",
                on_click=state.attack_by_default,
                help=f"Runs {catalogue.attack_title(catalogue.DEFAULT_ATTACK)} with its usual settings.",
            )
        else:
            page_link("app_pages/workbench.py", "Change the case", ":material/science:")
    if kind is not None and unavailable_note(case.natural, kind):
        st.stop()
    return case


def unavailable_note(analysis: Analysis, kind: type[object]) -> bool:
    """Say why a kind of evidence is not available, where it is not; return whether that was so."""
    try:
        analysis.view(kind)
    except InputError as error:
        st.info(f"Not available for this model: {error}", icon=":material/do_not_disturb_on:")
        return True
    return False


def case_words(case: CaseAnalysis) -> str:
    """Return the case in one Markdown sentence."""
    natural = case.natural.prediction
    text = f"**{image_words(case.case.image)}**, read as **{natural.name}** ({words.percent(natural.confidence)})"
    if case.contradicted_label is not None:
        text += f", wrongly: the label says {case.bundle.class_names[case.contradicted_label]}"
    if case.attack is None or case.attacked is None:
        return text + ". It has not been attacked."
    title = catalogue.attack_title(case.attack.attack)
    after = case.attacked.prediction
    if case.fooled:
        return f"{text}. After **{title}** it is read as **{after.name}** ({words.percent(after.confidence)})."
    return f"{text}. **{title}** failed within its budget: still read as **{after.name}**; its best attempt is shown."


def start_at_top(url_path: str) -> None:
    """Open every page at its top: Streamlit stays where the page before was scrolled to.

    The browser runs the script once per visit, as what stands before it changes with each; on a page that stays,
    nothing moves. The script itself is always the same, since the server's headers allow it by its text.
    """
    last, visits = st.session_state.get("page-visit", (None, 0))
    if last != url_path:
        visits += 1
        st.session_state["page-visit"] = (url_path, visits)
    st.html(PAGE_STYLE)
    with st.sidebar:
        scripts.run(scripts.SCROLL_UP, visit=visits)
        scripts.install()
