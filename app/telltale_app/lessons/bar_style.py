"""How the bar of a lesson keeps its place at the top of the window, and what a room sees larger.

Streamlit offers no other way to either for one page, or one person.
"""

from __future__ import annotations

from telltale_app import layout, state

BAR = '[data-testid="stLayoutWrapper"]:has(> .st-key-lesson-bar)'
IN_SIGHT = """
%(bar)s { position: sticky; top: 3.75rem; z-index: 90; padding-block: 0.4rem; background: %(ground)s; }
[data-testid="stMain"] :not(.st-key-lesson-bar, .st-key-lesson-bar *) { scroll-margin-top: var(--lesson-bar, 9rem); }
.st-key-lesson-bar details [data-testid="stExpanderDetails"] { max-height: 32dvh; overflow-y: auto; }
@media (max-width: 40rem) {
  .st-key-lesson-controls { flex-wrap: nowrap; gap: 0.3rem; }
  .st-key-lesson-controls button { padding-inline: 0.4rem; }
  .st-key-lesson-controls button [data-testid="stMarkdownContainer"] {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%%);
  }
  .st-key-lesson-bar details [data-testid="stExpanderDetails"] { max-height: calc(33dvh - 8.2rem); }
}
"""
"""Above charts and chosen buttons, which Streamlit lifts. What the step says scrolls within it where it is long, so
that the page below keeps most of the window: on a telephone two thirds, where the buttons show their icons alone.
Whatever is jumped to keeps clear of the bar by a margin of its own: a padding of the page would count for what stands
in the bar as well, and scroll the page up for it."""
BEFORE_A_ROOM = """
html { font-size: %(scale)s; }
[data-testid="stSidebar"], [data-testid="stHeader"] { display: none; }
[data-testid="stMainBlockContainer"] { padding-top: 0; }
%(bar)s { top: 0; padding-block: 0.1rem; }
.st-key-lesson-controls { flex-wrap: nowrap; }
.st-key-lesson-controls p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
"""
"""Streamlit sets its sizes relative to the root's."""


def style(presenting: bool) -> str:
    """Return the style sheet of a page with the bar, as HTML."""
    given = {
        "bar": BAR,
        "ground": layout.theme_colour("backgroundColor"),
        "scale": f"{state.PRESENTER_SCALE:.0%}",
    }
    rules = IN_SIGHT + BEFORE_A_ROOM if presenting else IN_SIGHT
    return f"<style>{rules % given}</style>"
