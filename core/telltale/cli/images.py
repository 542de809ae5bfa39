"""Commands on one image: attack it, analyse it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

import telltale
from telltale.attacks.base import RANDOM, AnyAttack, AttackResult, RandomTarget
from telltale.attacks.registry import ATTACKS, get_attack
from telltale.base.errors import InputError
from telltale.base.images import image_sha256
from telltale.base.parameters import ParameterValue
from telltale.bundle import Bundle, load_bundle
from telltale.bundle.pictures import load_picture
from telltale.cli.options import BundleOption, ImageArgument, JsonOption, attack_values
from telltale.cli.output import check_writable, pairs_table, print_record, quiet_stdout, text, write_whole
from telltale.data.uploads import png_bytes
from telltale.scores import titles
from telltale.scores.calibration import check_alpha


def attack(
    image: ImageArgument,
    bundle: BundleOption = "digits",
    attack: Annotated[str, typer.Option("--attack", help=f"One of {', '.join(ATTACKS)}.")] = "pgd",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the attack; repeatable.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Class to reach, by name or index, or random.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seeds every random choice.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="PNG file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Attack one image; the result is on the 8-bit grid and every figure is measured on it."""
    _check_out(out)
    spec = get_attack(attack)
    opened = load_bundle(bundle)
    parameters = attack_values(spec, settings or [], opened)
    target_label = _parse_target(target, spec, opened)
    natural = load_picture(opened, image)
    with quiet_stdout():
        result = telltale.attack(
            natural, bundle=bundle, attack=attack, parameters=parameters, seed=seed, target=target_label
        )
    if out is not None:
        write_whole(out, png_bytes(result.images[0]))
    record = _attack_record(result, opened, out)
    print_record(record, pairs_table(record), as_json)


def analyse(
    image: ImageArgument,
    bundle: BundleOption = "digits",
    alpha: Annotated[float, typer.Option("--alpha", help="False-positive rate, between 0 and 1.")] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Take one image through trace, evidence, scores and verdicts."""
    check_alpha(alpha)
    natural = load_picture(load_bundle(bundle), image)
    with quiet_stdout():
        record: dict[str, Any] = telltale.analyse(natural, bundle=bundle, alpha=alpha).to_json()
    prediction = record["prediction"]
    table = Table("detector", "score", "p-value", "threshold", f"adversarial at {alpha:g}")
    table.title = f"{prediction['label']} ({prediction['confidence']:.1%})"
    verdicts = [*record["verdicts"], *filter(None, [record["fused"]])]
    for verdict in verdicts:
        detector, score, p_value, adversarial = (
            text(verdict[key]) for key in ("detector", "score", "p_value", "adversarial")
        )
        threshold = verdict["threshold"]
        shown = text(threshold) if threshold is None or math.isinf(threshold) else titles.threshold(threshold)
        table.add_row(detector, score, p_value, shown, adversarial)
    alike = [f"{v['detector']}: {titles.alike(v['common_score'])}." for v in verdicts if "common_score" in v]
    table.caption = "\n".join(alike) or None
    print_record(record, table, as_json)


def _check_out(out: Path | None) -> None:
    """Refuse a file that cannot be written before anything is computed for it."""
    if out is None:
        return
    if out.suffix.lower() != ".png":
        raise InputError(f"--out must name a .png file, because only PNG keeps every pixel; got '{out}'.")
    check_writable(out, "--out")


def _parse_target(target: str | None, spec: AnyAttack, bundle: Bundle) -> int | RandomTarget | None:
    if target is None:
        return None
    if not spec.targeted:
        raise InputError(f"The attack '{spec.name}' cannot aim at a class; leave --target out.")
    names = bundle.class_names
    if target in names:
        return names.index(target)
    if target.isdecimal() and int(target) < len(names):
        return int(target)
    if target == RANDOM:
        return RANDOM
    accepted = f"{', '.join(names)}, an index below {len(names)}, or {RANDOM}"
    raise InputError(f"--target must be one of {accepted}; got '{target}'.")


def _attack_record(result: AttackResult, bundle: Bundle, out: Path | None) -> dict[str, object]:
    names, target = bundle.class_names, int(result.targets[0])
    parameters: Mapping[str, ParameterValue] = result.parameters
    return {
        "attack": result.attack,
        "bundle": bundle.name,
        "parameters": dict(parameters),
        "seed": result.seed,
        "target": names[target] if target >= 0 else None,
        "success": bool(result.success[0]),
        "label": names[int(result.labels[0])],
        "prediction": names[int(result.predictions[0])],
        "linf": float(result.linf[0]),
        "l2": float(result.l2[0]),
        "l0": int(result.l0[0]),
        "gradients": int(result.gradients[0]),
        "queries": int(result.queries[0]),
        "seconds": float(result.seconds),
        "out": None if out is None else str(out),
        "image_sha256": image_sha256(result.images[0]),
    }
