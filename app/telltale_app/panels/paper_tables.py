"""The papers' tables: every published figure beside ours, and the ROC curve behind a chosen one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from telltale.base.errors import InputError
from telltale.figures import palette
from telltale.figures.roc import roc_curves
from telltale.studies.tables.layout import Grid, full_run_command, to_csv
from telltale.studies.tables.table import Cell, PaperTable
from telltale_app import catalogue, layout, words

CHOSEN, GRID = "cell", "paper-grid"
ROW_HEIGHT = 70  # three lines of text; up to 64 pixels Streamlit wraps none
MOST_ROWS = 8
SCROLLED_HEIGHT = 630  # of more rows, so that a chosen figure stays in sight; half a row says that there are more
COLUMN_WIDTH = 132
NO_BREAK = "\N{NO-BREAK SPACE}"


def choose_table() -> PaperTable:
    """Let the person choose a table, one with a stored run first; the choice is part of the address."""
    tables, stored = catalogue.paper_tables(), catalogue.stored_tables()
    names = sorted(tables, key=lambda name: name not in stored)

    def titled(name: str) -> str:
        return f"{tables[name].paper}: {tables[name].title}"

    chosen = st.selectbox("Table", names, format_func=titled, key="table", bind="query-params")
    return tables[chosen]


def show_source(table: PaperTable) -> None:
    """Say what a table shows, where it was published, in which unit, and what differs here."""
    st.header(table.title, anchor=False)
    st.markdown(f"{table.paper}. Unit: {table.unit}. Data and network: *{table.recipe}*.")
    st.markdown(f"**What differs here.** {table.setting}")


def stored_run(table: PaperTable) -> tuple[Cell, ...]:
    """Return the cells of a table's full run; where there is none, say which command computes it."""
    if table.name not in catalogue.stored_tables():
        st.info("No full run of this table is stored.", icon=":material/info:")
        _show_command(table, "This command, in Telltale's folder, computes and stores it:")
        return ()
    try:
        network = catalogue.stored_network(table.name)
        if network is not None:
            st.markdown(f"**Computed with** {network}.")
        return catalogue.stored_cells(table.name)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
        _show_command(table, "This command, in Telltale's folder, computes the table again:")
        return ()


def _show_command(table: PaperTable, purpose: str) -> None:
    st.caption(purpose)
    st.code(full_run_command(table), language="sh", wrap_lines=True)


