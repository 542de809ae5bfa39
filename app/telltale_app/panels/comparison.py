"""Natural, perturbation and attacked side by side, and the exact record of how one became the other."""

from __future__ import annotations

import math

import streamlit as st

from telltale.analysis import reading
from telltale.analysis.results import Analysis, SavedReading
from telltale.attacks.base import AttackResult
from telltale.base import changes
from telltale.figures import palette
from telltale.figures.bars import top_classes
from telltale.figures.packed_picture import PackedPicture, change_of, picture_of
from telltale.scores import titles
from telltale_app import catalogue, engine_client, layout, pictures, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.link_images import image_words
from telltale_app.panels import linked_pictures

GAINS = (1, 2, 5, 10, 20, 50)
SHOWN_CLASSES = 3


def comparison(case: CaseAnalysis) -> None:
    """Show the natural image, the signed change times a gain, and the attacked image, each with its classes."""
    natural, change, attacked = st.columns(3, gap="medium")
    with natural:
        _reading("Natural", case, case.natural, palette.NATURAL, "natural")
        if case.contradicted_label is not None:
            label = case.bundle.class_names[case.contradicted_label]
            st.caption(f":material/error: The data set says {label}: the model errs on this image without any attack.")
    if case.attack is None or case.attacked is None:
        with change.container(border=True):
            st.markdown(
                ":material/bolt: **Nothing has changed yet.** Press **Attack**: the change and the attacked image "
                "appear here."
            )
        return
    with attacked:
        title = "Attacked" if case.fooled else "Best attempt"
        _reading(title, case, case.attacked, palette.ATTACKED, "attacked")
    with change:
        _change(case, case.attack)


def _reading(title: str, case: CaseAnalysis, analysis: Analysis, colour: str, key: str) -> None:
    prediction = analysis.prediction
    st.markdown(f"**{title}**{_fused_badge(analysis)}  \nread as **{prediction.name}**")
    if said := catalogue.outside_words(case.bundle, prediction.label):
        st.caption(f":material/folder_off: {said}")
    _picture(
        picture_of(analysis.image),
        f"{title} image ({image_words(case.case.image)}), read as {prediction.name} "
        f"with {words.percent(prediction.confidence)}",
        key,
        case,
    )
    likeliest = reading.top_classes(prediction, SHOWN_CLASSES)
    names = [case.bundle.class_names[c] for c, _ in likeliest]
    shares = [share for _, share in likeliest]
    said = words.listed([f"{name} {words.percent(share)}" for name, share in zip(names, shares, strict=True)])
    layout.chart(top_classes(names, shares, colour), f"Likeliest classes of the {key} image: {said}", f"top-{key}")


def _fused_badge(analysis: Analysis) -> str:
    """Return the fused verdict as it stands at the picture; empty where there is none."""
    if analysis.fused is None:
        return ""
    text, icon, colour = words.fused_words(analysis.fused.kind)
    return f" :{colour}-badge[{icon} {text}]"


def _change(case: CaseAnalysis, attack: AttackResult) -> None:
    linf = float(attack.linf[0])
    header = st.container()
    picture = st.container()
    brighter = ("Brighter", "Darker") if len(attack.images[0]) == 1 else ("A colour stronger than grey", "A weaker one")
    meaning = f"Grey: unchanged. {brighter[0]}: added. {brighter[1]}: taken away."
    gain = st.select_slider(
        "Gain",
        GAINS,
        value=changes.sensible_gain(linf, GAINS),
        format_func=lambda g: f"× {g}",
        key=f"gain-{linf:.4f}",
        help=f"How many times the change is amplified for the eye. {meaning}",
    )
    pixels = f"{int(attack.l0[0]):,} pixels, by {round(255 * linf)}/255 at most"
    header.markdown(f"**Change**, shown × {gain}  \n{words.aside(pixels)}")
    with picture:
        _picture(
            change_of(attack.natural[0], attack.images[0], float(gain)),
            f"Signed change times {gain}; {int(attack.l0[0])} pixels changed, none by more than {linf:.3f}",
            "change",
            case,
        )


