"""The recipe: what defines a result (`Recipe`) apart from how it is run (`Resources`).

Every option is declared here, once, with its default and the reason for it. A step is known by its recipe options;
`Resources` do not count, but for what the engines are. Unknown keys are errors; recipe_file.py reads a recipe and
tells all of them at once.
"""

import math
import re
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

DocumentFormat = Literal["html", "warc", "markdown", "text", "pdf", "jsonl", "parquet", "hub", "installed-docs"]
PairFormat = Literal["pairs", "alpaca", "messages", "sharegpt", "oasst-messages", "oasst-trees"]
HygieneRule = Literal[
    "too-long", "template-leak", "an-answer", "echo", "dangling", "several-questions", "no-request", "language"
]
ScorerName = Literal["rubric", "additive", "ifd", "instruction", "whole"]
DamageKind = Literal["swapped", "truncated", "furniture", "shuffled", "off-topic", "blog", "repeated"]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Of a run: also a folder's name, so nothing that could lead out of the runs folder."""
Share = Annotated[float, Field(ge=0, le=1)]
Value = TypeVar("Value")
PerRound: TypeAlias = Annotated[
    Annotated[Value, Tag("value")] | Annotated[list[Value], Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "value"),
]
"""One value for all rounds, or a list with one for each. Told apart by hand, so that a mistake is told once."""


class Options(BaseModel):
    """Frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SeedSource(Options):
    """One file (or hub dataset) of seed pairs."""

    path: str
    """A .jsonl, .json or .parquet file (also .gz), `builtin:demo`, or `hub:NAME[:SPLIT]`."""
    format: PairFormat = "pairs"
    split: Literal["auto", "train", "held-out"] = "auto"
    """`auto` splits by `held_out`; the others put all pairs of this source on one side."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Take the first so many usable pairs."""
    licence: str = ""
    """Licence of the pairs, if the file does not state it."""


class Seed(Options):
    """The human pairs (method.md 1.3)."""

    sources: Annotated[list[SeedSource], Field(min_length=1)]
    held_out: Share = 0.1
    """Share of `split: auto` pairs kept out of training, chosen by record id."""
    language: str = "en"
    """Only OASST states a language per message; other pairs are taken as they are."""
    min_output_chars: int = 1
    max_output_chars: int = 20_000
    """Pairs outside are rejected. The paper sets no bounds; a small model and a short run may want some."""
    decontaminate: list[str] = []
    """Files of evaluation prompts, as under `corpus`; a pair whose instruction shares as much with one is dropped."""


class CorpusSource(Options):
    """One place documents come from."""

    format: DocumentFormat
    path: str = ""
    """File, folder or glob, or a URL of one (``s3://``, ``https://``, ``zip://*.html::file.zip``, whatever fsspec reads);
    `NAME[:SPLIT]` for `hub`; not used by `installed-docs`."""
    text_field: str = "text"
    """Column that holds the text, for jsonl, parquet and hub."""
    markup: Literal["html", "markdown", "rst", "text"] = "text"
    """What that column holds."""
    licence: str = ""
    """Licence of the documents, if they do not state their own."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Read at most so many documents from each WARC, JSONL or Parquet file, or from each 256 small files. (Without it,
    workers share a WARC file in spans; a JSONL or Parquet file always goes to one of them, so cut large ones up.)"""
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Read this share of the documents, drawn by `Recipe.random_seed`; `limit` is of those drawn. What is not drawn is not
    counted."""

    @model_validator(mode="after")
    def _path_where_needed(self) -> "CorpusSource":
        if not self.path and self.format != "installed-docs":
            raise ValueError(f"format '{self.format}' needs a path")
        return self


class WordList(Options):
    """A list of words and phrases that are not wanted, such as profanity."""

    path: str
    """A text file (UTF-8) with a word or phrase a line; lines that begin with # are comments."""
    max_share: Share = 0.0
    """A segment is dropped when more than this share of its words are hits (a phrase is one hit; in scripts without
    spaces, a character is a word). 0 allows none."""


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "reinstruct": {"min_chars": 1200, "reinstruct_style": True},
    "strict": {
        "max_capital_share": 0.2,
        "max_symbol_share": 0.1,
        "max_digit_share": 0.15,
        "max_link_share": 0.4,
        "max_personal_share": 0.2,
        "finished": True,
    },
    "none": {"header_rules": False, "languages": [], "min_prose": 0.0, "repeat_jaccard": None},
}
"""For each preset of `Corpus`, where it departs from the defaults there. `reinstruct` adds that paper's rules (method.md
3.2), `strict` adds ours against indexes, teasers, tables of numbers and blogs, `none` leaves only the lengths, which are
what decides how a document is cut."""


