"""The scripts that pages carry, whose text the policy of the security headers allows by hash."""

from __future__ import annotations

SCROLL_UP = "if (!location.hash) document.querySelector('[data-testid=stMain]').scrollTop = 0;"
