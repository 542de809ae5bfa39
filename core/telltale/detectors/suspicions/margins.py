"""`telltale.evidence.margins`, differentiable."""

from __future__ import annotations

import torch


def logit_margins(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the logit of each image's class (n,) less the largest other one, of logits (n, C), in float64."""
    own, others = _apart(logits, classes)
    return own - others.amax(1)


def log_odds(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return log(p / (1 - p)) of each image's class (n,), of logits (n, C), in float64."""
    own, others = _apart(logits, classes)
    return own - others.logsumexp(1)


def _apart(logits: torch.Tensor, classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    column, logits = classes[:, None], logits.double()
    return logits.gather(1, column)[:, 0], logits.scatter(1, column, -torch.inf)
