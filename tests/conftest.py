"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.bundle.processes import use_one_thread


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests decode and save out of the person's own folders; tests, and what they start, share these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLTALE_CACHE", str(tmp_path_factory.mktemp("image_cache")))
        patch.setenv("TELLTALE_CASES", str(tmp_path_factory.mktemp("cases") / "cases.sqlite"))
        patch.delenv("DATABASE_URL", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute as workers do; threads of two test processes would wait for each other on small problems."""
    use_one_thread()
