"""The data card: what the data are, how they were made, their licences and their limits."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from askback.execution.on_disk import step_record
from askback.execution.shards import Records
from askback.export.languages import code
from askback.export.snippets import snippets
from askback.methods import names
from askback.models.builtin import BUILTIN
from askback.prompts import QUALITY_TAG, SEED_TAG, WEB_TAG
from askback.records import Example
from askback.studies import sides
from askback.studies.limits import limits
from askback.studies.run_folder import recipe_tree, result
from askback.studies.summary import agreements, checked, checks, funnel, lacking, lengths, verdict
from askback.text.plain import plain

SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]

COLUMNS = """\
`id` (of the text and of what it was made from), `origin` (seed, natural or augmented), `score` (the judge's, of augmented
pairs), `quality` (its quantile, where the recipe asks for it), `human_reviewed` (a person has read the pair and kept it),
`uri` and `title` (of the document), `source` (what it was read as), `licence`, `language` and `date`.
"""


def card(
    run: Path,
    pairs: list[Example],
    format: str,
    out: Path,
    file_type: str,
    splits: dict[str, int],
    features: list[dict[str, Any]],
) -> str:
    """Return the README.md of an export folder: YAML that the hub and `datasets` read, then text for people.

    Args:
        splits: the number of pairs in each.
        features: the types of the columns, as `datasets` reads them.
    """
    origins = Counter(pair.origin for pair in pairs)
    licences = Counter(pair.provenance.licence or "not stated" for pair in pairs)
    rows = [
        f"---\n{_head(pairs, splits, file_type, features)}---\n",
        f"# {_plain(run.name)}\n",
        f"{len(pairs):,} instruction-output pairs ({', '.join(f'{n:,} {origin}' for origin, n in origins.items())}), "
        f"in {format} form, made by instruction backtranslation with askback. {_outputs(run, pairs)}; the instructions of "
        "augmented pairs were written and the pairs chosen by the models that are named below; those of natural pairs are "
        "headers of the documents.\n",
        f"Splits: {', '.join(f'{split} {count:,}' for split, count in splits.items())}. Beside the pair, each record has",
        COLUMNS,
        "## How it was made\n",
        "| step | records | in | kept | rejected | failed |\n| --- | --- | ---: | ---: | ---: | ---: |",
        *(f"| {s.step} | {s.name} | {s.entered:,} | {s.kept:,} | {s.rejected:,} | {s.failed:,} |" for s in funnel(run)),
        "\n| set | pairs | instruction, characters | output, characters |\n| --- | ---: | ---: | ---: |",
        *(
            f"| {row.name} | {row.pairs:,} | {row.instruction_mean:.0f} ± {row.instruction_sd:.0f} "
            f"| {row.output_mean:.0f} ± {row.output_sd:.0f} |"
            for row in lengths(run)
        ),
        *_losses(run),
        *_rounds(run),
        "\n## Models\n",
        *_models(run),
        "\n## Licences\n",
        "Each record names its source (`uri`) and licence; `licences.csv` lists them all with the documents' titles, for "
        "attribution.\n",
        "| licence | pairs |\n| --- | ---: |",
        *(f"| {_plain(licence)} | {n:,} |" for licence, n in licences.most_common()),
        "\n## Known limits\n",
        *(f"- {one}" for one in limits(_base(run))),
        "- An instruction may ask for less, or for more, than its output gives; `score` is the judge's opinion of that.",
        *_tags(run),
        *_quality(pairs),
        *_not_looked_for(run),
        "- A licence is what the source states about itself.\n",
        "## Train on it\n",
        snippets(format, Path(out.name), f"{next(iter(splits))}.{file_type}", _base(run) or "owner/model"),
        "## Recipe\n",
        f"```yaml\n{_recipe(run)}```",
    ]
    return "\n".join(rows) + "\n"


def _outputs(run: Path, pairs: list[Example]) -> str:
    """Return in words what the outputs are."""
    if any(pair.original for pair in pairs):
        said = "The outputs of augmented pairs are text of the documents that a model rewrote for the instruction"
        if "all" in recipe_tree(run).get("grounded", {}).get("skip_rules", []):
            return said
        return (
            f"{said}; rules dropped those with names, numbers, dates, quotations, links or code that the text has not"
        )
    return "The outputs are text of the documents and of the seed, unchanged"


def _head(pairs: list[Example], splits: dict[str, int], file_type: str, features: list[dict[str, Any]]) -> str:
    """Return the YAML that the hub and `datasets` read."""
    tree = {
        "language": sorted({code(pair.provenance.language) for pair in pairs} - {""}),
        "license": "other",
        "license_details": "per record, in the column `licence`; listed in licences.csv",
        "task_categories": ["text-generation"],
        "tags": ["instruction-backtranslation", "askback"],
        "size_categories": [next((name for limit, name in SIZES if len(pairs) < limit), "n>1M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{split}.{file_type}"} for split in splits],
            }
        ],
        "dataset_info": {"features": features},
    }
    return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


def _losses(run: Path) -> list[str]:
    """Return the table of losses on each set of pairs that models were measured on."""
    found = sides.measured(sides.recorded(run))
    heads, rows = sides.table(found)
    if not rows:
        return []
    return [
        f"\n{sides.TITLE}:\n\n| {' | '.join(heads)} |",
        f"| --- | --- |{' ---: |' * (len(heads) - 2)}",
        *(f"| {' | '.join([_plain(row[0]), *row[1:]])} |" for row in rows),
        *(f"\n{note}" for note in sides.notes(found, told=result(run) is not None)),
    ]


def _models(run: Path) -> list[str]:
    """Return the models that wrote and judged the instructions, by the records, a line each."""
    tree = recipe_tree(run)
    base = str(tree.get("base", ""))
    known = BUILTIN.get(base.removeprefix("builtin:"))
    licence = f" ({known.licence})" if known else "; see its own licence"
    lines = [f"- base: {_plain(_base(run))}{licence}"] if base else []
    if candidates := _first(run / names.CANDIDATES):
        lines.append(f"- wrote the instructions: {_plain(candidates.model_id)}, prompt {candidates.prompt_id}")
    if rewritten := _rewriter(run):
        lines.append(f"- rewrote the outputs: {_plain(rewritten[0])}, prompt {rewritten[1]}")
    found = result(run)
    for t in range(1, found.rounds + 1 if found else 2):
        if judged := _first(run / names.judgements(t)):
            lines.append(f"- judged them in round {t}: {_plain(judged.model_id)}, prompt {judged.prompt_id}")
    if not _trains(run):
        return lines
    lines.append(
        "- the run's own result is `result/model` in float32, to train on, and `result/model-bfloat16`, to use: rounded "
        "stochastically, as a training is partly undone where its weights are rounded to nearest on loading"
    )
    return lines


def _rewriter(run: Path) -> tuple[str, str] | None:
    """Return the model that rewrote the outputs, and the id of its prompt; None where nothing was rewritten."""
    if not (run / names.REWRITTEN / "step.json").exists():
        return None
    identity: dict[str, Any] = step_record(run / names.REWRITTEN).get("identity", {})
    engine = identity.get("engine", {})
    own = "a model trained to answer from a text" if (run / names.REWRITER).is_dir() else "the model that judged"
    (prompt,) = identity["prompts"].values()
    return engine.get("model") or engine.get("url") or own, prompt


def _trains(run: Path) -> bool:
    """Return whether the recipe trains models on its pairs (not with ``forward: null``)."""
    return recipe_tree(run).get("forward", {}) is not None


def _first(folder: Path) -> Any:
    return next(iter(Records(folder, "")), None) if (folder / "step.json").exists() else None


def _not_looked_for(run: Path) -> list[str]:
    """Return the checks of documents that the recipe left out, a line each."""
    corpus = recipe_tree(run).get("corpus", {})
    lines = []
    if corpus.get("pii", "keep") == "keep":
        lines.append("- Personal data in the documents was not looked for.")
    if not corpus.get("decontaminate"):
        lines.append("- Documents that quote the prompts of an evaluation were not looked for.")
    return lines


def _rounds(run: Path) -> list[str]:
    """Return the round of the pairs, the gate's decisions, and the agreement of rounds, in words."""
    found = result(run)
    if not _trains(run):
        said = "\nThe pairs are those of the one round there is; no model was trained on them."
        return ["  \n".join([said, *lacking(run), *checked(checks(run))])]
    if found is None:
        return ["\nThe run was not finished when this was exported: the pairs are those of its last round so far."]
    lines = [f"\nThe pairs are those of round {found.data_round} of {found.rounds}.", *verdict(found)]
    lines += checked(checks(run))
    for t, values in agreements(run).items():
        lines.append(f"Of round {t}'s pairs, {values['shared']:.0%} were chosen in the round before too.")
    return ["  \n".join(lines)]


