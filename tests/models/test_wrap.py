"""Any network as a classifier: logits, layers, head, trace and attacks of networks as other people write them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import telltale
from support.foreign_networks import CLASSES, MEAN, NETWORKS, SIZES, STD, Tokens, foreign, two_heads
from telltale.attacks import attack_images
from telltale.base.errors import DamagedBundleError, InputError
from telltale.models import factories
from telltale.models.layers import Layer
from telltale.models.spec import ClassifierSpec, small_resnet_spec
from telltale.models.weights import load_weights, save_weights

LAYERS = {
    "small_resnet": ("stem", "stage1_block1", "stage2_block1", "stage3_block1"),
    "functional_relu": ("stem", "blocks.0", "blocks.1", "blocks.2", "head:input"),
    "inverted_residuals": ("features.0", "features.1", "features.2", "features.3", "features.4"),
    "tokens": ("patches", "encoder.0", "encoder.1", "encoder.2", "encoder.3", "head:input"),
    "two_heads": ("body.1", "body.3"),
    "channels_last": ("patches", "blocks.0", "blocks.1", "blocks.2", "head:input"),
}
NORMALISED = ("functional_relu", "inverted_residuals")


def pixels(shape: tuple[int, int, int], n: int = 2) -> np.ndarray:
    bytes_ = np.random.default_rng(5).integers(0, 256, (n, *shape))
    return bytes_.astype(np.float32) / np.float32(255)


def bare(name: str, network: nn.Module, images: np.ndarray) -> torch.Tensor:
    """Return the logits that the network itself gives, normalised by hand."""
    x = torch.from_numpy(images)
    if name in NORMALISED:
        x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    if name == "small_resnet":
        x = (x - 0.4) / 0.3
    with torch.no_grad():
        returned = network(x)
    return returned[0] if name == "two_heads" else returned


matrix = pytest.mark.parametrize(
    ("name", "classes", "size"),
    [(name, classes, size) for name in NETWORKS for classes in CLASSES for size in SIZES],
    ids=lambda value: f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value),
)


@matrix
def test_any_network_is_traced_as_it_runs(name, classes, size) -> None:
    classifier = foreign(name, classes, *size)
    images = pixels(classifier.input_shape)
    assert classifier.input_shape == (3, *size) and classifier.layers == LAYERS[name]
    assert not classifier.training and classifier.head_problem is None
    expected = bare(name, classifier.network, images).numpy()
    np.testing.assert_allclose(classifier.logits(torch.from_numpy(images)).detach().numpy(), expected, atol=1e-5)
    trace = classifier.trace(images)
    np.testing.assert_allclose(trace.logits, expected, atol=1e-5)
    head = classifier.head
    assert head is not None and head.weights.shape == (classes, trace.hidden.shape[1])
    np.testing.assert_allclose(trace.hidden @ head.weights.T + head.bias, expected, atol=1e-4)
    found = [a.detach().numpy() for a in classifier.activations(torch.from_numpy(images))]
    for ours, theirs in zip(found, trace.activations, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_array_equal(found[-1], classifier.hidden(torch.from_numpy(images)).detach().numpy())


@matrix
def test_any_network_is_attacked(name, classes, size) -> None:
    classifier = foreign(name, classes, *size)
    images = pixels(classifier.input_shape)
    result = attack_images(classifier, images, "fgsm", {"eps": 0.1}, batch_size=2)
    assert (result.linf > 0.0).all() and (result.linf <= 0.1 + 1e-6).all()
    before, after = (bare(name, classifier.network, x).numpy() for x in (images, result.images))
    np.testing.assert_array_equal(result.labels, before.argmax(1))
    np.testing.assert_array_equal(result.success, after.argmax(1) != before.argmax(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_pooled_over_everything_but_channels(name) -> None:
    """What hooks see, averaged by hand where each network says that its channels are."""
    classifier = foreign(name, 3, 32, 32)
    images = pixels(classifier.input_shape, 3)
    seen: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(lambda *call, path=path: seen.setdefault(path, call[2].clone()))
        for path, module in classifier.network.named_modules()
        if path in {layer.module for layer in classifier.plan.layers if layer.place == "output"}
    ]
    bare(name, classifier.network, images)
    for handle in handles:
        handle.remove()
    order = [layer.module for layer in classifier.plan.layers if layer.place == "output"]
    assert order == list(seen), "layers stand in the order in which they run"
    for path, found in zip(order, classifier.trace(images).activations, strict=False):
        output = seen[path]
        if name == "tokens" and path != "patches":
            expected = output[:, 0]
        elif name == "channels_last" and path != "patches":
            expected = output.mean((1, 2))
        else:
            expected = output.mean((2, 3))
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6, err_msg=path)


def test_tokens_without_a_class_token_are_averaged_and_a_first_one_that_is_not_read_is_left_out() -> None:
    class Mean(Tokens):
        first = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.cat([self.class_token.expand(len(x), -1, -1), self.patches(x).flatten(2).transpose(1, 2)], 1)
            for block in self.encoder:
                x = block(x)
            return self.head(self.norm(x)[:, self.first :].mean(1))

    class Rest(Mean):
        first = 1

    for make, tokens in ((Mean, None), (Rest, (1, 17))):
        classifier = telltale.wrap(make(3, 32, 32, 8), classes=3, size=32)
        assert [layer.tokens for layer in classifier.plan.layers[1:-1]] == [tokens] * 4


def test_what_is_written_over_later_is_caught_before() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 5, 3),
        nn.BatchNorm2d(5),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
    )
    classifier = telltale.wrap(network, classes=4, size=9, layers=["1", "2"])
    images = pixels((3, 9, 9))
    with torch.no_grad():
        norm = network[1](network[0](torch.from_numpy(images)))
    trace = classifier.trace(images)
    assert [layer.cloned for layer in classifier.plan.layers] == [True, False]
    np.testing.assert_allclose(trace.activations[0], norm.mean((2, 3)).numpy(), atol=1e-6)
    np.testing.assert_allclose(trace.activations[1], norm.clamp(min=0).mean((2, 3)).numpy(), atol=1e-6)


def test_images_that_a_network_writes_over_stay_as_they_are() -> None:
    network = nn.Sequential(nn.ReLU6(inplace=True), nn.Hardtanh(0.2, 0.8, inplace=True), nn.Flatten(), nn.Linear(48, 3))
    classifier = telltale.wrap(network, classes=3, size=4)
    images = pixels((3, 4, 4))
    before = images.copy()
    classifier.trace(images)
    np.testing.assert_array_equal(images, before)


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.act, self.head = (
            nn.Conv2d(1, 4, 3),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.ReLU(),
            nn.Linear(4, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.stem(x))
        return self.head(self.act(self.conv(x) + x).mean((2, 3)))


def test_a_module_used_several_times_is_a_layer_at_each_of_its_calls() -> None:
    classifier = telltale.wrap(Reused(), classes=3, size=8, layers={"late": "act:2", "early": "act"})
    assert classifier.layers == ("early", "late")
    images = pixels((1, 8, 8))
    network = classifier.network
    with torch.no_grad():
        early = network.stem(torch.from_numpy(images)).relu()
        late = (network.conv(early) + early).relu()
    trace = classifier.trace(images)
    np.testing.assert_allclose(trace.activations[0], early.mean((2, 3)), atol=1e-6)
    np.testing.assert_allclose(trace.activations[1], late.mean((2, 3)), atol=1e-6)


def test_a_person_can_say_where_the_channels_are() -> None:
    classifier = telltale.wrap(Reused(), classes=3, size=8, layers=[Layer("stem", channel_axis=3), "act:2"])
    assert classifier.trace(pixels((1, 8, 8))).activations[0].shape == (2, 6)
    with torch.no_grad():
        expected = classifier.network.stem(torch.from_numpy(pixels((1, 8, 8)))).mean((1, 2))
    np.testing.assert_allclose(classifier.trace(pixels((1, 8, 8))).activations[0], expected, atol=1e-6)


def test_convolutions_whose_maps_are_as_wide_as_they_have_channels_and_end_in_a_linear_layer() -> None:
    """The last module says "channels last", the output is channels first, and both axes are 8 long."""

    class Modern(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.mix, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 3)
            self.out = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.out(self.mix(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
            return self.head(functional.gelu(x).mean((2, 3)))

    classifier = telltale.wrap(Modern(), classes=3, size=32, layers=["out"])
    assert classifier.plan.layers[0].channel_axis == 1


def test_two_threads_trace_one_classifier_at_once() -> None:
    classifier = foreign("small_resnet", 3, 32, 32)
    batches = [pixels((3, 32, 32), n) for n in (1, 2, 3, 4)]
    expected = [classifier.trace(batch) for batch in batches]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(20):
            found = classifier.trace(batches[i])
            if not all(
                np.allclose(a, b, atol=1e-5) for a, b in zip(found.activations, expected[i].activations, strict=True)
            ):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- heads --------------------------------------------------------------------------------------------------------


def flat(*last: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), *last)


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (flat(nn.Linear(5, 3), nn.LogSoftmax(1)), "The output of the last linear layer, '3', is not the logits."),
        (
            flat(nn.Linear(5, 3), nn.Hardtanh(-0.01, 0.01)),
            "The output of the last linear layer, '3', is not the logits.",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 3, 4), nn.Flatten()),
            "The network has no linear layer that is a module of its own.",
        ),
    ],
    ids=["log_softmax", "hardtanh", "convolution"],
)
def test_without_a_linear_head_the_reason_is_said_and_everything_else_works(network, problem) -> None:
    classifier = telltale.wrap(network, classes=3, size=4)
    assert classifier.head is None and classifier.head_problem == problem
    assert classifier.trace(pixels((3, 4, 4))).logits.shape == (2, 3)


def test_a_head_without_bias_has_zeros() -> None:
    head = telltale.wrap(flat(nn.Linear(5, 3, bias=False)), classes=3, size=4).head
    assert head is not None and head.bias.tolist() == [0.0] * 3


def test_of_two_heads_one_is_chosen_and_none_is_guessed() -> None:
    network = two_heads(3)
    sentence = (
        r"returns 2 values; name with head= the module whose output are the logits; these fit: 'other', 'wanted'\."
    )
    with pytest.raises(InputError, match=sentence):
        telltale.wrap(network, classes=3, size=32)
    other = telltale.wrap(network, classes=7, size=32, head="other")
    assert other.plan.key == 1 and other.head is not None and other.head.weights.shape == (7, 9)
    with pytest.raises(InputError, match=r"head='absent' is not a module that runs in the network"):
        telltale.wrap(network, classes=3, size=32, head="absent")
    with pytest.raises(InputError, match=r"The output of head='body' is not what the network returns"):
        telltale.wrap(network, classes=3, size=32, head="body")


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"classes": 4}, r"The network has 3 outputs, and 4 classes are given for them\."),
        ({"classes": ["cat", "cat", "dog"]}, r"Two classes have the same name; name each differently\."),
        (
            {"classes": ["cat", 3]},
            r"classes must be an integer of at least 2, or at least 2 names\. Got \['cat', 3\] instead\.",
        ),
        ({"classes": 1}, r"classes must be an integer of at least 2, or at least 2 names\. Got 1 instead\."),
        ({"size": 0}, r"size must be a number of pixels or \(height, width\)\. Got 0 instead\."),
        ({"size": (4, 4, 3)}, r"size must be a number of pixels or \(height, width\)\. Got \(4, 4, 3\) instead\."),
        ({"size": 5}, r"The network does not take images of shape \(2, 3, 5, 5\): RuntimeError: .*"),
        ({"layers": ["9"]}, r"There is no layer '9': '9' does not run in a forward pass\."),
        ({"layers": ["2:2"]}, r"There is no layer '2:2': '2' runs 1 time in a forward pass\."),
        ({"layers": ["2:x"]}, r"'2:x' does not name a layer: write 'module', 'module:2' or 'module:input'\."),
        ({"layers": ["2", "2"]}, r"Two layers are called '2'; name every layer once\."),
        ({"layers": "2"}, r"layers must be a list of names, not one name\."),
        ({"preprocess": telltale.Preprocess(crop=5)}, r"Pictures are cropped to 5, but size is 4; .*"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(arguments, sentence) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        telltale.wrap(flat(nn.Linear(5, 3)), **({"classes": 3, "size": 4} | arguments))


def test_only_modules_are_wrapped() -> None:
    with pytest.raises(InputError, match=r"^wrap takes a torch\.nn\.Module\. Got function instead\.$"):
        telltale.wrap(lambda x: x, classes=3, size=4)  # type: ignore[arg-type]


# --- preprocessing ------------------------------------------------------------------------------------------------


def test_a_picture_is_resized_and_cropped_as_declared() -> None:
    from PIL import Image

    bytes_ = np.random.default_rng(0).integers(0, 256, (60, 90), dtype=np.uint8)
    bytes_ = np.asarray(Image.fromarray(bytes_).resize((90, 60), Image.Resampling.BICUBIC, (20, 10, 60, 50)))
    picture = (bytes_[None] / np.float32(255)).astype(np.float32)
    found = telltale.Preprocess(resize=32, crop=28).to_size(picture)
    expected = np.asarray(Image.fromarray(bytes_).resize((48, 32), Image.Resampling.BILINEAR))[2:30, 10:38]
    assert found.shape == (1, 28, 28)
    np.testing.assert_allclose(found[0], expected / 255, atol=1.5 / 255)
    with pytest.raises(InputError, match=r"A picture of 60 x 90 pixels is smaller than the crop of 64 x 64\."):
        telltale.Preprocess(crop=64).to_size(picture)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"resize": 0}, r"resize must be a positive number of pixels or \(height, width\)\. Got 0 instead\."),
        ({"mean": "x"}, r"mean must be a number or one number per channel\. Got 'x' instead\."),
        ({"std": (0.1, 0.0, 0.2)}, r"std must be positive\. Got \(0\.1, 0\.0, 0\.2\) instead\."),
    ],
)
def test_preprocessing_that_makes_no_sense_is_refused(arguments, sentence) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        telltale.Preprocess(**arguments)


# --- made again ---------------------------------------------------------------------------------------------------

REBUILD = """
import json, sys
import numpy as np
from pathlib import Path
from telltale.models.spec import ClassifierSpec
from telltale.models.weights import load_weights
for folder in map(Path, sys.argv[1:]):
    spec = ClassifierSpec.from_json(json.loads((folder / "spec.json").read_text()))
    classifier = load_weights(spec, folder / "weights.safetensors")
    np.save(folder / "logits.npy", classifier.trace(np.load(folder / "images.npy")).logits)
    assert classifier.spec == spec, (classifier.spec, spec)
