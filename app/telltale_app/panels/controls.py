"""Controls drawn from declared parameters, so that a new attack needs no page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from telltale.attacks.base import RANDOM, AnyAttack, RandomTarget
from telltale.base.errors import InputError
from telltale.base.parameters import Parameter, ParameterValue, validate_parameters
from telltale_app import catalogue, emphasis, engine_client, state, words
from telltale_app.case import Case

NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1", "l0": "L0"}
MOST_SLIDER_STEPS = 200
ANY_CLASS = "any"
TARGETS = {ANY_CLASS: "any other class", RANDOM: "a random other class"}

# What one looks for among changes of a pixel: small ones, closely spaced; in grey levels where the model sees colour.
COLOUR_CHANGES = tuple(level / 255 for level in (*range(33), 40, 48, 64, 96, 128, 192, 255))
GREY_CHANGES = tuple(round(0.01 * n, 2) for n in (*range(51), 60, 70, 80, 90, 100))
SAME_CHANGE = 1e-9
MORE = "More settings"
FORM = "attack-form"  # the case that it starts from, and what its keys end in
RESULT = "result"  # containers whose keys begin so belong to the attack that was run last
STALE_STYLE = f"""<style>
[class*="st-key-{RESULT}-"] {{ opacity: 0.45; filter: grayscale(1); }}
</style>"""


def attack_form(case: Case, class_names: Sequence[str], own: int | None) -> None:
    """Draw the choice of an attack, its parameters, target and seed; *Attack* changes the case.

    Every widget's key names the case it starts from: another case or model, as after "back", starts them afresh. The
    form that was just submitted stays: a new one would stand above its paler self as long as the attack runs.

    Parameters
    ----------
    case : Case
    class_names : sequence of str
    own : int or None
        Class that the image is read as, which no attack can aim at; None where it is not known yet.
    """
    stamp = _stamp(_start(_draft(case), case.bundle))
    _settings(case, class_names, own, stamp)
    # Outside the fragment: a click on it ends whatever the page is busy with, as every click outside one does.
    st.button(
        "Attack",
        key=f"attack-now-{stamp}",
        type=emphasis.filled(),
        icon=":material/bolt:",
        width="stretch",
        shortcut="A",
        on_click=_submit,
        args=(stamp, own),
    )


@st.fragment
def _settings(case: Case, class_names: Sequence[str], own: int | None, stamp: str) -> None:
    """Draw everything that can be set.

    A fragment: while it is changed, only this is drawn anew, and what belongs to the attack before is dimmed.
    """
    draft = _draft(case)
    colour = catalogue.bundle(case.bundle).image_shape[0] > 1
    specs = catalogue.attacks()
    names = list(specs)
    name = st.selectbox(
        "Attack",
        names,
        index=names.index(draft.attack) if draft.attack in names else 0,
        format_func=lambda key: f"{specs[key].title} ({NORMS[specs[key].norm]})",
        key=f"attack-{stamp}",
        help="What each does, and how it is set, is said under *More settings*.",
    )
    spec = specs[name]
    usual = catalogue.bundle(case.bundle).attack_parameters(name)
    values = dict(draft.parameters) if draft.attack == name and draft.parameters else usual
    first, *rest = spec.parameters
    _control(first, values.get(first.name, first.default), f"p-{name}-{first.name}-{stamp}", colour)
    with st.expander(MORE):
        st.caption(spec.summary, help=spec.paper)
        for parameter in rest:
            value = values.get(parameter.name, parameter.default)
            _control(parameter, value, f"p-{name}-{parameter.name}-{stamp}", colour)
        if spec.targeted:
            _target(draft.target if draft.attack == name else None, spec, class_names, own, stamp)
        st.number_input(
            "Seed",
            0,
            2**31 - 1,
            draft.seed,
            key=f"seed-{name}-{stamp}",
            help="The same seed gives the same attacked image.",
        )
    if case.attack is not None and not engine_client.given_up() and _differs(case, spec, values, stamp, own):
        _stale_note(case.attack)


def _stamp(start: str) -> str:
    """Return what the keys of the form that starts from this case end in; never that of widgets which hold another."""
    kept: tuple[str, str] = st.session_state.get(FORM, ("", ""))
    started, stamp = kept
    if start != started:
        stamp = start if start != stamp else f"{start}-again"
    st.session_state[FORM] = (start, stamp)
    return stamp


def _differs(case: Case, spec: AnyAttack, start: Mapping[str, ParameterValue], stamp: str, own: int | None) -> bool:
    """Return whether the widgets ask for another attack than the case holds; they begin with its settings."""
    shown = _shown(spec, stamp, own)
    target = RANDOM if case.target is None and spec.random_target else case.target
    return (
        spec.name != case.attack
        or any(shown.parameters[p.name] != start.get(p.name, p.default) for p in spec.parameters)
        or shown.target != target
        or shown.seed != case.seed
    )


def _stale_note(attack: str) -> None:
    """Dim what belongs to the attack before, and say so."""
    st.html(STALE_STYLE)
    st.caption(
        f":material/history: Pictures and verdicts still belong to **{catalogue.attack_title(attack)}** as it was set "
        "before. Press *Attack* to see this one."
    )


def _start(draft: Case, bundle: str) -> str:
    """Return a name of what a form starts from, the same in every process: a page goes on at another server."""
    return f"{bundle}-{draft.to_query()['attack']}"


def _draft(case: Case) -> Case:
    """Return the attack that the form starts from: the case's own, else the last one, else the default."""
    if case.attack is not None:
        st.session_state.last_attack = case
        return case
    last: Case | None = st.session_state.get("last_attack")
    if last is not None:
        return last
    return Case(case.bundle, case.image, attack=catalogue.DEFAULT_ATTACK)