def _tags(run: Path) -> list[str]:
    """Return a line on the tags with which the recipe's own models were trained, if any were."""
    if not _trains(run):
        return []
    return [
        f'- Training of the recipe\'s own models appended "{SEED_TAG}" to seed instructions and "{WEB_TAG}" to augmented '
        "and natural ones; the paper appends both at inference. The data here are without them."
    ]


def _quality(pairs: list[Example]) -> list[str]:
    """Return a line on the quality tags with which the recipe's own models were trained on these pairs, if any."""
    best = max((pair.quality for pair in pairs), default="", key=lambda quality: int(quality.partition(" ")[0] or 0))
    if not best:
        return []
    return [
        f'- No pair was dropped for its score: after the tag came its quantile, as in "{QUALITY_TAG.format(best)}", and '
        "at inference the best is asked for. The data here are without it, good and bad alike; `score` tells them apart."
    ]


def _base(run: Path) -> str:
    """Return the run's base model as other tools know it; of a folder only the name."""
    base = str(recipe_tree(run).get("base", ""))
    if builtin := BUILTIN.get(base.removeprefix("builtin:")):
        return builtin.hub
    return without_path(base)


def _plain(text: str) -> str:
    """Escape text of documents for a cell of a Markdown table."""
    words = plain(without_path(text))
    return re.sub(r"([\\`*_{}\[\]()#!|<>])", r"\\\1", " ".join(words.split())[:120])


