"""The pictures of README.md: there, in both themes, described, and small."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "screenshots"
LARGEST = 2_000_000  # bytes, of all together


def test_every_picture_of_the_readme_is_there_in_both_themes_and_described() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = re.findall(r'<img alt="([^"]*)" src="(assets/screenshots/[^"]+)"', readme)
    assert len(shown) >= 3
    for alt, light in shown:
        dark = light.replace("-light.png", "-dark.png")
        assert len(alt) > 20 and f'srcset="{dark}"' in readme
        assert Image.open(ROOT / light).size == Image.open(ROOT / dark).size


def test_a_dark_picture_is_dark_and_all_are_small() -> None:
    files = sorted(FOLDER.glob("*.png"))
    assert files and sum(file.stat().st_size for file in files) < LARGEST
    for file in files:
        brightness = Image.open(file).convert("L").resize((1, 1)).getpixel((0, 0))
        assert (brightness < 100) == file.stem.endswith("-dark"), file.name
