"""Entry script: the pages, the case beside them, and the address that carries it."""

from __future__ import annotations

import streamlit as st

from telltale.base.errors import InputError
from telltale_app import layout, pins, state
from telltale_app.lessons import course
from telltale_app.lessons.lesson_bar import lesson_bar
from telltale_app.login import require_login
from telltale_app.places import ICON, LOGO
from telltale_app.sidebar import show_sidebar

st.set_page_config(page_title="Telltale", page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
require_login()

page = st.navigation(
    {
        "": [
            st.Page(
                "app_pages/workbench.py",
                title="Workbench",
                icon=":material/science:",
                default=True,
                help="Pick an image, attack it, and see which detectors notice.",
            ),
            st.Page(
                "app_pages/lessons.py",
                title="Lessons",
                icon=":material/school:",
                url_path="lessons",
                help="Learn it in six walks over these pages, five minutes each.",
            ),
        ],
        "Library": [
            st.Page(
                "app_pages/cases.py",
                title="Cases",
                icon=":material/bookmarks:",
                url_path="cases",
                help="What was saved with a note: find, open, compare, export and import it.",
            )
        ],
        "Evidence": [
            st.Page(
                "app_pages/feature_responses.py",
                title="Feature responses",
                icon=":material/visibility:",
                url_path="feature-responses",
                help="Where the network looked, before and after the attack.",
            ),
            st.Page(
                "app_pages/trajectories.py",
                title="Trajectories",
                icon=":material/timeline:",
                url_path="trajectories",
                help="The layer at which the image's path leaves its class.",
            ),
            st.Page(
                "app_pages/neighbours.py",
                title="Neighbours & influence",
                icon=":material/hub:",
                url_path="neighbours",
                help="The training images that decided: the nearest, the most helpful, the most harmful.",
            ),
            st.Page(
                "app_pages/hidden_state_density.py",
                title="Hidden-state density",
                icon=":material/bubble_chart:",
                url_path="hidden-state-density",
                help="How usual the hidden state is for each class.",
            ),
        ],
        "Judgement": [
            st.Page(
                "app_pages/detectors.py",
                title="Detectors & ROC",
                icon=":material/monitoring:",
                url_path="detectors",
                help="How well each detector does, at which false-alarm rate; run it live on fresh images.",
            ),
            st.Page(
                "app_pages/misclassifications.py",
                title="Misclassifications",
                icon=":material/rule:",
                url_path="misclassifications",
                help="What the model gets wrong by itself, why, and which training labels are probably wrong.",
            ),
            st.Page(
                "app_pages/paper_tables.py",
                title="Paper tables",
                icon=":material/table_chart:",
                url_path="paper-tables",
                help="The papers' published figures beside those computed here, each with the ROC curve behind it.",
            ),
            st.Page(
                "app_pages/about.py",
                title="About",
                icon=":material/info:",
                url_path="about",
                help="What the model was built from, its limits, and the papers.",
            ),
        ],
    }
)
try:
    course.synchronise()
    state.synchronise()
    pins.synchronise()
except InputError as error:
    st.error(str(error), icon=":material/error:")
    st.stop()
show_sidebar()
layout.start_at_top(page.url_path)
lesson_bar(page.url_path)
page.run()