class Corpus(Options):
    """From documents to segments (method.md 1.4)."""

    sources: Annotated[list[CorpusSource], Field(min_length=1)]
    preset: Literal["paper", "reinstruct", "strict", "none"] = "paper"
    """Defaults for the rules below (`PRESETS`); what a recipe gives itself wins."""
    licences: list[str] = []
    """Glob patterns of the licences a document may have; an empty list allows all."""
    min_chars: Annotated[int, Field(ge=1)] = 600
    max_chars: Annotated[int, Field(ge=1)] = 3000
    """The paper's bounds, in characters of text."""
    languages: list[str] = ["en"]
    """Two-letter codes to keep; an empty list keeps all and does not look."""
    header_rules: bool = True
    """Drop sections whose header is empty, in capitals or of navigation words (the paper's)."""
    repeat_ngram: Annotated[int, Field(ge=1)] = 3
    repeat_jaccard: Share | None = 0.8
    """Two sentences of a segment at or above this word n-gram Jaccard similarity are a repetition (the paper gives
    neither n nor the threshold; these are ours). None does not look."""
    min_prose: Share = 0.3
    """Least share of a segment's characters that is in lines of prose (ours). In recipes, a list of ingredients over half
    as much instruction passes; tables of links, indexes and lists of names do not. 0 does not look."""
    max_capital_share: Share = 1.0
    """Of the letters. This and the next three are ours, and off at 1."""
    max_symbol_share: Share = 1.0
    max_digit_share: Share = 1.0
    """Of the characters, spaces and code apart."""
    max_link_share: Share = 1.0
    """Of the text, that stood inside links."""
    max_personal_share: Share = 1.0
    """Of the sentences, that speak of their author: I, me, my (ours; method.md 1.7). Off at 1."""
    finished: bool = False
    """Drop text that breaks off in mid-sentence (ours)."""
    reinstruct_style: bool = False
    """Keep only how-tos in which almost every paragraph opens with a verb (method.md 3.2)."""
    boilerplate_pages: Annotated[int, Field(ge=2)] | None = None
    """A paragraph on so many pages of one host is taken out of all of them, and what is then too short is dropped (ours;
    None does not look)."""
    duplicate_jaccard: Share = 0.7
    """Segments at or above this estimated MinHash similarity to an earlier one are near-duplicates (ours)."""
    pii: Literal["keep", "redact", "drop"] = "keep"
    """What is done about personal data and secrets that have a form (corpus/pii.py): nothing, put <EMAIL> and the like in
    their place, or drop the segment."""
    pii_engine: Literal["patterns", "presidio"] = "patterns"
    """`presidio` (`askback[presidio]`) looks after the patterns for more kinds, and for names and places where a spaCy
    model of the language is installed. It takes far more time, so it is not the default."""
    word_lists: list[WordList] = []
    """A segment with too many words of one of these lists is dropped (corpus/filters/word_lists.py)."""
    decontaminate: list[str] = []
    """Files of evaluation prompts; a segment that shares 13 words in a row with one, or all of a shorter one, is
    dropped."""
    max_document_bytes: Annotated[int, Field(ge=1)] = 8_000_000
    """Larger documents are rejected unparsed."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Keep at most so many segments, drawn evenly over all by `Recipe.random_seed`."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        return {**PRESETS.get(str(given.get("preset")), {}), **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Corpus":
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}")
        return self


class Lora(Options):
    """Low-rank adapters instead of full finetuning, through peft."""

    rank: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Share = 0.0


class Training(Options):
    """One finetuning from the base model (method.md 1.5)."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    final_learning_rate: Annotated[float, Field(ge=0)] = 9e-6
    """Absolute, reached linearly at the last step."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Examples per optimiser step; by default the paper's 32, or 8 under 3,000 examples."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps; by default from the paper's table, by the number of examples."""
    max_tokens: Annotated[int, Field(ge=16)] = 2048
    """Longer examples lose the end of their output (forward) or of the document in the prompt (backward)."""
    lora: Lora | None = None
    trl: dict[str, Any] = {}
    """Handed to TRL's `SFTConfig` on top of the above, as it is."""

    @model_validator(mode="after")
    def _rate_falls(self) -> "Training":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate {self.final_learning_rate} is above learning_rate {self.learning_rate}"
            )
        return self


