"""How a lesson looks on paper: dark on white, pictures with sharp pixels, the answers on a page of their own."""

from __future__ import annotations

STYLE = """
body { margin: 0; background: #fff; color: #111; font: 11pt/1.45 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 0.4rem; }
h2 { font-size: 1.15rem; margin: 1.4rem 0 0.3rem; }
p { margin: 0.4rem 0; }
.lead { font-size: 1.1rem; }
section { break-inside: avoid; }
.answers { break-before: page; break-inside: auto; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 0.6rem 0; }
figure { margin: 0; width: 9rem; }
img { width: 9rem; image-rendering: pixelated; border: 1px solid #999; }
figcaption { font-size: 0.85rem; }
.question { font-weight: 600; }
dt { font-weight: 600; margin-top: 0.5rem; }
dd { margin: 0 0 0 1rem; }
"""
