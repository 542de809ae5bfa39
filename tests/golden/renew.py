"""Write the numbers of the shipped bundles anew, after these were built anew: ``python tests/golden/renew.py``.

For nothing else: where a change of the code alone changes a number, the change is wrong.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
from typing import Any

from safetensors.numpy import load_file

import telltale
from support.golden import (
    ATTACKS,
    GOLDEN,
    TERMINAL,
    analysis_numbers,
    attack_numbers,
    bundle_numbers,
    calibration_numbers,
    golden,
    plain,
)
from telltale.base.images import to_floats
from telltale.cli import main

NUMBERS, INPUTS = golden("numbers.json"), load_file(GOLDEN / "inputs.safetensors")


def said(*arguments: str) -> str:
    """Run a command in the repository's folder and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.chdir(GOLDEN.parents[1]):
        assert main(arguments) == 0
    return printed.getvalue()


def input_numbers(key: str) -> dict[str, Any]:
    """Return what `numbers.json` holds of one input."""
    image, kept = to_floats(INPUTS[key]), {name: NUMBERS["inputs"][key][name] for name in ("bundle", "origin")}
    attacks = {attack: attack_numbers(image, kept["bundle"], attack) for attack in ATTACKS}
    return kept | analysis_numbers(image, kept["bundle"]) | {"attacks": attacks}


def of_bundle(name: str) -> dict[str, Any]:
    """Return what `numbers.json` holds of a bundle."""
    image = to_floats(INPUTS[next(key for key in INPUTS if key.startswith(name))])
    return bundle_numbers(name) | {"calibrations": calibration_numbers(telltale.analyse(image, bundle=name))}


def write(name: str, value: Any) -> None:
    """Write a golden file of JSON."""
    data = json.dumps(plain(value), indent=1, ensure_ascii=False).encode()
    (GOLDEN / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data + b"\n")


if __name__ == "__main__":
    bundles = {name: of_bundle(name) for name in NUMBERS["bundles"]}
    write("numbers.json", {"bundles": bundles, "inputs": {key: input_numbers(key) for key in INPUTS}})
    analysed = json.loads(said("analyse", "assets/digit.png", "--json"))
    del analysed["timings_ms"]
    write("analyse.json", analysed)
    for name in bundles:
        write(f"evaluate_{name}.json.gz", json.loads(said("evaluate", name, "--json")))
    if telltale.load_bundle("cifar10").image_set is not None:
        raise SystemExit("bundles.txt is written where the images of cifar10 are not; all else is written.")
    os.environ |= TERMINAL
    (GOLDEN / "bundles.txt").write_text(said("bundles"))
