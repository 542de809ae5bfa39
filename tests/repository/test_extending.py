"""The examples of docs/extending.md, run as they are printed: alone, and added to a copy of the library."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from support.clouds import problem
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images
from telltale.attacks.registry import ATTACKS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "extending.md"
DETECTOR, SUSPICION, ATTACK, KIND, FIGURE, PAGE = range(6)  # the examples in the order of the guide
FEWER_EPOCHS = "import support.tiny; support.tiny._train.__defaults__ = (6, 32)\n"  # any network will do


def printed(language: str, number: int) -> str:
    block = re.findall(rf"```{language}\n(.*?)   ```", DOCUMENT.read_text(), re.DOTALL)[number]
    return "\n".join(line.removeprefix("   ") for line in block.splitlines()) + "\n"


def example(number: int, folder: Path) -> ModuleType:
    file = folder / f"example_{number}.py"
    file.write_text(printed("python", number))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # What is defined in a module looks up its annotations there.
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def test_the_detector_of_the_guide_detects_and_can_be_stored(tmp_path: Path) -> None:
    kind = example(DETECTOR, tmp_path).ClassDistance
    (evidence, labels), (fresh, fresh_labels) = problem()
    detector = kind().fit(evidence, labels)
    scores = detector.score(fresh)
    assert roc_auc_score(fresh_labels.adversarial, scores) >= 0.9
    np.testing.assert_array_equal(kind().restore(detector.arrays()).score(fresh), scores)


def test_the_attack_of_the_guide_does_what_the_registered_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = example(ATTACK, tmp_path).SPEC
    monkeypatch.setitem(ATTACKS, spec.name, spec)
    images, _ = tiny_images(4)
    ours, known = (attack_images(tiny_classifier(), images, name, {"eps": 0.2}) for name in (spec.name, "fgsm"))
    np.testing.assert_array_equal(ours.images, known.images)
    assert ours.success.any()


class Copy:
    """A copy of the library and the pages, to which files are added and lines inserted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for source in ("core", "app"):
            shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for beside in ("assets", "precomputed"):
            (folder / beside).symlink_to(ROOT / beside)

    def add(self, file: str, text: str) -> None:
        path = self.folder / file
        assert not path.exists()
        path.write_text(text)

    def insert(self, file: str, before: str, text: str) -> None:
        path = self.folder / file
        old = path.read_text()
        assert old.count(before) == 1
        path.write_text(old.replace(before, text + before))

    def touched(self) -> set[str]:
        """Files that are not as they are in the tree."""
        names = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return {str(name) for name in names if not _same(ROOT / name, self.folder / name)}

    def run(self, code: str) -> None:
        """Run code that ends in an assertion, with the copy in place of the tree."""
        path = os.pathsep.join(str(p) for p in (self.folder / "core", self.folder / "app", ROOT / "tests"))
        here = f"import telltale; assert telltale.__file__.startswith({str(self.folder)!r}), telltale.__file__\n"
        environment = os.environ | {"PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", here + code], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_an_attack_is_one_file_and_one_entry_of_the_registry(tmp_path: Path) -> None:
    copy, file, registry = (
        Copy(tmp_path),
        "core/telltale/attacks/methods/sign_step.py",
        "core/telltale/attacks/registry.py",
    )
    copy.add(file, printed("python", ATTACK))
    copy.insert(registry, ")\nfrom telltale.base.errors", "    sign_step,\n")
    copy.insert(registry, "}\n\n\ndef get_attack", '    "sign_step": sign_step.SPEC,\n')
    assert copy.touched() == {file, registry}
    copy.run(
        f"{FEWER_EPOCHS}"
        "from support.tiny import tiny_classifier, tiny_images\n"
        "from telltale.attacks import attack_images\n"
        "from telltale.cli.options import attack_values\n"
        "from telltale_app import catalogue\n"
        "images = tiny_images(3)[0]\n"
        "ours, known = (attack_images(tiny_classifier(), images, n, {'eps': '0.2'}) for n in ('sign_step', 'fgsm'))\n"
        "assert (ours.images == known.images).all() and ours.parameters == {'eps': 0.2}\n"
        "assert [p.name for p in catalogue.attacks()['sign_step'].parameters] == ['eps']\n"
    )


