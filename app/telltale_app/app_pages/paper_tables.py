"""Paper tables: the published figures beside those computed here."""

from __future__ import annotations

from telltale_app import layout
from telltale_app.panels import paper_tables

layout.opening(
    "Paper tables",
    "The papers' published figures beside those computed here, with what differs. Choose a figure in the table to see "
    "the ROC curve behind it.",
)
table = paper_tables.choose_table()
paper_tables.show_source(table)
cells = paper_tables.stored_run(table)
if cells:
    paper_tables.show_figures(table, cells)
layout.how_computed(
    "Every figure comes from a full run of one command that anybody can repeat: the attacks are run on held-out "
    "images, detectors are fitted on some of them and judged on others. AUC intervals come from 1,000 bootstrap "
    "resamples of whole images, intervals of rates are binomial.",
    None,
    "A figure that cannot be computed here stays empty and says why. Nothing is left out because it came out worse "
    "than published: a detector that fails against an attack is shown failing.",
)