"""


@pytest.mark.parametrize("named_by", ["module", "file"])
def test_another_process_makes_the_same_classifiers(named_by: str, tmp_path: Path, monkeypatch) -> None:
    names = tuple(NETWORKS) if named_by == "module" else ("tokens", "two_heads")
    for name in names:
        classifier, folder = foreign(name, 3, 32, 32), tmp_path / name
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps(classifier.spec.to_json()))
        save_weights(classifier, folder / "weights.safetensors")
        np.save(folder / "images.npy", pixels(classifier.input_shape))
    module = "support.foreign_networks"
    monkeypatch.setenv("TELLTALE_MODELS", module if named_by == "module" else str(sys.modules[module].__file__))
    command = [sys.executable, "-c", REBUILD, *(str(tmp_path / name) for name in names)]
    subprocess.run(command, check=True, timeout=300)
    for name in names:
        expected = foreign(name, 3, 32, 32).trace(np.load(tmp_path / name / "images.npy")).logits
        np.testing.assert_allclose(np.load(tmp_path / name / "logits.npy"), expected, atol=1e-5, err_msg=name)


def test_weights_that_are_not_the_specs_are_refused(tmp_path: Path) -> None:
    classifier = foreign("two_heads", 3, 32, 32)
    spec = classifier.spec
    other = telltale.wrap(two_heads(3), classes=3, size=32, head="wanted")
    save_weights(other, tmp_path / "weights.safetensors")
    with pytest.raises(DamagedBundleError, match="do not fit the network of this bundle"):
        load_weights(spec, tmp_path / "weights.safetensors")


def test_a_network_that_no_factory_made_has_no_spec_and_says_why() -> None:
    classifier = telltale.wrap(flat(nn.Linear(5, 3)), classes=3, size=4)
    with pytest.raises(InputError, match="No registered factory made this network"):
        _ = classifier.spec


def test_arguments_that_are_not_json_are_named(monkeypatch) -> None:
    monkeypatch.setattr(factories, "_factories", dict(factories._factories))

    @telltale.model_factory("activated")
    def activated(act):
        return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))

    classifier = telltale.wrap(activated(nn.ReLU()), classes=3, size=4)
    with pytest.raises(InputError, match=r"The argument 'act' of the factory 'activated' is not JSON: ReLU\(\)\."):
        _ = classifier.spec


def test_a_name_belongs_to_one_factory() -> None:
    with pytest.raises(InputError, match="There is another model factory called 'two_heads'"):
        telltale.model_factory("two_heads")(lambda: nn.Identity())


def test_an_unknown_factory_and_a_file_that_is_not_there_are_said(monkeypatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The network's factory 'nobodys' is not known here; name its FILE\.py"):
        factories.make("nobodys", {})
    monkeypatch.setenv("TELLTALE_MODELS", str(tmp_path / "absent.py"))
    with pytest.raises(
        InputError, match=r"absent\.py', named in TELLTALE_MODELS, cannot be imported: FileNotFoundError"
    ):
        factories.make("nobodys", {})


def test_specs_of_older_bundles_are_read() -> None:
    older = {"base_width": 4, "channels": 1, "classes": 10, "depth": 2, "height": 32, "width": 32}
    spec = ClassifierSpec.from_json(older)
    assert spec == small_resnet_spec(1, 32, 32, 10, 4, 2)
    assert [layer.name for layer in spec.layers or ()] == ["stem", *(f"stage{s}_block{b}" for s in "123" for b in "12")]
    assert ClassifierSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    with pytest.raises(DamagedBundleError, match="does not describe its network"):
        ClassifierSpec.from_json({"channels": 1})


def test_importing_telltale_imports_no_torch_and_its_names_are_there() -> None:
    code = """
