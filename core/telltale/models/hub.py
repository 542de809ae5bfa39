"""Image classifiers of the `transformers` library, from the hub or a folder: weights and settings, never code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.factories import model_factory
from telltale.models.hub_processor import Processor, read_processor

PREFIX = "hf:"
CONFIG, PROCESSORS = "config.json", ("preprocessor_config.json", "processor_config.json")
WANTED = ("*.json", "*.safetensors")

# What would bring in code or other packages, or only says how some machine computed: none of it is the network.
LEFT_OUT = ("auto_map", "_name_or_path", "dtype", "torch_dtype")
CHOSEN_BY = "_implementation"  # settings that end so choose kernels, which may be fetched from the hub: code
REFUSED = ("quantization_config", "use_timm_backbone", "backbone", "use_kernels")


@dataclass(frozen=True)
class HubModel:
    """A model as its folder describes it.

    Attributes
    ----------
    network : nn.Module
        Gives the logits.
    class_names : tuple of str
    processor : Processor or None
        None where the folder has no image processor.
    """

    network: nn.Module
    class_names: tuple[str, ...]
    processor: Processor | None


class LogitsOf(nn.Module):
    """A model of the library, of which only the logits are returned."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map pixels (n, C, H, W), normalised, to logits (n, classes)."""
        logits: torch.Tensor = self.model(pixel_values=pixels).logits
        return logits


@model_factory("transformers")
def transformers_network(config: dict[str, Any]) -> nn.Module:
    """Make a network with random weights from its settings; its code is the library's own.

    Raises
    ------
    InputError
        If the settings are not those of one of the library's image classifiers.
    """
    from transformers import AutoModelForImageClassification

    settings = _read_config(config)
    try:
        model = AutoModelForImageClassification.from_config(  # type: ignore[no-untyped-call]
            settings, trust_remote_code=False, attn_implementation="eager"
        )
    except Exception as error:  # whatever other people's settings raise
        raise InputError(f"The settings of the model do not make a network: {_first_line(error)}") from error
    return LogitsOf(model.float())


def read_model(reference: str) -> HubModel:
    """Read ``hf:OWNER/NAME[@REVISION]`` or a folder that `save_pretrained` wrote.

    Raises
    ------
    InputError
        If it cannot be had, is no image classifier, needs code of its own, or lacks weights as safetensors.
    """
    folder = _fetched(reference.removeprefix(PREFIX)) if reference.startswith(PREFIX) else Path(reference)
    config = _json(folder / CONFIG, reference)
    _read_config(config)  # as it came: what asks for code of its own is left out of what is kept
    _check_weights(folder, reference)
    network = transformers_network(config=_portable(config))
    assert isinstance(network, LogitsOf)
    _load(network, folder, config, reference)
    file = next((folder / name for name in PROCESSORS if (folder / name).is_file()), None)
    processor = None if file is None else read_processor(_json(file, reference))
    return HubModel(network, _class_names(network), processor)


def is_hub_model(reference: str) -> bool:
    """Whether a reference names a model on the hub, or a folder with the settings of one."""
    return reference.startswith(PREFIX) or (Path(reference).expanduser() / CONFIG).is_file()


def _fetched(name: str) -> Path:
    """Return the folder of a model on the hub, which brings no other files than settings and safetensors."""
    from huggingface_hub import snapshot_download

    hub_id, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(hub_id, revision=revision or None, allow_patterns=list(WANTED)))
    except Exception as error:  # no connection, no such model, no permission: the client has its own errors for each
        raise InputError(
            f"The model '{name}' could not be fetched: the hub cannot be reached or has no such model or revision."
        ) from error


def _check_weights(folder: Path, reference: str) -> None:
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"'{reference}' has no weights as safetensors, and no others are read.")


def _portable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out, of the settings and those within them, what is not the network."""
    return {
        name: _portable(value) if isinstance(value, Mapping) else value
        for name, value in config.items()
        if name not in LEFT_OUT and not name.endswith((CHOSEN_BY, f"{CHOSEN_BY}_internal"))
    }


def _read_config(config: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as KNOWN

    kind = config.get("model_type")
    if kind not in KNOWN:
        own = " It brings code of its own, which is never run." if "auto_map" in config else ""
        raise InputError(f"The model is of type '{kind}', no image classifier that transformers has.{own}")
    named = [name for name in REFUSED if config.get(name)]
    if named:
        raise InputError(f"The model's settings ask for '{named[0]}', which is not supported here.")
    given = {name: value for name, value in _portable(config).items() if name != "model_type"}
    try:
        return AutoConfig.for_model(str(kind), **given)
    except Exception as error:  # whatever other people's settings raise
        raise InputError(f"The settings of the model cannot be read: {_first_line(error)}") from error


def _load(network: LogitsOf, folder: Path, config: Mapping[str, Any], reference: str) -> None:
    """Load the weights by the library, which knows the names that they had in its earlier versions."""
    from transformers import AutoModelForImageClassification

    try:
        model, found = AutoModelForImageClassification.from_pretrained(
            folder,
            config=_read_config(config),
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # damaged files, other shapes: the library has its own errors for each
        raise InputError(f"The weights of '{reference}' cannot be read: {_first_line(error)}") from error
    missing = sorted(map(str, found["missing_keys"])) + sorted(map(str, found.get("mismatched_keys", ())))
    if missing:
        raise InputError(
            f"The weights of '{reference}' are not all there, '{missing[0]}' among {len(missing)}; a model that was "
            "never trained to classify has no head."
        )
    network.model = model


def _class_names(network: LogitsOf) -> tuple[str, ...]:
    settings: Any = network.model.config  # torch's stubs take every attribute for a module or a tensor
    named: Mapping[int, str] = settings.id2label
    names = [str(named[index]) for index in sorted(named)]
    # Names may be there twice; every class needs its own.
    return tuple(name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names))


def _json(file: Path, reference: str) -> dict[str, Any]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The file '{file.name}' of '{reference}' is missing or damaged.") from error
    if not isinstance(raw, dict):
        raise InputError(f"The file '{file.name}' of '{reference}' is damaged.")
    return raw


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"