def _recipe(run: Path) -> str:
    """Return what defines the result, with file names in place of this machine's paths."""
    recipe = recipe_tree(run)
    for room in ("seed", "corpus"):
        for source in recipe.get(room, {}).get("sources", []):
            source["path"] = Path(source["path"]).name
    return str(yaml.safe_dump(_without_paths(recipe), sort_keys=False, allow_unicode=True))


def _without_paths(value: Any) -> Any:
    """Return a tree with file names in place of the paths in it."""
    if isinstance(value, dict):
        return {key: _without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_paths(inner) for inner in value]
    return without_path(value) if isinstance(value, str) else value


_KIND = re.compile(r"([\w-]{2,}:(?=~|/(?!/)|file://|local://))?((file|local)://)?")
"""Pattern of the kind of a source, which precedes its path, as in ``jsonl:/data/x`` or ``jsonl:file:///data/x``."""
_LOCAL = re.compile(r"~|[A-Za-z]:[\\/]|/(?!/)")


def without_path(text: str) -> str:
    """Return a text without the folders of the local path that it is, alone or after the kind of a source."""
    chain, mark, rest = text.rpartition("::")
    found = _KIND.match(rest)
    kind = found[0] if found else ""
    path = rest.removeprefix(kind)
    if not _LOCAL.match(path):
        return text
    bare = path.rstrip("\\/")
    return chain + mark + kind + path[max(bare.rfind("/"), bare.rfind("\\")) + 1 :]