class Backward(Training):
    """The training of M_yx: as any other, and what it learns to decline."""

    refusals: Share = 0.0
    """So many damaged documents, as a share of the seed pairs, are added whose answer is that no instruction fits
    (train/refusals.py). Off, as in the paper: the corpus rules drop damaged text before it is asked about, and a small
    model that has learnt to decline declines good text too. Try 0.05 on a corpus that is not clean."""


class Augment(Options):
    """Self-augmentation (method.md 1.7)."""

    per_segment: Annotated[int, Field(ge=1)] = 1
    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1)] = 128
    """The paper does not say; its candidates average 352 characters, its chosen ones 115."""
    max_document_tokens: Annotated[int, Field(ge=16)] = 1024
    """A segment is shown to the backward model up to so many tokens; the candidate keeps it whole."""
    max_instruction_chars: Annotated[int, Field(ge=1)] = 800
    copied_words: Annotated[int, Field(ge=2)] = 12
    """An instruction that quotes so many words in a row from the segment is an echo (ours; the paper has no such rule)."""
    max_questions: Annotated[int, Field(ge=1)] = 3
    """An instruction with more question marks is several glued together (ours; 2 in 1,000 OpenAssistant ones have more)."""
    skip_rules: list[HygieneRule] = []
    """Rules of hygiene.py that are not to be applied."""


class Score(Options):
    """Self-curation, first half: a judgement for every candidate by every scorer (method.md 1.7, 4).

    `rubric` is the paper's five levels, for a model that can follow a rubric: M_0 of a few billion parameters, or an
    endpoint. `additive` counts five points (Self-Rewarding's, which agreed with people far oftener than the paper's on one
    70B model), worth a try where `rubric` puts everything on one level. `ifd` asks nothing: it measures how much the
    instruction helps to predict the output, which an untuned model of any size can tell, and is the one to take for a
    small model; it knows a mismatch, not a bad text. `instruction` looks at the instruction alone, and goes beside
    another one, and so does `whole`, a rule that finds outputs that break off, which a small judge overlooks. Several are
    combined by `select.weights`.
    """

    scorers: Annotated[list[ScorerName], Field(min_length=1)] = ["rubric"]
    reasoning: bool = False
    """Have the judge write a short reasoning first, as the paper does; the digit is read from probabilities all the same.
    Off by default: it takes an order of magnitude more time, and a small model's reasoning is no better than its digit."""
    reasoning_tokens: Annotated[int, Field(ge=1)] = 96
    """At most so many; what is longer is cut and the digit asked for. The paper gives no number; three sentences."""
    samples: Annotated[int, Field(ge=1)] = 1
    """With `reasoning`: draw so many and average their scores. The paper draws one, Self-Rewarding three."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """How a reasoning is drawn, as the paper draws everything."""
    max_output_tokens: Annotated[int, Field(ge=16)] = 1024
    """The judge reads so many tokens of the output."""

    @model_validator(mode="after")
    def _sensible(self) -> "Score":
        if len(set(self.scorers)) < len(self.scorers):
            raise ValueError(f"scorers names one twice: {', '.join(self.scorers)}; name each once")
        if self.reasoning and not {"rubric", "additive", "instruction"} & set(self.scorers):
            raise ValueError(
                f"reasoning is of no use to {', '.join(self.scorers)}, as no rating is asked for; add another scorer "
                "or leave it out"
            )
        if self.samples > 1 and not (self.reasoning and self.temperature > 0):
            raise ValueError(
                f"samples {self.samples} would all be the same without reasoning: true and a temperature above 0; "
                "give those, or samples: 1"
            )
        return self


PAPERS_LEAST = 4.5
"""The paper's k = 5 (method.md 1.7)."""
HIGHEST = {"rubric": 5, "additive": 5, "instruction": 5, "whole": 1}
"""Score of each scorer; `ifd` has no bound."""


