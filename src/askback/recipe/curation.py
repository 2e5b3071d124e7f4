"""Options of self-curation: the judge, its trial, its scores and what is chosen by them."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from askback.lookup import lookup
from askback.recipe.base import FilePath, Options, PerRound, Share
from askback.recipe.inputs import SeedSource
from askback.recipe.names import PAIRS, AnyScorer, scorer

DamageKind = Literal["swapped", "truncated", "furniture", "shuffled", "off-topic", "blog", "repeated"]


class Score(Options):
    """Self-curation, first half: a judgement for every candidate by every scorer (method.md 1.7, 4).

    `rubric` is the paper's five levels, for a model that can follow a rubric: M_0 of a few billion parameters, or an
    endpoint. `additive` counts five points (Self-Rewarding's, which agreed with people far oftener than the paper's on one
    70B model), worth a try where `rubric` puts everything on one level. `ifd` measures how much the instruction lowers the
    loss of the output, which needs no tuned model, and is the one to take for a small model; it finds a mismatch, not a
    bad text. `instruction` rates the instruction alone; `whole` is a rule that finds outputs that break off, which a small
    judge overlooks; both go beside another scorer. `probe` is the probability that a person would keep the pair, which a
    linear model reads from the judge's hidden states: it learns the taste of the labels it is given (`judge.labels`), on
    their kind of data alone. Several are combined by `select.weights`. An installed package may add
    others (entry points of "askback.scorers").
    """

    scorers: Annotated[list[AnyScorer], Field(min_length=1)] = ["rubric"]
    reasoning: bool = False
    """Have the judge write a short reasoning first, as the paper does; the digit is read from probabilities all the same.
    Off by default: it takes an order of magnitude more time, and a small model's reasoning is no better than its digit."""
    reasoning_tokens: Annotated[int, Field(ge=1)] = 96
    """Largest number of tokens of a reasoning, about three sentences by default; a longer one is cut, and the digit asked
    for. The paper gives no number."""
    samples: Annotated[int, Field(ge=1)] = 1
    """With `reasoning`: number of reasonings sampled per pair; their scores are averaged. The paper samples one,
    Self-Rewarding three."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Temperature and top-p with which reasonings are sampled; the paper samples everything so."""
    max_output_tokens: Annotated[int, Field(ge=16)] = 1024
    """Number of tokens of the output that the judge reads."""
    probe: FilePath = ""
    """Folder of a judge that another run taught for the scorer `probe`, as ``runs/NAME/teach-probe-1``, on the same model;
    "" has each round's judge taught from the seed pairs and `judge.labels`."""

    @model_validator(mode="after")
    def _sensible(self) -> "Score":
        if len(set(self.scorers)) < len(self.scorers):
            raise ValueError(f"scorers names one twice: {', '.join(self.scorers)}; name each once")
        if self.reasoning and not any(scorer(name).rated for name in self.scorers):
            raise ValueError(
                f"reasoning is of no use to {', '.join(self.scorers)}, which asks for no rating; add another scorer "
                "or leave it out"
            )
        if self.probe and "probe" not in self.scorers:
            raise ValueError("probe is the judge of the scorer probe, which scorers lacks; add it, or leave probe out")
        if self.samples > 1 and not (self.reasoning and self.temperature > 0):
            raise ValueError(
                f"samples {self.samples} would all be the same without reasoning: true and a temperature above 0; "
                "give those, or samples: 1"
            )
        return self

    def asked(self) -> "Score":
        """Return the options that judgements depend on; a judge that was taught before counts by its content."""
        return self.model_copy(update={"probe": ""})


PAPERS_LEAST = 4.5
"""The paper's k = 5 (method.md 1.7)."""