def _target(
    target: int | RandomTarget | None, spec: AnyAttack, class_names: Sequence[str], own: int | None, stamp: str
) -> None:
    """Offer any other class, a random one, or each by name; an attack that needs a target cannot take just any."""
    open_ended = [RANDOM] if spec.random_target else [ANY_CLASS, RANDOM]
    targets = [*open_ended, *(label for label in range(len(class_names)) if label != own)]
    st.selectbox(
        "Target class",
        targets,
        index=targets.index(target) if target in targets else 0,
        format_func=lambda c: class_names[c] if isinstance(c, int) else TARGETS[c],
        key=f"target-{spec.name}-{stamp}-{own}",
        help="The class that the attacked image should be read as. A random one is drawn from image and seed.",
    )


def _control(parameter: Parameter, value: ParameterValue, key: str, colour: bool) -> None:
    label = parameter.label
    if parameter.type == "bool":
        st.toggle(label, bool(value), key=key, help=parameter.help)
    elif parameter.type == "choice":
        named = catalogue.detector_title if parameter.name == "detector" else str
        several = () if value in parameter.choices else (str(value),)
        choices = (*parameter.choices, *several)
        st.selectbox(label, choices, choices.index(str(value)), format_func=named, key=key, help=parameter.help)
    elif parameter.type == "int":
        _integer(parameter, label, int(value), key)
    elif parameter.pixels:
        _change(parameter, label, float(value), key, colour)
    else:
        _real(parameter, label, float(value), key)


def _integer(parameter: Parameter, label: str, value: int, key: str) -> None:
    low = None if parameter.low is None else int(parameter.low)
    high = None if parameter.high is None else int(parameter.high)
    if low is not None and high is not None and high - low <= MOST_SLIDER_STEPS:
        st.slider(label, low, high, value, key=key, help=parameter.help)
    else:
        st.number_input(label, low, high, value, key=key, help=parameter.help)


def _real(parameter: Parameter, label: str, value: float, key: str) -> None:
    low, high = parameter.low, parameter.high
    if low == 0 and high is not None and high <= 1:
        step = parameter.step or high / 100
        st.slider(label, float(low), float(high), value, step=step, format="%g", key=key, help=parameter.help)
    else:
        st.number_input(label, low, high, value, step=value / 10 or 0.1, format="%g", key=key, help=parameter.help)


def _change(parameter: Parameter, label: str, value: float, key: str, colour: bool) -> None:
    """Draw a slider over changes of a pixel, the present one among them: 8/255 in colour, 0.1 in grey."""
    usual = COLOUR_CHANGES if colour else GREY_CHANGES
    accepted = [change for change in usual if parameter.low is None or change >= parameter.low]
    accepted = [change for change in accepted if parameter.high is None or change <= parameter.high]
    offered = sorted({value, *(change for change in accepted if abs(change - value) > SAME_CHANGE)})
    st.select_slider(
        label, offered, value, format_func=lambda v: words.pixel_change(v, colour), key=key, help=parameter.help
    )


@dataclass(frozen=True)
class _Shown:
    """What the widgets of the form hold."""

    parameters: dict[str, ParameterValue]
    target: int | RandomTarget | None
    seed: int


def _shown(spec: AnyAttack, stamp: str, own: int | None) -> _Shown:
    kept = st.session_state
    target = kept.get(f"target-{spec.name}-{stamp}-{own}", ANY_CLASS)
    return _Shown(
        {p.name: kept[f"p-{spec.name}-{p.name}-{stamp}"] for p in spec.parameters},
        None if target == ANY_CLASS else target,
        int(kept[f"seed-{spec.name}-{stamp}"]),
    )


def _submit(stamp: str, own: int | None) -> None:
    """Take the form's values into the case, checked once more."""
    spec = catalogue.attacks()[st.session_state[f"attack-{stamp}"]]
    shown = _shown(spec, stamp, own)
    try:
        values: Mapping[str, ParameterValue] = validate_parameters(spec.parameters, shown.parameters, spec.title)
    except InputError as error:
        st.session_state.case_warnings = (str(error),)
        return
    state.change(attack=spec.name, parameters=tuple(values.items()), target=shown.target, seed=shown.seed)
    case = state.current()
    st.session_state[FORM] = (_start(case, case.bundle), stamp)


def alpha_slider() -> None:
    """Draw the operating point; moving it changes the case."""
    case = state.current()
    st.slider(
        "False alarms allowed (α)",
        1,
        25,
        **state.widget_value("alpha-slider", round(case.alpha * 100)),
        format="%d %%",
        key="alpha-slider",
        on_change=_take_alpha,
        help="Share of natural images that each detector may wrongly call adversarial. Thresholds come from held-out "
        "natural images, so the rate holds for each detector on its own.",
    )


def _take_alpha() -> None:
    state.change(alpha=st.session_state["alpha-slider"] / 100)