def _picture(picture: PackedPicture, said: str, name: str, case: CaseAnalysis) -> None:
    """Show a picture as large as `pictures.show` does, one of those that are compared pixel by pixel."""
    width = picture.shown.shape[1]
    side = width if min(picture.shown.shape[:2]) >= pictures.LARGE_SIDE else None
    linked_pictures.show(picture, said, f"comparison-{case.natural.image_sha256}", f"picture-{name}", side)


def provenance(case: CaseAnalysis) -> None:
    """Show what the attack cost and changed, exactly, with the fingerprints of both images."""
    attack = case.attack
    if attack is None or case.attacked is None:
        with st.expander("Fingerprint of the image", icon=":material/fingerprint:"):
            _fingerprint("Natural", case.natural)
        return
    with st.expander("What the attack did", icon=":material/bolt:"):
        _outcome(case, attack)
        with st.grid("auto", min_column_width=130, gap="small"):
            for label, value, explanation in _facts(attack):
                st.metric(label, value, border=True, help=explanation)
        _survival(case, attack)
        st.markdown("**Fingerprints and exact files**")
        for column, (name, analysis) in zip(st.columns(2), case.views(), strict=True):
            with column:
                _fingerprint(name.capitalize(), analysis)


def _outcome(case: CaseAnalysis, attack: AttackResult) -> None:
    title = catalogue.attack_title(attack.attack)
    before = case.bundle.class_names[int(attack.labels[0])]
    after = case.bundle.class_names[int(attack.predictions[0])]
    settings = titles.settings(attack.parameters, catalogue.attack_parameters(attack.attack))
    if case.fooled:
        st.success(
            f"{title} succeeded: {before} became {after}, after rounding to 8 bits. Settings: {settings}; "
            f"seed {attack.seed}.",
            icon=":material/bolt:",
        )
    else:
        target = int(attack.targets[0])
        aim = f" or reach {case.bundle.class_names[target]}" if target >= 0 else ""
        st.info(
            f"{title} failed within its budget: it did not leave {before}{aim}. That is a result, not an error. "
            f"Settings: {settings}; seed {attack.seed}.",
            icon=":material/shield:",
        )


def _facts(attack: AttackResult) -> tuple[tuple[str, str, str], ...]:
    linf = float(attack.linf[0])
    return (
        ("L∞", f"{linf:.3f}", f"Largest change of a pixel: {round(255 * linf)}/255, after rounding to 8 bits."),
        ("L2", words.number(float(attack.l2[0])), "Euclidean length of the change, pixels in [0, 1]."),
        ("L0", f"{int(attack.l0[0])}", "Pixels that changed at all."),
        (
            "Gradients",
            f"{int(attack.gradients[0]):,}",
            "Backward passes on this image; a look at detectors is one.",
        ),
        ("Queries", f"{int(attack.queries[0]):,}", "Forward passes on this image; a look at detectors is one."),
        ("Time", words.seconds(attack.seconds) if math.isfinite(attack.seconds) else "–", "Wall time of the attack."),
    )


def _survival(case: CaseAnalysis, attack: AttackResult) -> None:
    """Say what an attacked image is read as once it has gone through a file."""
    if not case.fooled:
        return
    target = int(attack.targets[0])
    readings = engine_client.survive(case.case.bundle, attack.images[0], int(attack.labels[0]), target)
    st.markdown("**Does it survive being saved?**")
    with st.grid(2, min_column_width=260, gap="small"):
        for reading in readings:
            with st.container(border=True, gap="xxsmall"):
                st.markdown(words.survival(reading))
                st.caption(_saving_words(reading))


def _saving_words(reading: SavedReading) -> str:
    levels = round(255 * reading.linf)
    change = "keeps every pixel exactly" if levels == 0 else f"moves pixels by up to {levels}/255"
    return f"The file has {reading.size:,} bytes and {change}."


def _fingerprint(name: str, analysis: Analysis) -> None:
    digest = analysis.image_sha256
    st.markdown(f"**{name} image**, SHA-256 `{digest[:12]}…` of its 8-bit pixels and shape")
    st.code(digest, language=None, wrap_lines=True)
    st.download_button(
        f"{name} image (PNG)",
        pictures.png(analysis.image),
        file_name=f"{name.lower()}-{digest[:12]}.png",
        mime="image/png",
        icon=":material/download:",
        on_click="ignore",
        key=f"download-{name}",
    )