class Select(Options):
    """Self-curation, second half: which candidates to train on. Give exactly one of the first five."""

    min_score: PerRound[float] | None = None
    """The paper's k = 5 is a score of at least 4.5 (method.md 1.7). The paper samples a digit, and the score here is the
    expected level, so 4.5 is much stricter than a sampled 5: 0.02, 0.05, 0.13, 0.30 and 0.50 for the digits 1 to 5 are
    4.21. `min_probability: 0.5` is nearer to the paper's."""
    min_probability: PerRound[Annotated[float, Field(gt=0, le=1)]] | None = None
    """Smallest probability of the highest level, to choose by in place of the expected level (ours): 0.5 takes the pairs
    that a sampled digit would put there more often than not. For one scorer that gives levels, on an engine with
    log-probabilities; the probability is also the `score` of the pairs chosen."""
    top_fraction: PerRound[Annotated[float, Field(gt=0, le=1)]] | None = None
    top_n: PerRound[Annotated[int, Field(ge=1)]] | None = None
    """For models whose absolute scale is off: the best by score, ties broken by id. This and the three above are one value
    for all rounds, or a list with one for each (the paper does not say whether its two rounds had the same k)."""
    bins: Annotated[int, Field(ge=2, le=10)] | None = None
    """Number of quantiles. No candidate is dropped for its score: each trains with a tag of its score's quantile, as in
    "3 of 5", and at inference the tag of the highest is given (HintedBT, method.md 4)."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Weight of each scorer, where `score.scorers` has several: the score is then `combined`, the weighted geometric mean
    of a candidate's ranks among all, and `min_score` is on that scale of 0 to 1. {} weighs all alike; if any is given, a
    scorer without a weight does not count. Where one alone counts, its own scale stays."""
    max_unscored: Share = 0.05
    """The run stops when a larger share of candidates has no score."""
    drop_unhelpful: bool = True
    """Where `ifd` is among the scorers, drop candidates whose instruction does not lower the loss of the output: a ratio
    of the losses of 1 or more, Cherry LLM's bound. A weight of 0 does not turn this off."""
    max_similarity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest Jaccard similarity of a candidate's instruction, in words, to a better one chosen; outputs were compared
    when the corpus was made. Self-Instruct's bound on another measure is 0.7. None sets no bound."""
    max_per_source: Annotated[float, Field(gt=0)] | None = None
    max_per_licence: Annotated[float, Field(gt=0)] | None = None
    """Largest number of pairs chosen from one source (a site, folder or file) or licence: a value below 1 is a share of
    the number to be chosen, from 1 on a count (ours)."""
    spread: Literal["none", "source", "document"] = "none"
    """Choose in turns: the best of every source or document, then the second of each, and so on (ours). For top_n and
    top_fraction."""
    match_lengths: bool = False
    """Choose outputs whose lengths are spread as those of all candidates are, by fifths, so that rounds do not drift to
    longer text (ours; the paper's drifted, method.md 1.8). For top_n and top_fraction."""

    labels: FilePath = ""
    """File of labels, as ``runs/NAME/labels.jsonl`` of `askback review`, or another that `calibrate --labels` reads: a pair
    that people want is chosen, with the text that they made of it, and one that they do not want is not, whatever the judge
    says (ours). Of top_n and top_fraction, those that people want are a part."""

    @model_validator(mode="after")
    def _one_rule(self) -> "Select":
        names = ("min_score", "min_probability", "top_fraction", "top_n", "bins")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(names)}; found {' and '.join(given) or 'none'}")
        if self.weights and not any(self.weights.values()):
            raise ValueError("weights: at least one must be above 0, or leave them out to weigh all alike")
        if given[0] in ("min_score", "min_probability", "bins") and (self.spread != "none" or self.match_lengths):
            name = "match_lengths" if self.match_lengths else "spread"
            raise ValueError(
                f"{name} orders the candidates, and {given[0]} takes all that reach it; give top_n or top_fraction"
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
        names = ("min_score", "min_probability", "top_fraction", "top_n")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if isinstance(value, list)}


class Selection(Select):
    """`Select`, and the number of pairs at which method `prompted` stops making candidates."""

    until: Annotated[int, Field(ge=1)] | None = None
    """Number of pairs wanted. Segments are asked about in blocks, in an order drawn by `Recipe.random_seed`, until that
    number reaches the threshold, which has to be absolute: `min_score` or `min_probability` of one scorer. The rest counts
    as "not-needed"."""
    max_candidates: Annotated[int, Field(ge=1)] | None = None
    """With `until`: largest number of instructions to ask for; by default, until the segments are used up."""

    @model_validator(mode="after")
    def _absolute(self) -> "Selection":
        if self.until is None and self.max_candidates is not None:
            raise ValueError(
                "max_candidates bounds how long to go on until there are enough; give until, or leave it out"
            )
        if self.until is not None and self.min_score is None and self.min_probability is None:
            raise ValueError(
                f"until {self.until} needs a threshold that does not move with the number of candidates; give min_score or "
                "min_probability"
            )
        return self

    def of_round(self, t: int) -> Select:
        """Return the options of round `t`; as a plain `Select` where no number is wanted."""
        if self.until is not None:
            return super().of_round(t)
        return Select(**{name: getattr(self, name) for name in Select.model_fields}).of_round(t)


