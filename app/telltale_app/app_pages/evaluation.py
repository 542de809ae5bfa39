"""Evaluation checklist: what an evaluation of a defence should contain, what was done here, and what fails."""

from __future__ import annotations

from telltale_app import layout
from telltale_app.panels import checklist

layout.opening(
    "Evaluation checklist",
    "What an evaluation of detectors should contain, by those who have broken many: what was done here, what was not, "
    "and what fails.",
)
checklist.show_checklist()
layout.page_link("app_pages/detectors.py", "Detectors & ROC, with the figures", ":material/monitoring:")