class Select(Options):
    """Self-curation, second half: which candidates to train on. Give exactly one of the first four."""

    min_score: PerRound[float] | None = None
    """The paper's k = 5 is a score of at least 4.5 (method.md 1.7)."""
    top_fraction: PerRound[Annotated[float, Field(gt=0, le=1)]] | None = None
    top_n: PerRound[Annotated[int, Field(ge=1)]] | None = None
    """For models whose absolute scale is off: the best by score, ties broken by id. This and the two above are one value
    for all rounds, or a list with one for each (the paper does not say whether its two rounds had the same k)."""
    bins: Annotated[int, Field(ge=2, le=10)] | None = None
    """Drop nothing for its score: every candidate trains with a tag of its score's quantile, as in "3 of 5", and at
    inference the best one is asked for (HintedBT, method.md 4)."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Of each scorer, where `score.scorers` has several: the score is then `combined`, the weighted mean of a candidate's
    ranks among all (0 the lowest, 1 the highest), and `min_score` is on that scale of 0 to 1. {} weighs all alike; if any
    is given, a scorer without a weight does not count. Where one alone counts, its own scale stays."""
    max_unscored: Share = 0.05
    """The run stops when a larger share of candidates has no score."""
    drop_unhelpful: bool = True
    """Where `ifd` is among the scorers, drop candidates whose instruction does not help to predict the output: a ratio of
    the losses of 1 or more, Cherry LLM's bound. It is no matter of degree, so a weight of 0 does not turn it off."""
    max_similarity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Skip a candidate whose instruction shares this much of its words (Jaccard) with a better one chosen; outputs were
    compared when the corpus was made. Self-Instruct's bound on another measure is 0.7. None does not look."""
    max_per_source: Annotated[float, Field(gt=0)] | None = None
    max_per_licence: Annotated[float, Field(gt=0)] | None = None
    """Choose at most so many of one source (a site, folder or file) or licence: below 1 a share of the number that is to
    be chosen, from 1 a count (ours)."""
    spread: Literal["none", "source", "document"] = "none"
    """Choose in turns: the best of every source or document, then the second of each, and so on (ours). For top_n and
    top_fraction."""
    match_lengths: bool = False
    """Let the outputs chosen have the lengths of all, fifth by fifth, so that rounds do not drift to longer text (ours;
    the paper's drifted, method.md 1.8). For top_n and top_fraction."""

    @model_validator(mode="after")
    def _one_rule(self) -> "Select":
        names = ("min_score", "top_fraction", "top_n", "bins")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(names)}; found {' and '.join(given) or 'none'}")
        if self.weights and not any(self.weights.values()):
            raise ValueError("weights: at least one must be above 0, or leave them out to weigh all alike")
        if given[0] in ("min_score", "bins") and (self.spread != "none" or self.match_lengths):
            name = "match_lengths" if self.match_lengths else "spread"
            raise ValueError(
                f"{name} says which of many to prefer, and {given[0]} takes all; give top_n or top_fraction"
            )
        for name in ("max_per_source", "max_per_licence"):
            limit = getattr(self, name)
            if limit is not None and limit > 1 and not limit.is_integer():
                raise ValueError(f"{name} {limit} is neither a share below 1 nor a whole number")
        return self

    def of_round(self, t: int) -> "Select":
        """Return the options of round `t`, counted from 1, with one value each."""
        lists = {name: value[t - 1] for name, value in self.per_round().items()}
        return self.model_copy(update=lists)

    def per_round(self) -> dict[str, list[Any]]:
        """Return the options that have a value for each round."""
        values = {name: getattr(self, name) for name in ("min_score", "top_fraction", "top_n")}
        return {name: value for name, value in values.items() if isinstance(value, list)}