@pytest.mark.slow
def test_a_detector_is_its_file_its_suspicions_file_and_the_registry(tmp_path: Path) -> None:
    copy, room = Copy(tmp_path), "core/telltale/detectors"
    file, suspicion, registry = (f"{room}/{n}.py" for n in ("class_distance", "suspicions/class_distance", "registry"))
    copy.add(file, printed("python", DETECTOR))
    copy.add(suspicion, printed("python", SUSPICION))
    function, line = printed("text", 0).rsplit("\n\n", 1)
    copy.insert(
        registry,
        "from telltale.detectors.dknn import",
        "from telltale.detectors.class_distance import ClassDistance\n",
    )
    copy.insert(registry, "}\n\n\ndef get_detector", "    ClassDistance.name: ClassDistance,\n")
    copy.insert(registry, "def _aim(", f"{function}\n\n\n")
    copy.insert(registry, "    )\n)\n\n\ndef suspicion_of", f"{line}")
    assert copy.touched() == {file, suspicion, registry}
    copy.run(
        f"{FEWER_EPOCHS}"
        "import numpy as np, torch\n"
        "from support.tiny import tiny_classifier, tiny_images\n"
        "from support.tiny_defence import fitted, tiny_evidence, tiny_reference\n"
        "from telltale.attacks import ATTACKS, attack_images\n"
        "from telltale.detectors.defence import Defence\n"
        "from telltale.detectors.registry import get_detector\n"
        "from telltale_app import catalogue\n"
        "detector, images = fitted(get_detector('class_distance')()), tiny_images(60)[0][50:]\n"
        "defence = Defence(tiny_classifier(), tiny_reference(), {'class_distance': detector})\n"
        "suspicion = defence.suspicion('class_distance')(torch.from_numpy(images)).detach().numpy()\n"
        "np.testing.assert_allclose(suspicion, detector.score(tiny_evidence(images)), rtol=1e-4)\n"
        "assert 'class_distance' in ATTACKS['adaptive'].parameters[0].choices\n"
        "given = {'detector': 'class_distance', 'steps': 3}\n"
        "result = attack_images(tiny_classifier(), images[:2], 'adaptive', given, defence=defence)\n"
        "assert result.parameters['detector'] == 'class_distance'\n"
        "assert catalogue.detector_title('class_distance') == 'Class distance'\n"
        "assert catalogue.detector_page('class_distance') == ('app_pages/detectors.py', 'Detectors')\n"
    )


@pytest.mark.slow
def test_a_kind_of_evidence_with_a_page_is_five_files(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    added = {
        "core/telltale/kinds/mirroring.py": KIND,
        "core/telltale/figures/results/mirroring.py": FIGURE,
        "app/telltale_app/app_pages/mirroring.py": PAGE,
    }
    for file, number in added.items():
        copy.add(file, printed("python", number))
    kinds, pages = "core/telltale/kinds/registry.py", "app/telltale_app/pages.py"
    copy.insert(kinds, "from telltale.kinds.neighbours", "from telltale.kinds.mirroring import MirroringKind\n")
    copy.insert(kinds, "        DensityKind(),\n", "        MirroringKind(),\n")
    entry = 'Page("Evidence", "mirroring.py", "Mirroring", ":material/flip:", "mirroring", "In a mirror.")'
    copy.insert(pages, '    Page(\n        "Judgement",\n        "detectors.py"', f"    {entry},\n")
    assert copy.touched() == {*added, kinds, pages}
    copy.run(
        "import numpy as np\n"
        "from support.shipped import correct_test_ids, images_of, shipped\n"
        "from telltale.analysis.analyse import analyse_image\n"
        "image = images_of(correct_test_ids(1))[0]\n"
        "view = analyse_image(shipped(), image).evidence['mirroring']\n"
        "outputs = [shipped().classifier.trace(np.ascontiguousarray(x[None])).probabilities[0]\n"
        "           for x in (image, image[..., ::-1])]\n"
        "assert abs(view.distance - np.abs(outputs[0] - outputs[1]).sum()) < 1e-6 and view.distance > 0\n"
        # Its page, with a made-up analysis that holds the view.
        "import conftest, pytest\n"  # the theme of the pages
        "from dataclasses import replace\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from support import fake_analysis, fake_app\n"
        "import telltale_app\n"
        "from pathlib import Path\n"
        "made_up = fake_analysis.analyse\n"
        "def with_view(*given):\n"
        "    analysis = made_up(*given)\n"
        "    return replace(analysis, evidence={**analysis.evidence, 'mirroring': view})\n"
        "fake_analysis.analyse = with_view\n"
        "fake_app.fake_app(pytest.MonkeyPatch(), fake_analysis.FakeBundle())\n"
        "app = AppTest.from_file(str(Path(telltale_app.__file__).with_name('main.py')), default_timeout=60).run()\n"
        "app.switch_page('app_pages/mirroring.py').run()\n"
        "assert not app.exception, app.exception\n"
        "assert app.title[0].value == 'Mirroring' and len(app.get('plotly_chart')) == 1\n"
        "fake_analysis.analyse = made_up\n"
        "import streamlit as st; st.cache_data.clear(); st.cache_resource.clear()\n"
        "app = AppTest.from_file(str(Path(telltale_app.__file__).with_name('main.py')), default_timeout=60).run()\n"
        "app.switch_page('app_pages/mirroring.py').run()\n"
        "assert not app.exception and not app.get('plotly_chart')\n"
        "assert \"no evidence of kind 'mirroring'\" in app.info[0].value\n"
    )