def show_figures(table: PaperTable, cells: Sequence[Cell]) -> None:
    """Show a table with what it says about colours and notes, and the ROC curve behind the chosen figure."""
    grid = Grid.of(cells)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = _choose_figure(grid)
        st.download_button(
            "Download as CSV",
            to_csv(cells),
            f"{table.name}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    _show_grid(table, grid)
    _show_legend(grid)
    _show_figure(table, chosen)
    _show_notes(grid)


def _choose_figure(grid: Grid) -> Cell:
    """Return the figure that was chosen, here or in the table; the choice is part of the address."""
    by_label = {_label(cell): cell for cell in grid.cells.values()}
    labels = list(by_label)
    first = labels.index(_label(grid.most_telling))
    return by_label[st.selectbox("Figure", labels, index=first, key=CHOSEN, bind="query-params", width=360)]


def _label(cell: Cell) -> str:
    return f"{cell.row} / {cell.column}"


def _show_grid(table: PaperTable, grid: Grid) -> None:
    texts = [[_cell_text(grid, grid.cells.get((row, column))) for column in grid.columns] for row in grid.rows]
    frame = pd.DataFrame(texts, index=pd.Index(grid.rows, name=""), columns=list(grid.columns))
    st.dataframe(
        frame.style.apply(lambda _: _shades(grid), axis=None),
        key=GRID,
        width="content",  # stretched columns would put the parts of a cell on one line
        height="content" if len(grid.rows) <= MOST_ROWS else SCROLLED_HEIGHT,
        row_height=ROW_HEIGHT,
        column_config={column: st.column_config.TextColumn(width=COLUMN_WIDTH) for column in grid.columns},
        selection_mode="single-cell",
        on_select=lambda: _take_selection(grid),
        alt=f"{table.title}: {len(grid.rows)} rows and {len(grid.columns)} columns, our figure over the paper's",
    )


def _cell_text(grid: Grid, cell: Cell | None) -> str:
    """Return our figure with the difference and the number of its note, the interval, and the paper's figure.

    Line breaks are lost on the way, so each part is held together by spaces that do not break, and the column is too
    narrow for two of them.
    """
    if cell is None:
        return ""
    difference = "" if cell.difference is None else f" ({words.signed(cell.difference)})"
    ours = "not computed" if cell.ours is None else words.figure(cell.ours) + difference
    paper = "not in the paper" if cell.paper is None else f"paper {words.figure(cell.paper)}"
    parts = (ours + words.raised(grid.note_number(cell)), _interval(cell), paper)
    return " ".join(part.replace(" ", NO_BREAK) for part in parts if part)


def _interval(cell: Cell) -> str:
    return "" if cell.low is None or cell.high is None else f"[{words.figure(cell.low)}, {words.figure(cell.high)}]"


def _shades(grid: Grid) -> pd.DataFrame:
    """Return a background for every place of the table."""

    def shade(cell: Cell | None) -> str:
        strength = 0.0 if cell is None else grid.shade(cell)
        return f"background-color: {palette.difference_shade(strength)}" if strength else ""

    shades = [[shade(grid.cells.get((row, column))) for column in grid.columns] for row in grid.rows]
    return pd.DataFrame(shades, index=pd.Index(grid.rows, name=""), columns=list(grid.columns))


def _show_legend(grid: Grid) -> None:
    text = (
        "In each place: our figure, the difference (ours less the paper's), its 95 % interval, and the paper's figure."
    )
    if grid.limit:
        text += (
            f" The deeper the blue (+), the further ours lies above the paper's, the deeper the red (−), the further "
            f"below; the deepest colour is a difference of {grid.limit:.2f}."
        )
    if grid.has_gaps:
        text += " Neither the paper nor this project has a figure for an empty place."
    st.caption(text)


def _show_notes(grid: Grid) -> None:
    if grid.notes:
        st.subheader("Notes", anchor=False)
    st.markdown("\n".join(f"{number}. {note}" for number, note in enumerate(grid.notes, start=1)))


def _take_selection(grid: Grid) -> None:
    """Choose the figure that was marked in the table; an empty place changes nothing."""
    selected: Sequence[tuple[int, str]] = st.session_state[GRID].selection.cells
    cells: Mapping[tuple[str, str], Cell] = grid.cells
    found = [cells[place] for row, column in selected if (place := (grid.rows[row], column)) in cells]
    if found:
        st.session_state[CHOSEN] = _label(found[0])


def _show_figure(table: PaperTable, cell: Cell) -> None:
    """Show one figure with the curve behind it, or why there is none."""
    st.subheader(_label(cell), anchor=False)
    words_column, curve_column = st.columns([2, 3], gap="medium")
    with words_column:
        if cell.ours is None:
            st.info(f"Not computed here: {words.ended(cell.note)}", icon=":material/block:")
        _show_metrics(cell)
        if cell.ours is not None and cell.note:
            st.markdown(f":material/info: {words.ended(cell.note)}")
    with curve_column:
        if len(cell.fpr):
            _show_curve(table, cell)
        elif cell.ours is not None:
            st.caption("No ROC curve lies behind this figure: it is a share of images.")


def _show_metrics(cell: Cell) -> None:
    shown = {"Paper": words.figure(cell.paper), "Ours": words.figure(cell.ours)}
    if cell.difference is not None:
        shown["Difference"] = words.signed(cell.difference)
    with st.grid("auto", min_column_width=130, gap="small"):
        for name, value in shown.items():
            st.metric(name, value, border=True)
    if _interval(cell):
        st.markdown(f"95 % interval {_interval(cell)}, from n = {cell.n:,} images.")


def _show_curve(table: PaperTable, cell: Cell) -> None:
    said = f"{_label(cell)}: {words.figure(cell.ours)} ({table.unit}), n = {cell.n:,}"
    figure = roc_curves([(said, cell.fpr, cell.tpr)], [], logarithmic=False, floor=0.0)
    layout.chart(figure, f"ROC curve of {said}", "paper-roc")