class Gate(Options):
    """Which M_t is the run's result (ours; evaluate/gate.py)."""

    enabled: bool = True
    """Off, the result is the last round's model, as in the paper."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of the interval of the difference in held-out loss; a difference it leaves open does not count against a model."""


class Judge(Options):
    """Teaching the judge, and trying it before it judges (method.md 4.1: an untaught judge hardly agrees with people)."""

    examples: Literal["none", "contrast"] = "none"
    """`contrast` adds judgements to what every M_t is trained on: seed pairs as they are, rated 5, and damaged, rated
    lower. The paper's judge is not taught; a model of a few hundred million parameters is none without it."""
    kinds: Annotated[list[DamageKind], Field(min_length=1)] = ["swapped", "truncated", "furniture", "shuffled"]
    """The damage that is taught (curate/damage.py). The others are left to see whether the judge learnt more than these."""
    pairs: Annotated[int, Field(ge=1)] = 300
    """Seed pairs that judgements are made of, drawn by `Recipe.random_seed`."""
    per_pair: Annotated[int, Field(ge=1)] = 1
    """Damaged versions of each pair, of as many kinds. One makes as many good as bad examples."""
    max_chars: Annotated[int, Field(ge=1)] = 1500
    """Of the longest pair taken, instruction and output. With the rubric's 310 tokens it must fit `forward.max_tokens`
    whole: a judgement is never cut."""
    ranked: list[SeedSource] = []
    """OpenAssistant files whose lower-ranked human replies are taught too: rank 1 as a 4, lower ones as a 3. What answers
    a held-out pair's instruction is left out."""
    probes: Annotated[int, Field(ge=2)] = 60
    """Held-out pairs that the judge is tried on, each as it is and with every kind of damage."""
    check: bool = True
    """Try the judge of each round on the probes, and stop if it is no better than chance. Fewer than five say nothing: the
    run tells so and goes on."""
    minimum_auroc: Share = 0.5
    """The lower end of the 95 % interval of its AUROC, averaged over all kinds of damage, must be above this. At 0 it is
    measured and stops nothing."""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Judge":
        for source in self.ranked:
            if source.format not in ("oasst-messages", "oasst-trees"):
                raise ValueError(
                    f"ranked: format '{source.format}' of {source.path} holds no ranks; allowed are oasst-messages and "
                    "oasst-trees"
                )
        if self.per_pair > len(set(self.kinds)):
            raise ValueError(
                f"per_pair {self.per_pair} is above the {len(set(self.kinds))} kinds there are, each damage a pair once; "
                "give more kinds, or a smaller per_pair"
            )
        return self

    @property
    def is_taught(self) -> bool:
        """Whether judgements are among what the models are trained on."""
        return self.examples != "none" or bool(self.ranked)

    def teaching(self) -> "Judge":
        """Return what bears on the examples alone, so that another way to check leaves trained models as they are."""
        return Judge(**self.model_dump(exclude={"probes", "check", "minimum_auroc"}))

    def probing(self) -> "Judge":
        """Return what bears on the probes alone."""
        return Judge(probes=self.probes, max_chars=self.max_chars)


