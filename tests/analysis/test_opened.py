"""A bundle that lacks an array, as early versions may have built it, is refused in a sentence."""

from __future__ import annotations

import pytest

from support.shipped import shipped
from telltale.analysis.opened import open_bundle
from telltale.base.errors import DamagedBundleError
from telltale.bundle.bundle import REFERENCE_FILE, Bundle

STORED = Bundle.arrays
DETECTORS = sorted(file for file in shipped().bundle.manifest.files if file.startswith("detectors/"))


@pytest.mark.parametrize("file", [REFERENCE_FILE, *DETECTORS])
def test_a_bundle_that_lacks_an_array_is_refused_in_a_sentence(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = STORED(shipped().bundle, file)
    gone = sorted(kept)[len(kept) // 2]

    def without(bundle: Bundle, name: str) -> dict[str, object]:
        found = STORED(bundle, name)
        return {key: values for key, values in found.items() if (name, key) != (file, gone)}

    monkeypatch.setattr(Bundle, "arrays", without)
    said = r"The bundle 'digits' lacks what this version of Telltale reads \(.+\)|^Stored trees lack a part: "
    with pytest.raises(DamagedBundleError, match=said):
        open_bundle("digits")
