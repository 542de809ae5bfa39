"""What the widgets of a drawn page hold before anybody touches them, as browsers report it with every click."""

from __future__ import annotations

from collections.abc import Iterator

from streamlit.proto.Element_pb2 import Element
from streamlit.proto.WidgetStates_pb2 import WidgetState

from support.drawn_page import Drawing


def widget_states(drawing: Drawing) -> dict[str, WidgetState]:
    """Return the state of every choice and number on a page by id; those in forms are sent with the form alone."""
    elements = (delta.new_element for delta in drawing.deltas().values())
    return {state.id: state for element in elements for state in _state(element)}


def _state(element: Element) -> Iterator[WidgetState]:
    kind = element.WhichOneof("type")
    if kind == "selectbox" and not element.selectbox.form_id:
        choice = element.selectbox
        held = choice.raw_value if choice.set_value else choice.options[choice.default]
        yield WidgetState(id=choice.id, string_value=held)
    elif kind == "number_input" and not element.number_input.form_id:
        number = element.number_input
        yield WidgetState(id=number.id, double_value=number.value if number.set_value else number.default)