class Gate(Options):
    """Which M_t is the run's result (ours; evaluate/gate.py)."""

    enabled: bool = True
    """Off, the result is the last round's model, as in the paper."""
    seed_share: Share = 0.02
    """What a model may lose on held-out seed pairs against M_0, as a share of what M_0 gained there over the base model."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Level of the confidence interval of the difference in held-out loss; a model fails only if the whole interval is
    above 0."""


class Judge(Options):
    """Teaching the judge, and trying it before it judges (method.md 4.1: an untaught judge hardly agrees with people)."""

    examples: Literal["none", "contrast"] = "none"
    """`contrast` adds judgements to the training examples of every M_t: seed pairs as they are, rated 5, and damaged ones,
    rated lower. The paper's judge is not taught; a model of a few hundred million parameters cannot judge without it."""
    kinds: Annotated[list[DamageKind], Field(min_length=1)] = ["swapped", "truncated", "furniture", "shuffled"]
    """Kinds of damage that are taught (curate/damage.py). The others show whether the judge learnt more than these."""
    pairs: Annotated[int, Field(ge=1)] = 300
    """Number of seed pairs that judgements are made of, drawn by `Recipe.random_seed`."""
    per_pair: Annotated[int, Field(ge=1)] = 1
    """Number of damaged versions of each pair, each of another kind. One makes as many good as bad examples."""
    max_chars: Annotated[int, Field(ge=1)] = 1500
    """Characters of the longest pair taken, instruction and output together. With the rubric's 310 tokens it must fit
    `forward.max_tokens` whole: a judgement is never cut."""
    ranked: list[SeedSource] = []
    """OpenAssistant files whose lower-ranked human replies are taught too: rank 1 as a 4, lower ones as a 3. Replies to a
    held-out pair's instruction are left out."""
    labels: FilePath = ""
    """File of labels that teach the scorer `probe`, as ``runs/NAME/labels.jsonl`` of `askback review`, or another that
    `calibrate --labels` reads; those set aside to measure judges teach nothing. A few hundred are needed."""
    probes: Annotated[int, Field(ge=2)] = 60
    """Number of held-out pairs that the judge is tried on, each as it is and with every kind of damage."""
    check: bool = True
    """Try the judge of each round on the probes, and stop if it is no better than chance. Fewer than five pairs are no
    test: the run then warns and goes on."""
    minimum_auroc: Share = 0.5
    """The lower end of the 95 % interval of its AUROC, averaged over all kinds of damage, must be above this. At 0 it is
    measured and stops nothing."""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Judge":
        for source in self.ranked:
            if lookup(PAIRS, source.format, "seed format").ranked is None:
                allowed = [name for name in PAIRS if lookup(PAIRS, name, "seed format").ranked]
                raise ValueError(
                    f"ranked: format '{source.format}' of {source.path} holds no ranks; allowed are {' and '.join(allowed)}"
                )
        if self.per_pair > len(set(self.kinds)):
            raise ValueError(
                f"per_pair {self.per_pair} is above the {len(set(self.kinds))} kinds there are, and each damages a pair "
                "once; give more kinds, or a smaller per_pair"
            )
        return self

    @property
    def is_taught(self) -> bool:
        """Whether the models are also trained on judgements."""
        return self.examples != "none" or bool(self.ranked)

    def teaching(self) -> "Judge":
        """Return the options that the examples depend on: another way to check leaves trained models as they are."""
        return Judge(**self.model_dump(exclude={"probes", "check", "minimum_auroc", "labels"}))

    def probing(self) -> "Judge":
        """Return the options that the probes depend on."""
        return Judge(probes=self.probes, max_chars=self.max_chars)


class TeachProbe(Options):
    """What the scorer `probe` is taught by: options of `Judge` and `Score` together."""

    labels: FilePath = ""
    max_output_tokens: Annotated[int, Field(ge=16)] = 1024


class Check(Options):
    """How the probes' judgements are read: options of `Judge` and `Select` together."""

    minimum_auroc: Share = 0.5
    weights: dict[str, float] = {}


class Labels(Options):
    """Pairs that people have rated or compared, to measure a judge against (`askback calibrate --labels`)."""

    path: FilePath
    """CSV, JSON or Parquet. Rows of instruction, output, and label or rating: a number, true or false, or good or bad; or
    of instruction, output_1, output_2, and preference: 1, 2 or tie. Or labels.jsonl of the review page, records of
    Argilla, or tasks of Label Studio."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Number of rows to read, from the first on."""