class Check(Options):
    """How the probes' judgements are read; put together from `Judge` and `Select`."""

    minimum_auroc: Share = 0.5
    weights: dict[str, float] = {}


class Labels(Options):
    """Pairs that a user has rated, to measure a judge against (`askback calibrate --labels`)."""

    path: str
    """Rows of instruction, output, and label or rating: a number, true or false, or good or bad."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Take the first so many."""


class HeldOut(Options):
    """Held-out loss per output token after each training, on the held-out seed pairs."""

    max_tokens: Annotated[int, Field(ge=16)] = 1024
    limit: Annotated[int, Field(ge=1)] | None = None
    """Measure on at most so many pairs (the first by id)."""


class Recipe(Options):
    """What defines the result. Two runs with equal recipes, inputs and code give equal data."""

    base: str = "builtin:smollm2-135m"
    """The model every M is trained from: a builtin, a local folder, or a hub name."""
    chat_template: str = ""
    """Path of a Jinja chat template, for a base model whose tokenizer has none."""
    seed: Seed
    corpus: Corpus
    backward: Backward = Backward()
    """M_yx, trained on reversed seed pairs."""
    augment: Augment = Augment()
    forward: Training = Training()
    """M_0, M_1, …, each trained from `base`."""
    judge: Judge = Judge()
    rounds: Annotated[int, Field(ge=0, le=10)] = 2
    """Rounds of score, select and train; the paper uses two."""
    score: Score = Score()
    select: Select = Select(min_score=PAPERS_LEAST)
    evaluate: HeldOut = HeldOut()
    gate: Gate = Gate()
    random_seed: Annotated[int, Field(ge=0)] = 0

    @property
    def check(self) -> Check:
        """How the judge is checked: by what `select` will choose by."""
        return Check(minimum_auroc=self.judge.minimum_auroc, weights=self.select.weights)

    @model_validator(mode="after")
    def _a_value_for_each_round(self) -> "Recipe":
        for name, values in self.select.per_round().items():
            if len(values) != self.rounds:
                raise ValueError(
                    f"select.{name} has {len(values)} values for {self.rounds} rounds; give one for each, or one for all"
                )
        return self

    @model_validator(mode="after")
    def _taught_what_it_is_asked(self) -> "Recipe":
        if self.judge.is_taught and ("rubric" not in self.score.scorers or self.score.reasoning):
            raise ValueError(
                "judge.examples and judge.ranked teach the rubric without reasoning; score.scorers must have rubric "
                f"(found: {', '.join(self.score.scorers)}), with score.reasoning: false, or leave the judge untaught"
            )
        return self

    @model_validator(mode="after")
    def _weights_of_scorers(self) -> "Recipe":
        scorers, weights = self.score.scorers, self.select.weights
        unknown = [name for name in weights if name not in scorers]
        if unknown:
            raise ValueError(
                f"select.weights has {', '.join(unknown)}, which score.scorers lacks; allowed: {', '.join(scorers)}"
            )
        counting = [name for name in scorers if weights.get(name, 0.0 if weights else 1.0) > 0]
        least = self.select.min_score or 0.0
        least = max(least) if isinstance(least, list) else least
        highest = HIGHEST.get(counting[0], math.inf) if len(counting) == 1 else 1
        if least > highest:
            of = f"of {counting[0]}" if len(counting) == 1 else "where several scorers are combined"
            raise ValueError(
                f"select.min_score {least} is above {highest}, the highest score {of}; give a lower one, or "
                "top_fraction or top_n"
            )
        if counting == ["ifd"] and least == PAPERS_LEAST:
            raise ValueError(
                f"select.min_score {least} is the paper's level of the rubric, and ifd counts nats, mostly below 1; give "
                "another, or top_fraction or top_n"
            )
        return self


