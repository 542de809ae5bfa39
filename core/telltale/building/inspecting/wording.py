"""What was found out about a network in words: the same in the terminal, in a notebook and as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telltale.building.inspecting.mistakes import Accuracy

NAMES_SHOWN = 12
WAYS = ("preprocessing", "accuracy", "better by chance?")
FACTS = ("what", "value")
LEARNED = {
    True: "yes: influence and mislabelled training images",
    False: "no: neither influence nor mislabelled training images",
    None: "not said (trained_on): neither influence nor mislabelled training images",
}


def ways_of(accuracies: Sequence[Accuracy]) -> list[tuple[str, str, str]]:
    """Return a row of `WAYS` for each way of giving pictures to the network."""
    rows = []
    for way in accuracies:
        chance = "" if way.p_value is None else "the same" if way.same else f"p = {way.p_value:.2g}"
        rows.append((way.words, f"{way.accuracy:.1%}", chance))
    return rows


def facts_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what was found, as words by what it is about; see `Inspection.to_json`."""
    shape = " x ".join(map(str, record["input_shape"]))
    head, cost, not_guided = record["head"], record["estimate"], record["not_guided"]
    guided = f"{record['rectifiers']} rectifiers" if record["rectifiers"] else "nothing"
    facts = {
        "model": record["model"],
        "weights": record["weights"] or "-",
        "images": f"{shape}: {_preprocessing(record['preprocess'])}",
        "classes": f"{_classes(record['classes'])}the network has {record['outputs']} outputs",
        "layers": ", ".join(f"{name} ({width})" for name, width in record["layers"]),
        "head": record["head_problem"] or f"linear, {head[1]} to {head[0]}",
        "gradients": f"finite, at most {record['largest_gradient']:.3g}",
        "guided": guided + (f"; plain through {', '.join(not_guided)}" if not_guided else ""),
    }
    if record["data"] is not None:
        facts["learned from them"] = LEARNED[record["trained_on"]]
    if cost is not None:
        facts["build"] = (
            f"{cost['first_minutes']:.1f} minutes until all pictures are read and traced, {cost['minutes']:.1f} with "
            f"the attacks, and fitting, maps and scores on top; {cost['memory']:.1f} GiB"
        )
        facts["assumed"] = "; ".join(cost["assumptions"])
    return facts


def remarks_of(record: Mapping[str, Any]) -> list[str]:
    """Return what a person should know and look at, a sentence each."""
    return [
        *(f"Note: {remark}" for remark in record["remarks"]),
        *(f"Warning: {warning}" for warning in record["warnings"]),
    ]


def title_of(record: Mapping[str, Any]) -> str:
    """Return what the accuracies are of."""
    if record["data"] is None:
        return "no pictures"
    split = "" if record["split"] is None else f" from the split '{record['split']}'"
    return f"{record['images']} pictures of {record['data']}{split}"


def plain_text(record: Mapping[str, Any], accuracies: Sequence[Accuracy]) -> str:
    """Return everything as lines."""
    return "\n".join(
        [
            f"{record['name']}: {title_of(record)}",
            *(_columns([WAYS, *ways_of(accuracies)]) if accuracies else ()),
            *_columns(facts_of(record).items()),
            *remarks_of(record),
        ]
    )


def _columns(rows: Any) -> Iterator[str]:
    """Write rows with their columns one below the other."""
    kept = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    for row in kept:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  " + "  ".join(cells).rstrip()


def _classes(found: Mapping[str, Sequence[Any]]) -> str:
    pairs = [f"{folder} = {name}" for folder, (_, name) in found.items()]
    more = f", … ({len(pairs)})" if len(pairs) > NAMES_SHOWN else ""
    return f"{', '.join(pairs[:NAMES_SHOWN])}{more}; " if pairs else ""


def _preprocessing(raw: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in raw.items() if value is not None)
