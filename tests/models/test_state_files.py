"""Files of weights: what is read, what is refused before torch could run it, and what is said where names differ."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from telltale.base.errors import InputError
from telltale.models.state_files import fill, read_state


def network(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, outputs))


def saved(folder: Path, state: object, name: str = "weights.pth") -> Path:
    file = folder / name
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file)
    return file


class Dangerous:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights.pt"])
def test_weights_come_back_as_they_were_saved(tmp_path, name) -> None:
    source, target = network(), network()
    file = saved(tmp_path, source.state_dict(), name)
    assert fill(target, read_state(file), file) is None
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "_orig_mod."])
def test_a_prefix_of_wrappers_is_taken_off_and_said(tmp_path, prefix) -> None:
    source, target = network(), network()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    file = saved(tmp_path, {"epoch": 3, "state_dict": state})
    remark = fill(target, read_state(file), file)
    assert remark is not None and f"'{prefix}'" in remark
    assert torch.equal(target[3].weight, source[3].weight)


def test_a_prefix_of_the_network_itself_stays(tmp_path) -> None:
    target = nn.ModuleDict({"model": nn.Linear(2, 2)})
    file = saved(tmp_path, target.state_dict())
    assert fill(target, read_state(file), file) is None


def test_older_files_without_counters_fit(tmp_path) -> None:
    state = {key: value for key, value in network().state_dict().items() if "num_batches" not in key}
    file = saved(tmp_path, state)
    assert fill(network(), read_state(file), file) is None


def test_names_and_shapes_that_do_not_fit_are_named(tmp_path) -> None:
    state = dict(network().state_dict())
    file = saved(tmp_path, {**{k: v for k, v in state.items() if k != "3.bias"}, "4.bias": state["3.bias"]})
    with pytest.raises(InputError, match=r"1 missing \(3.bias\) and 1 that it does not have \(4.bias\)"):
        fill(network(), read_state(file), file)
    file = saved(tmp_path, state)
    with pytest.raises(InputError, match=r"'3.weight' has shape \(3, 4\) there and \(5, 4\)"):
        fill(network(5), read_state(file), file)
    state["3.bias"] = torch.full((3,), torch.nan)
    file = saved(tmp_path, state)
    with pytest.raises(InputError, match=r"not all finite numbers: look at '3.bias'"):
        fill(network(), read_state(file), file)


def test_nothing_that_could_run_is_read(tmp_path) -> None:
    trace = tmp_path / "ran"
    for name in ("weights.pth", "weights.pt", "weights.pt2", "weights.pkl"):
        file = saved(tmp_path, {"a": Dangerous(trace)}, name)
        with pytest.raises(InputError, match=r"more than weights|pickle|program"):
            read_state(file)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Dangerous(trace)))
    with pytest.raises(InputError):
        read_state(tmp_path / "bare.pth")
    with pytest.raises(InputError, match="more than weights"):
        read_state(saved(tmp_path, network()))
    assert not trace.exists()


def test_programs_are_refused_by_what_is_in_them_whatever_their_name(tmp_path, monkeypatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("torch was given a program")

    script, program = tmp_path / "script.pth", tmp_path / "program.pt"
    torch.jit.script(nn.Linear(2, 2)).save(script)
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), tmp_path / "program.pt2")
    program.write_bytes((tmp_path / "program.pt2").read_bytes())
    monkeypatch.setattr(torch, "load", never)
    with pytest.raises(InputError, match="TorchScript"):
        read_state(script)
    for file in (program, tmp_path / "program.pt2"):
        with pytest.raises(InputError, match="exported program"):
            read_state(file)


def test_missing_damaged_and_foreign_files_are_one_sentence(tmp_path) -> None:
    with pytest.raises(InputError, match="no file of weights"):
        read_state(tmp_path / "none.safetensors")
    for name in ("cut.pth", "cut.safetensors"):
        whole = saved(tmp_path, network().state_dict(), name)
        whole.write_bytes(whole.read_bytes()[:-200])
        with pytest.raises(InputError, match="damaged"):
            read_state(whole)
    with pytest.raises(InputError, match="no state dict"):
        read_state(saved(tmp_path, [1, 2]))
    (tmp_path / "a.onnx").touch()
    with pytest.raises(InputError, match="no file of weights that is read here"):
        read_state(tmp_path / "a.onnx")
