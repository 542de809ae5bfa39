"""Files of fine-tuning: networks with new heads made again, and nothing run that a file asks for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import telltale
from support.coloured import TEXT
from support.foreign_networks import foreign, inverted_residuals
from telltale.base.errors import InputError
from telltale.base.files import load_arrays, load_metadata, save_arrays
from telltale.models.classifier import Classifier
from telltale.models.factories import made_by, make
from telltale.models.fine_tuned import KEY, Learned, read_fine_tuned, write_fine_tuned
from telltale.models.new_heads import replaced_head, with_new_head
from telltale.models.references import find_model
from telltale.models.weights import load_weights, save_weights

LEARNED = Learned("imagenet", "photos", "f" * 64, 1817, 2, 341, 0.8533)
NAMES = ["boots", "coat", "dress", "hat"]


def tuned(name: str, head: str) -> Classifier:
    """Return a network of the matrix with a new head of four classes and numbers in it."""
    known = foreign(name, 3, 32, 32)
    network = replaced_head(known.network, head, 4)
    linear = network.get_submodule(head)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        linear.weight.normal_()
        linear.bias.normal_()
    return telltale.wrap(network, classes=NAMES, size=32, preprocess=known.preprocess, head=known.plan.chosen_head)


@pytest.mark.parametrize(
    ("name", "head"),
    [("inverted_residuals", "classifier.1"), ("functional_relu", "head"), ("tokens", "head"), ("two_heads", "wanted")],
)
def test_what_is_below_the_new_head_stays_and_the_file_gives_it_back(name, head, tmp_path) -> None:
    known, classifier = foreign(name, 3, 32, 32), tuned(name, head)
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    linear = classifier.network.get_submodule(head)
    with torch.no_grad():
        expected = known.hidden(images) @ linear.weight.T + linear.bias
        assert torch.allclose(classifier(images), expected, atol=1e-5)
        assert known(images).shape == (5, 3)  # the network that was known is left as it was
    file = tmp_path / "mine.safetensors"
    write_fine_tuned(file, classifier, LEARNED)
    found = read_fine_tuned(file)
    assert found.class_names == tuple(NAMES) and found.size == (32, 32) and found.learned == LEARNED
    again = telltale.wrap(found.network, classes=NAMES, size=32, preprocess=found.preprocess, head=found.head)
    with torch.no_grad():
        assert torch.equal(again(images), classifier(images))
    assert again.spec == classifier.spec


def test_another_process_makes_it_from_its_spec(tmp_path) -> None:
    classifier = tuned("inverted_residuals", "classifier.1")
    save_weights(classifier, tmp_path / "weights.safetensors")
    again = load_weights(classifier.spec, tmp_path / "weights.safetensors")
    images = np.random.default_rng(0).random((3, 3, 32, 32), dtype=np.float32)
    assert np.allclose(again.logits_of(images), classifier.logits_of(images), atol=1e-5)


def test_a_head_that_is_new_already_is_replaced_not_wrapped() -> None:
    network = replaced_head(tuned("two_heads", "wanted").network, "wanted", 6)
    assert made_by(network).arguments == {
        "network": "two_heads",
        "arguments": {"classes": 3},
        "head": "wanted",
        "classes": 6,
        "code": None,
    }
    assert network.get_submodule("wanted").out_features == 6


def test_a_network_that_nobody_could_make_again_is_refused() -> None:
    with pytest.raises(InputError, match="No registered factory made this network"):
        replaced_head(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), "1", 3)
    with pytest.raises(InputError, match=r"no linear layer 'features\.0'"):
        replaced_head(inverted_residuals(classes=3), "features.0", 3)
    with pytest.raises(InputError, match="no linear layer 'none'"):
        replaced_head(inverted_residuals(classes=3), "none", 3)
    with pytest.raises(InputError, match="replaced once"):
        with_new_head(network="new_head", arguments={}, head="1", classes=3)


# --- files that are not trusted -------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    path = tmp_path / "mine.safetensors"
    write_fine_tuned(path, tuned("inverted_residuals", "classifier.1"), LEARNED)
    return path


def rewritten(file: Path, **changes: object) -> Path:
    header = json.loads(load_metadata(file)[KEY]) | changes
    save_arrays(file, load_arrays(file), {KEY: json.dumps({k: v for k, v in header.items() if v != "absent"})})
    return file


def test_it_is_a_model_by_reference(file, monkeypatch) -> None:
    monkeypatch.chdir(file.parent)
    found = find_model("mine.safetensors")
    assert found.reference == str(file) and found.learned == LEARNED and found.weights_sha256 is not None
    assert found.remarks == (
        "The head and its last 2 blocks of 'imagenet' learned from 1,817 training images of 'photos'; of 341 "
        "validation images 85.3% are read correctly.",
    )
    with pytest.raises(InputError, match="brings its own weights"):
        find_model("mine.safetensors", file)
    with pytest.raises(InputError, match="Only code takes arguments"):
        find_model("mine.safetensors", arguments={"a": 1})
    with pytest.raises(InputError, match="There is no file"):
        find_model("none.safetensors")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "absent"}, "not which network they are for"),
        ({"network": 3}, "not which network they are for"),
        ({"classes": 4}, "not which network they are for"),
        ({"classes": ["a", 2]}, "not which network they are for"),
        ({"classes": ["a", "b"]}, "do not fit the network"),
        ({"size": [32]}, "not which network they are for"),
        ({"preprocess": {"resize": -1}}, "not which network they are for"),
        ({"preprocess": {"other": 1}}, "not which network they are for"),
        ({"learned": {}}, "not which network they are for"),
        ({"network": "nowhere"}, "factory 'nowhere' is not known here"),
        ({"network": "new_head"}, "replaced once"),
        ({"arguments": {"classes": 5, "evil": 1}}, "does not make a network"),
        ({"head": "features.0"}, "no linear layer"),
        ({"version": 2}, "another version of Telltale"),
    ],
)
def test_a_header_that_is_not_one_is_one_sentence(file, changes, sentence) -> None:
    with pytest.raises(InputError) as refusal:
        read_fine_tuned(rewritten(file, **changes))
    assert sentence in str(refusal.value) and "\n" not in str(refusal.value)


def test_files_of_something_else_are_refused(file, tmp_path) -> None:
    plain = tmp_path / "plain.safetensors"
    save_arrays(plain, {"a": np.zeros(3, np.float32)})
    with pytest.raises(InputError, match="only files of 'telltale train --from' do"):
        read_fine_tuned(plain)
    for words in ("[]", "{", "[" * 100_000):
        save_arrays(plain, {"a": np.zeros(3, np.float32)}, {KEY: words})
        with pytest.raises(InputError):
            read_fine_tuned(plain)
    plain.write_bytes(file.read_bytes()[:50])
    with pytest.raises(InputError, match="damaged"):
        read_fine_tuned(plain)


def test_code_that_a_file_names_runs_only_where_its_owner_has_named_it(file, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    ran = tmp_path / "ran"
    code = tmp_path / "evil.py"
    code.write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\n{TEXT}")
    with pytest.raises(InputError, match="nobody has named on this machine"):
        read_fine_tuned(rewritten(file, network=f"{code}:make", arguments={}, head="head", code="0" * 64))
    assert not ran.exists()
    with pytest.raises(InputError, match="is not known here"):
        read_fine_tuned(rewritten(file, network=f"{code}:make", code=None))
    assert not ran.exists()


def test_names_with_control_characters_are_written_out(file) -> None:
    names = [*NAMES[:3], "\x1b[31mhat"]
    learned = vars(LEARNED) | {"data": "photos\x1b[0m"}
    found = read_fine_tuned(rewritten(file, classes=names, learned=learned))
    assert found.class_names[3] == "\\x1b[31mhat" and found.learned.data == "photos\\x1b[0m"


def test_the_networks_factory_is_telltales_own() -> None:
    network = make(
        "new_head", {"network": "inverted_residuals", "arguments": {"classes": 3}, "head": "classifier.1", "classes": 9}
    )
    assert network.eval()(torch.zeros(2, 3, 32, 32)).tolist() == torch.zeros(2, 9).tolist()
