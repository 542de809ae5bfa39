"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_image_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests decode out of the person's own cache; tests, and the processes they start, share this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLTALE_CACHE", str(tmp_path_factory.mktemp("image_cache")))
        yield
