"""What a run measured its models on: the two sides that the gate looks at, and what is beside them; in one table."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from askback.evaluate.difference import HOLDS, loss_difference
from askback.evaluate.loss import TAGGED, summary
from askback.execution.shards import Records
from askback.methods import names
from askback.records import Loss
from askback.studies.run_folder import finished

HELD_OUT = "held-out"
DOCUMENTS = "documents set aside"
BESIDE = {"augmented": "documents, not decisive", "natural": "documents, natural pairs"}
"""`Loss.set` of pairs of documents that do not count → what they are called."""
M0 = names.model(0)
SIDES = (HELD_OUT, DOCUMENTS)
"""The sides that the gate looks at: the seed's kind of pairs, and the documents'."""
TAGS = {"seed": "S_a", "augmented": "S_w", "inference": "S_a + S_w"}
TITLE = "Loss in nats per token (less is better)"
DECIDES = (
    "The gate goes by S_a on held-out seed pairs and by S_w on documents set aside; it does not look at other pairs."
)

CONFIDENCE = 0.95

Losses = dict[str, dict[str, list[Loss]]]
"""Name of a set of pairs → model → its losses."""
Measured = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Name of a set of pairs → model → loss per token under each tag, intervals, and numbers of pairs and tokens."""


def title(side: str) -> str:
    """Return what a set of pairs is called in a report."""
    return "held-out seed pairs" if side == HELD_OUT else side


def labels(files: Mapping[str, Path], taken: Collection[str] = ()) -> dict[str, str]:
    """Return what each set of pairs in a file is called: by the file's name, or as it was given where that is not unique.

    Args:
        files: as given, with its path.
        taken: names of other sets of pairs.
    """
    found = Counter([*taken, *(path.name for path in files.values())])
    return {given: path.name if found[path.name] == 1 else given for given, path in files.items()}


def own_tag(side: str) -> str:
    """Return the tag under which the pairs of a set have their loss: S_w of those of documents, S_a of others."""
    return "augmented" if side == DOCUMENTS or side in BESIDE.values() else "seed"


def recorded(folder: Path) -> Losses:
    """Return the losses that a run measured, the two sides first, without sets that have none."""
    made = [step["step"] for step in finished(folder)]
    found: Losses = {HELD_OUT: {}, DOCUMENTS: {}}
    for side, on in ((HELD_OUT, names.loss), (DOCUMENTS, names.unseen), ("", names.beside)):
        for model in names.measured(made, on):
            for loss in Records[Loss](folder / on(model), ""):
                name = side or BESIDE.get(loss.set) or loss.set.removeprefix(names.human_set(""))
                found.setdefault(name, {}).setdefault(model, []).append(loss)
    return {name: models for name, models in found.items() if models or name == HELD_OUT}


def measured(losses: Losses) -> dict[str, dict[str, dict[str, Any]]]:
    """Return each model's loss per token on each set, with intervals of its differences to base and to M_0."""
    return {name: compared(models) for name, models in losses.items()}


def compared(losses: Mapping[str, list[Loss]]) -> dict[str, dict[str, Any]]:
    """Return each model's loss per token, and its difference to that of base and of M_0, with intervals."""
    rows: dict[str, dict[str, Any]] = {}
    for name, own in losses.items():
        tags = [tag for tag in TAGGED if all(getattr(loss, f"nats_{tag}") is not None for loss in own)]
        measured = summary(own, tags)
        rows[name] = {**measured, "pairs": measured.pop("examples")}
        for other in {names.BASE: (), M0: (names.BASE,)}.get(name, (names.BASE, M0)):
            before = losses.get(other, [])
            if len({loss.example_id for loss in own} & {loss.example_id for loss in before}) > 1:
                rows[name][f"against_{other}"] = loss_difference(before, own, CONFIDENCE)._asdict()
                for tag in tags:
                    found = loss_difference(_under(tag, before), _under(tag, own), CONFIDENCE)
                    rows[name][f"against_{other}_{tag}"] = found._asdict()
    return rows


def _under(tag: str, losses: list[Loss]) -> list[Loss]:
    """Return the losses measured with another tag than the pair's own."""
    found = ((loss, getattr(loss, f"nats_{tag}")) for loss in losses)
    return [replace(loss, nats=nats) for loss, nats in found if nats is not None]


def table(found: Measured, everything: bool = False) -> tuple[list[str], list[list[str]]]:
    """Return the heads and rows of the table of all losses: a row for each set and model, a column for each tag.

    Args:
        everything: also the differences to base, and those to M_0 under other tags than the pairs' own.
    """
    rows = [(side, model, row) for side, models in found.items() for model, row in models.items()]
    tags = [tag for tag in TAGS if any(_shown(tag, side, row) for side, _, row in rows)]
    apart = {f"against_{names.model(0)}": "against M_0 (95 %)"}
    if everything:
        apart = {f"against_{names.BASE}": "against base (95 %)", **apart}
        apart |= {f"against_m0_{tag}": f"against M_0 under {TAGS[tag]}" for tag in tags}
        apart = {key: head for key, head in apart.items() if any(key in row for _, _, row in rows)}
    heads = ["measured on", "model", *(TAGS[tag] for tag in tags), *apart.values(), "pairs", "tokens"]
    return heads, [
        [
            title(side),
            model,
            *(_shown(tag, side, row) for tag in tags),
            *(interval(row[key]) if key in row else "" for key in apart),
            f"{row['pairs']:,}",
            f"{row['tokens']:,}",
        ]
        for side, model, row in rows
    ]


def _shown(tag: str, side: str, row: Mapping[str, Any]) -> str:
    found = row.get(f"loss_{tag}", row["loss"] if tag == own_tag(side) else None)
    return "" if found is None else f"{found:.4f}"


def interval(found: Mapping[str, float]) -> str:
    """Return a difference and its interval in words, with true minus signs."""
    value, low, high = (f"{found[name]:+.4f}".replace("-", "−") for name in ("difference", "low", "high"))
    return f"{value} ({low} to {high})"


def notes(found: Measured, told: bool = False) -> list[str]:
    """Return what is to be said of the table; `told` if what its intervals hold is said elsewhere, as with the gate."""
    apart = any("against_m0" in row for models in found.values() for row in models.values())
    return [*([DECIDES] if DOCUMENTS in found else []), *([HOLDS] if apart and not told else [])]