import sys, telltale
telltale.Preprocess(mean=0.5)
assert "torch" not in sys.modules
telltale.wrap
assert {"wrap", "Preprocess", "model_factory"} <= set(dir(telltale))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


class Behaves(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.linear = how, nn.Linear(48, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        z = self.linear(x.flatten(1))
        if self.how == "random":
            return z + torch.randn_like(z)
        if self.how == "of its batch":
            return z - z.mean(0)
        return {"named": {"logits": z}["logits"].detach()} if self.how == "detached" else {"logits": z}


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("random", "gives other logits each time for the same images"),
        ("of its batch", "depend on the other images of its batch"),
        ("detached", "The logits have no gradient"),
    ],
)
def test_a_network_that_cannot_be_watched_is_refused(how, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        telltale.wrap(Behaves(how), classes=3, size=4)


def test_one_named_tensor_is_the_logits() -> None:
    network, images = Behaves("named"), torch.rand(2, 3, 4, 4)
    classifier = telltale.wrap(network, classes=3, size=4)
    torch.testing.assert_close(classifier.logits(images), network(images)["logits"])
    assert classifier.head is not None


def test_the_last_stage_is_the_last_one_with_places_whatever_flattens_it() -> None:
    def stage() -> list[nn.Module]:
        return [nn.Conv2d(3 if not layers else 4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]

    layers: list[nn.Module] = []
    layers += stage()
    layers += stage()
    flattened = telltale.wrap(nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3)), classes=3, size=16)
    assert flattened.layers == ("2", "5", "7:input")
    assert flattened.stage(torch.rand(1, 3, 16, 16)).shape == (1, 4, 4, 4)
    averaged = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    pooled = telltale.wrap(averaged, classes=3, size=16)
    assert pooled.layers == ("2", "5")
    assert pooled.stage(torch.rand(1, 3, 16, 16)).shape == (1, 4, 4, 4)
