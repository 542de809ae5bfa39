"""``NAME.toml``: what was found about a network, written for a person to edit, and read back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telltale.base.errors import InputError
from telltale.base.files import file_sha256
from telltale.building.inspecting.inspect import Stated, wrap_model
from telltale.building.inspecting.inspection import Inspection
from telltale.models.classifier import Classifier
from telltale.models.code import is_code
from telltale.models.fine_tuned import is_fine_tuned
from telltale.models.preprocess import Interpolation, Preprocess, Side
from telltale.models.references import ACCEPTED, FoundModel, find_model

SUFFIX = ".toml"


@dataclass(frozen=True)
class ModelSettings:
    """What a file of settings says.

    Attributes
    ----------
    reference : str
    arguments : dict
    code : str or None
        SHA-256 (hexadecimal) of the code.
    weights : Path or None
    weights_sha256 : str or None
    source : str or None
        Of the images; None where there are none.
    stated : Stated
        Everything about the network and the build.
    """

    reference: str
    source: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    weights: Path | None = None
    weights_sha256: str | None = None
    stated: Stated = field(default_factory=Stated)

    def find(self) -> FoundModel:
        """Make the network again.

        Code runs only where it was named on this machine, and is what it was.

        Raises
        ------
        InputError
            If it cannot be had, or its weights are other ones.
        """
        file = Path(self.reference) if is_fine_tuned(self.reference) else self.weights
        if file is not None and file.is_file() and file_sha256(file) != self.weights_sha256:
            raise InputError(f"The weights in '{file}' are not those that were inspected: run telltale inspect again.")
        return find_model(self.reference, self.weights, self.arguments, self.code)

    def classifier(self) -> Classifier:
        """Make the classifier again; see `find`."""
        return wrap_model(self.find(), self.stated)


# --- writing --------------------------------------------------------------------------------------------------------


def settings_text(found: Inspection, stated: Stated) -> str:
    """Write what was found and stated as TOML, with a comment on everything."""
    return "\n".join([*_head(found), *_model(found), *_data(found), *_network(found), *_build(stated)]) + "\n"


def _head(found: Inspection) -> Iterator[str]:
    yield f"# {found.name}: what 'telltale inspect' has found. Edit what is not so, and inspect again."
    yield from (f"# Look at this first: {_one_line(warning)}" for warning in found.warnings)


def _model(found: Inspection) -> Iterator[str]:
    model = found.model
    yield "\n[model]"
    yield f"# {ACCEPTED}."
    yield f"reference = {_value(model.reference)}"
    if model.code is not None:
        yield "# What the function is called with, and the SHA-256 of its file: changed code does not run unasked."
        yield f"arguments = {_value(model.arguments)}"
        yield f"code_sha256 = {_value(model.code)}"
    if model.weights is not None:
        if not is_fine_tuned(model.reference):
            yield f"weights = {_value(str(model.weights))}"
        yield f"weights_sha256 = {_value(model.weights_sha256)}"


def _data(found: Inspection) -> Iterator[str]:
    yield "\n[data]"
    if found.source is None:
        yield "# None yet: a build is done at once, and has what needs no other picture. A folder with one folder of"
        yield "# pictures per class, a folder of pictures, or a data set brings the rest."
        yield '# source = "photos/"'
        return
    yield f"source = {_value(found.source)}"
    yield "# Has the network learned from them (from those of the folder 'train', where there is one)? true or false."
    yield "# Only true brings influence and training images that are probably mislabelled."
    yield "# trained_on = true" if found.trained_on is None else f"trained_on = {_value(found.trained_on)}"
    yield "\n# Class of the data = output of the network, by index or name. Classes that are not here are left out."
    yield "[data.classes]"
    for folder, output in found.classes.outputs.items():
        yield f"{_text(folder)} = {output}  # {_one_line(found.class_name(output))}"
    yield from (f"# {_text(folder)} =  # no output is named so" for folder in found.classes.unmatched)
    for folder, outputs in found.classes.ambiguous.items():
        yield f"# {_text(folder)} =  # one of {', '.join(map(str, outputs))}"


def _network(found: Inspection) -> Iterator[str]:
    classifier = found.classifier
    preprocess = classifier.preprocess
    yield "\n[network]"
    if classifier.class_names != found.model.class_names:
        yield "# Names of the outputs, in their order."
        yield f"class_names = {_value(classifier.class_names)}"
    yield "# Channels, height and width of the images that it takes."
    yield f"input_shape = {_value(classifier.input_shape)}"
    yield "# Layers that are traced, in the order in which they run; MODULE:2 is a second call, MODULE:input its input."
    yield f"layers = {_value(_references(classifier))}"
    if classifier.plan.chosen_head is not None:
        yield "# The module whose output are the logits."
        yield f"head = {_value(classifier.plan.chosen_head)}"
    yield "\n[preprocess]"
    yield "# Shorter side in pixels, or [height, width]; then the size of the centre that is kept."
    for name in ("resize", "crop"):
        value = getattr(preprocess, name)
        yield f"# {name} = 224" if value is None else f"{name} = {_value(value)}"
    yield f"interpolation = {_value(preprocess.interpolation)}"
    yield "# Of pixels between 0 and 1, one number or one per channel: the network is given (pixel - mean) / std."
    for name, usual in (("mean", "[0.485, 0.456, 0.406]"), ("std", "[0.229, 0.224, 0.225]")):
        value = getattr(preprocess, name)
        yield f"# {name} = {usual}" if value is None else f"{name} = {_value(value)}"


def _build(stated: Stated) -> Iterator[str]:
    yield "\n[build]"
    yield "# What people see as the model's name."
    yield '# title = "Our model"' if stated.title is None else f"title = {_value(stated.title)}"
    yield "# Names; where empty, FGSM, PGD and DeepFool, and every detector that finds its evidence."
    yield f"attacks = {_value(stated.attacks)}"
    yield f"detectors = {_value(stated.detectors)}"


def _references(classifier: Classifier) -> list[str]:
    # The input of the head is added by itself where it is not there already.
    head = classifier.plan.linear
    return [layer.reference for layer in classifier.plan.layers if layer.reference != f"{head}:input"]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_text(str(key))} = {_value(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    raise InputError(f"A file of settings cannot hold {value!r}; leave the argument out.")


def _text(value: str) -> str:
    # JSON's way of writing text is TOML's, but for one character that it leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(value: str) -> str:
    """Return text for a comment, which ends with its line and holds nothing that cannot be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(value.split()))


