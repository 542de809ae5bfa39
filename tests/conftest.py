"""What every test starts from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from streamlit import config
from streamlit.components.v2 import manifest_scanner

from telltale.base.processes import use_one_thread

ROOT = Path(__file__).resolve().parents[1]

# What tests start, in whatever folder, is this checkout's code and no installed one's.
os.environ["PYTHONPATH"] = os.pathsep.join(str(ROOT / part) for part in ("core", "app", "tests"))


# `streamlit run app/server.py` reads the settings beside the script; tests of pages start no server.
config._main_script_path = str(ROOT / "app" / "server.py")
config.get_config_options(force_reparse=True)

# Every `AppTest` looks for Streamlit components in the metadata of all installed packages: once is enough.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests decode and save out of the person's own folders; tests, and what they start, share these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLTALE_CACHE", str(tmp_path_factory.mktemp("image_cache")))
        patch.setenv("TELLTALE_CASES", str(tmp_path_factory.mktemp("cases") / "cases.sqlite"))
        patch.setenv("TELLTALE_PICTURES", str(tmp_path_factory.mktemp("pictures")))
        patch.delenv("DATABASE_URL", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute as workers do; threads of two test processes would wait for each other on small problems."""
    use_one_thread()


# The files that take longest, whatever the number of their tests.
DEAREST = ("test_build.py", "test_engine.py", "test_own_classifier.py", "test_browser.py", "test_processes.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is still busy with it when the others have run out of files."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    tests = Counter(item.path for item in items)

    def order(item: pytest.Item) -> tuple[int, bool, int, Path]:
        dear = DEAREST.index(item.path.name) if item.path.name in DEAREST else len(DEAREST)
        return dear, item.path not in slow, -tests[item.path], item.path

    items.sort(key=order)
