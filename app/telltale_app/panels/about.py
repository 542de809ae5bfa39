"""What the model was built from, what it can do, and where its limits are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from telltale.bundle.summary import training_images
from telltale.scores import titles
from telltale.scores.table import scored_detectors, success_rows
from telltale_app import catalogue, words
from telltale_app.contact import contact
from telltale_app.papers import PAPERS

if TYPE_CHECKING:
    from telltale.base.parameters import ParameterValue
    from telltale.bundle import Bundle

CHOICES = """
- **Images** are float32 in [0, 1] on the 8-bit grid. Attacked images are rounded to 8 bits before
  anything looks at them.
- **Adversarial** means: a correctly read natural image whose 8-bit attacked version gets another label. Failed attempts
  are counted in the success rate and never labelled adversarial.
- **Scores** are higher where an image is more likely adversarial, for every detector.
- **Thresholds** come from held-out natural images at a chosen false-alarm rate. The p-value of an image is
  (1 + natural images that score at least as high) / (n + 1).
- **Splits** are by image: all versions of one image stay in one split. *Train* is what neighbours and
  influence refer to, and what a classifier trained here has learned from (a compact model keeps a random part);
  *fit* sets up the detectors; *calibration* sets thresholds; *test* is reported.
- **Perturbations** are measured in pixels, after rounding, also where a paper measured them in normalised space.
"""

LIMITS = """
- The false-alarm rate holds for natural images like the calibration images. A photograph of something else is not one.
- A detector that catches these attacks may miss one made against it: none of the detectors here is robust to an
  attacker who knows it.
- Influence goes through the last layer only, with the features frozen.
- An image travels in its link only where it is small; of a larger one the link holds the SHA-256, and the server keeps
  the pixels until pictures used later need their room.
- All numbers are of one model on one data set; they say little about another.
"""


FOLDS = " on 5 image-grouped folds of the fit split"
"""What nearly every detector's choice ends with: said once, a telephone has no room for it in every row."""


def show_numbers(bundle: Bundle) -> None:
    """Show accuracies and split sizes."""
    manifest = bundle.manifest
    splits = bundle.splits.to_arrays()
    problem = bundle.label_problem
    st.markdown("Accuracy on each split:" if problem is None else f"Accuracy is not known. {problem}")
    with st.grid("auto", min_column_width=130, gap="small"):
        for name in sorted(manifest.accuracies, key=list(splits).index):
            st.metric(name.capitalize(), words.percent(manifest.accuracies[name]), border=True)
    size = f"{bundle.image_shape[2]} × {bundle.image_shape[1]} pixels"
    sizes = {name: len(ids) for name, ids in splits.items()} | {"train": training_images(bundle)}
    said = words.listed([f"{count:,} {name}" for name, count in sizes.items()])
    images = (
        f"no images; it tells {len(bundle.class_names):,} classes apart in {size}."
        if bundle.alone
        else f"{manifest.data.n:,} images of {len(bundle.class_names):,} classes from `{manifest.data.source}`, "
        f"{size}, split into {said}. Seed {manifest.seed}."
    )
    st.markdown(f"**{manifest.title}**: {images} {len(bundle.layers)} layers are read.")
    for lack in catalogue.summary(bundle.name).lacks:
        st.caption(f":material/info: {lack}")


def show_attacks(bundle: Bundle) -> None:
    """Show how often each attack worked on test images."""
    settings = {entry["name"]: entry["parameters"] for entry in bundle.manifest.attacks}
    rows = [
        {
            "attack": catalogue.attack_title(row.attack),
            "success": None if math.isnan(row.rate) else 100 * row.rate,
            "fooled": row.succeeded,
            "tried": row.tried,
            "median L∞": row.median_linf,
            "median L2": row.median_l2,
            "settings": titles.settings(settings.get(row.attack, {}), catalogue.attack_parameters(row.attack)),
        }
        for row in success_rows(bundle.scores)
    ]
    if not rows:
        st.info("This model has no stored attacks: a build on labelled images brings them.", icon=":material/info:")
        return
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        alt="Success rate of every attack on test images",
        column_config={
            "success": st.column_config.ProgressColumn(format="%.1f %%", min_value=0, max_value=100),
            "median L∞": st.column_config.NumberColumn(format="%.4f"),
            "median L2": st.column_config.NumberColumn(format="%.3f"),
        },
    )


def show_detectors(bundle: Bundle) -> None:
    """Show each detector's settings and how they were chosen."""
    rows = [
        {
            "detector": catalogue.detector_title(name),
            "settings": titles.settings(
                _with_layer_name(bundle, entry["parameters"]), catalogue.detector_parameters(name)
            )
            or "none",
            "chosen by": entry["selected_by"].replace(FOLDS, ""),
        }
        for name in scored_detectors(bundle.scores)
        if (entry := bundle.manifest.detectors.get(name)) is not None
    ]
    if rows:
        st.table(rows, hide_index=True, alt="Settings of every detector and how they were chosen")
        if any(entry["selected_by"].endswith(FOLDS) for entry in bundle.manifest.detectors.values()):
            st.caption(f"Macro-AUC:{FOLDS}, unless said otherwise.")


def show_versions(bundle: Bundle) -> None:
    """Show fingerprints and versions, for whoever wants to build it again."""
    with st.expander("Versions and fingerprints", icon=":material/fingerprint:"):
        st.markdown(f"Bundle `{bundle.id}`  \nData `{bundle.manifest.data.fingerprint}`")
        rows = [{"library": name, "version": version} for name, version in sorted(bundle.manifest.versions.items())]
        st.table(rows, hide_index=True, width="content", alt="Versions of the libraries that built this model")


def show_papers() -> None:
    """Show the five papers and what is taken from each."""
    for paper in PAPERS:
        st.markdown(f"- {paper.reference}  \n  Here: {paper.gives}.")


def show_licences() -> None:
    """Name where code and data come from."""
    st.markdown(
        "The road signs are drawn by Telltale from their published geometry; none was photographed. "
        "The handwritten digits are those of scikit-learn (UCI Optical Recognition of Handwritten Digits, CC BY 4.0). "
        "CIFAR-10 was collected by A. Krizhevsky, V. Nair and G. Hinton (2009); what comes with Telltale was learned "
        "from it and holds none of its images. The photographs to try are those of scikit-image (public domain). "
        "Attacks use torchattacks (MIT) and Foolbox (MIT); guided backpropagation uses Captum (BSD-3); figures use "
        "Plotly (MIT); pages use Streamlit (Apache-2.0). EfficientNet-lite0 and its ImageNet weights are two packages "
        "of ML Illustrated (Apache-2.0), its class names are WordNet's; networks of the hub are read by transformers "
        "(Apache-2.0)."
    )


def show_contact() -> None:
    """Say where reports of weaknesses go, where the owner has said so."""
    uri = contact()
    if uri:
        st.header("Security", anchor=False)
        where = f"[{uri.removeprefix('mailto:')}]({uri})"
        st.markdown(f"Have you found a way to misuse this server? Tell {where} before anybody else.")


def _with_layer_name(bundle: Bundle, parameters: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """Return the parameters with a layer's index replaced by its name."""
    named = dict(parameters)
    if "layer" in named:
        named["layer"] = bundle.layers[int(named["layer"])]
    return named