# --- reading --------------------------------------------------------------------------------------------------------

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are(check: Check, *counts: int) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value)) and (not counts or len(value) in counts)


def _is_side(value: Any) -> bool:
    return _is_whole(value) or _are(_is_whole, 2)(value)


def _is_per_channel(value: Any) -> bool:
    return _is_number(value) or (_are(_is_number)(value) and len(value) > 0)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_output(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_class_table(value: Any) -> bool:
    return _is_table(value) and all(map(_is_output, value.values()))


FIELDS: Mapping[str, Mapping[str, tuple[Check, str]]] = {
    "model": {
        "reference": (_is_text, "text"),
        "arguments": (_is_table, "a table"),
        "code_sha256": (_is_sha256, "64 hexadecimal digits"),
        "weights": (_is_text, "the path of a file"),
        "weights_sha256": (_is_sha256, "64 hexadecimal digits"),
    },
    "data": {
        "source": (_is_text, "text"),
        "trained_on": (_is_truth, "true or false"),
        "classes": (_is_class_table, "a table of outputs, each an index or a name"),
    },
    "network": {
        "class_names": (_are(_is_text), "a list of names"),
        "input_shape": (_are(_is_whole, 3), "three whole numbers: channels, height and width"),
        "layers": (_are(_is_text), "a list of modules"),
        "head": (_is_text, "the name of a module"),
    },
    "preprocess": {
        "resize": (_is_side, "a whole number or [height, width]"),
        "crop": (_is_side, "a whole number or [height, width]"),
        "interpolation": (lambda value: value in ("bilinear", "bicubic"), "'bilinear' or 'bicubic'"),
        "mean": (_is_per_channel, "a number or one per channel"),
        "std": (_is_per_channel, "a number or one per channel"),
    },
    "build": {
        "title": (_is_text, "text"),
        "attacks": (_are(_is_text), "a list of names"),
        "detectors": (_are(_is_text), "a list of names"),
    },
}


def read_settings(file: Path) -> ModelSettings:
    """Read what `settings_text` has written and a person has edited.

    Raises
    ------
    InputError
        If there is no such file, it is no TOML, or a field is not known, missing or of another form.
    """
    raw = _parsed(file)
    model, data, network, build = (raw.get(name, {}) for name in ("model", "data", "network", "build"))
    sides = {name: _side(value) for name, value in raw.get("preprocess", {}).items() if name in ("resize", "crop")}
    rest: dict[str, Any] = {k: v for k, v in raw.get("preprocess", {}).items() if k not in sides}
    shape = network.get("input_shape")
    weights = model.get("weights")
    stated = Stated(
        size=None if shape is None else (shape[1], shape[2]),
        preprocess=_preprocess(sides, rest) if sides or rest else None,
        class_names=network.get("class_names"),
        classes=data.get("classes", {}),
        layers=network.get("layers"),
        head=network.get("head"),
        channels=None if shape is None else shape[0],
        attacks=tuple(build.get("attacks", ())),
        detectors=tuple(build.get("detectors", ())),
        title=build.get("title"),
        trained_on=data.get("trained_on"),
    )
    return ModelSettings(
        model["reference"],
        data.get("source"),
        model.get("arguments", {}),
        model.get("code_sha256"),
        None if weights is None else Path(weights).expanduser(),
        model.get("weights_sha256"),
        stated,
    )


def _preprocess(sides: Mapping[str, Side], rest: Mapping[str, Any]) -> Preprocess:
    interpolation: Interpolation = rest.get("interpolation", "bilinear")
    return Preprocess(sides.get("resize"), sides.get("crop"), rest.get("mean"), rest.get("std"), interpolation)


def _side(value: Any) -> Side:
    return (value[0], value[1]) if isinstance(value, list) else value


def _parsed(file: Path) -> dict[str, dict[str, Any]]:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no file of settings '{file}'; telltale inspect writes one.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The file of settings '{file}' cannot be read.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"'{file}' is no TOML: {error}.") from error
    for section, fields in raw.items():
        if section not in FIELDS or not isinstance(fields, dict):
            raise InputError(
                f"'{file}' has no section [{section}]; it has {', '.join(f'[{name}]' for name in FIELDS)}."
            )
        _check_section(file, section, fields)
    model = raw.get("model", {})
    if "reference" not in model:
        raise InputError(f"'{file}' lacks 'reference' in [model].")
    reference = model["reference"]
    with_weights = "weights" in model or is_fine_tuned(reference)
    for name, needed in (("code_sha256", is_code(reference)), ("weights_sha256", with_weights)):
        if needed and name not in model:
            raise InputError(f"'{file}' lacks '{name}' in [model]; telltale inspect writes it.")
    return raw


def _check_section(file: Path, section: str, fields: Mapping[str, Any]) -> None:
    known = FIELDS[section]
    for name, value in fields.items():
        if name not in known:
            raise InputError(f"'{file}' has '{name}' in [{section}], which is not known; it takes {', '.join(known)}.")
        check, accepted = known[name]
        if not check(value):
            raise InputError(f"'{name}' in [{section}] of '{file}' must be {accepted}. Got {value!r} instead.")