class Engine(Options):
    """The engine that runs a model for augment, score and evaluation."""

    kind: Literal["transformers", "vllm_server", "openai_http", "scripted"] = "transformers"
    """`transformers` runs the run's models in this process, `vllm_server` in a vLLM it starts and stops; `openai_http`
    asks a server's own model, so it is for `engines.augment` and `engines.score` alone; `scripted` has no model."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """`auto` is bfloat16."""
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens in flight at once, padding included; by default 65,536 on a GPU, and on a CPU 2,048 to read, 8,192 to draw.
    Of `transformers` alone."""
    url: str = ""
    """Of `openai_http`: where the server is, as in http://host:8000/v1."""
    model: str = ""
    """The model's name there; "" asks the server, if it has one alone."""
    api: Literal["auto", "chat", "completions"] = "auto"
    """`auto` is completions where there is a `tokenizer`, else chat."""
    tokenizer: str = ""
    """Folder of the checkpoint that the server runs, if it is here: prompts are then rendered here and sent as tokens."""
    api_key_env: str = ""
    """NAME of the environment variable that holds the server's key. The key itself is written nowhere."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 32
    """At most so many requests in flight, for each worker; how many there are adapts to the server."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """For one request, from sending it to the last byte of its answer."""
    retries: Annotated[int, Field(ge=0)] = 6
    """Further tries, with growing pauses (a minute together), where a fault may pass. Being pushed back does not count."""
    command: Annotated[tuple[str, ...], Field(min_length=1)] = ("vllm", "serve")
    """Of `vllm_server`: what starts it; {model} in it stands for the model's folder, which else comes last."""
    arguments: tuple[str, ...] = ()
    """More of vLLM's own, such as [--quantization, fp8]. They count as part of the steps that ask a model."""
    ready_s: Annotated[float, Field(gt=0)] = 900.0
    """Seconds it may take to be ready: loading and compiling a large model takes minutes."""

    @model_validator(mode="after")
    def _server_options(self) -> "Engine":
        # Nothing given is repeated in these messages: it may be a secret in the wrong place.
        if self.api_key_env and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.api_key_env):
            raise ValueError("api_key_env is the NAME of an environment variable, in capitals, never the key itself")
        if self.url and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", self.url):
            raise ValueError("url must be http(s)://HOST[:PORT]/v1, without user, password or query; see api_key_env")
        if self.kind == "openai_http" and not self.url:
            raise ValueError("kind 'openai_http' needs a url")
        if self.kind == "openai_http" and self.api == "completions" and not self.tokenizer:
            raise ValueError("api 'completions' needs a tokenizer, to send prompts as tokens; or use api: chat")
        return self


class Engines(Options):
    """Other engines for single roles, such as a judge behind an API; None takes `Resources.engine`."""

    augment: Engine | None = None
    score: Engine | None = None


class Resources(Options):
    """How the recipe is run. None of it changes what comes out, beyond the rounding of floating-point sums; the engines'
    kind, dtype, server and model do, and count as part of the steps that ask a model."""

    runs: str = "runs"
    """Folder that holds run folders."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Worker processes for augment, score and corpus; each holds a model, or its requests to a server."""
    engine: Engine = Engine()
    engines: Engines = Engines()

    @model_validator(mode="after")
    def _runs_own_models(self) -> "Resources":
        if self.engine.kind == "openai_http":
            raise ValueError(
                "engine: 'openai_http' asks a server's own model, and the held-out loss is of this run's; "
                "give it under engines.augment or engines.score"
            )
        return self

    def engine_for(self, role: str) -> Engine:
        """Return the engine of a role: "augment", "score", or "loss"."""
        return getattr(self.engines, role, None) or self.engine


class RecipeFile(Options):
    """A recipe file: a name and the two halves."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Name of the run folder."""
    recipe: Recipe
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _fixed_judge_once(self) -> "RecipeFile":
        if self.resources.engine_for("score").kind == "openai_http" and self.recipe.rounds > 1:
            raise ValueError(
                "engines.score is one judge for all rounds, which would choose the same again; give recipe.rounds: 1"
            )
        return self
