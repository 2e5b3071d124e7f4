"""The recipe: what defines a result (`Recipe`) apart from how it is run (`Resources`).

Every option is declared once, in this package, with its default and the reason for it. The recipe options are part of a
step's identity; of `Resources`, only what the engines are is. Unknown keys are errors; recipe/file.py reads a recipe and
reports all errors at once.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from askback.recipe.base import NAME, FilePath, Options, Share
from askback.recipe.curation import PAPERS_LEAST, Check, Gate, Judge, Labels, Score, Select, Selection, TeachProbe
from askback.recipe.inputs import PRESETS, Corpus, CorpusSource, Natural, RowSource, Seed, SeedSource, WordList
from askback.recipe.names import DocumentFormat, MethodName, scorer
from askback.recipe.resources import EngineOptions, Engines, Launch, Resources
from askback.recipe.rewriting import Grounding, PostFilters, Preferring, Rewriting, Triples
from askback.recipe.training import (
    AnyBackward,
    Asking,
    Augment,
    Backward,
    Evaluate,
    HeldOut,
    HumanSet,
    Lora,
    Prompted,
    StyleName,
    Training,
)

__all__ = ["NAME", "PRESETS", "Asking", "Augment", "Backward", "Check", "Corpus", "CorpusSource", "DocumentFormat"]
__all__ += ["EngineOptions", "Engines", "Evaluate", "Gate", "HeldOut", "HumanSet", "Judge", "Labels", "Launch"]
__all__ += ["Grounding", "Lora", "Natural", "Options"]
__all__ += ["PostFilters", "Preferring", "Prompted", "Recipe", "RecipeFile", "Resources", "Rewriting", "RowSource"]
__all__ += ["Score", "Seed", "SeedSource", "Select", "Selection"]
__all__ += ["Share", "StyleName", "TeachProbe", "Training", "Triples", "WordList"]

_NO_SEED = {"sources": list[SeedSource]()}
OF_METHOD: dict[str, dict[str, Any]] = {
    "prompted": {"base": "", "seed": _NO_SEED, "backward": {"mode": "prompted"}, "forward": None, "rounds": 1},
    "back_and_forth": {"seed": _NO_SEED, "forward": None, "rounds": 1},
    "reinstruct": {
        "seed": _NO_SEED,
        "corpus": {"preset": "reinstruct"},
        "rewrite": {"temperature": 0.0, "max_new_tokens": 512, "retries": 0},
        "forward": None,
        "rounds": 1,
        "seed_copies": 2,
    },
}
"""For each method, where its defaults differ from those of `Recipe`."""
TRAINED_ONLY = ("natural", "evaluate", "gate")
"""Options of a method that trains models."""
METHODS_OF: dict[str, tuple[MethodName, ...]] = {
    **dict.fromkeys(("curate", "prefer"), ("back_and_forth",)),
    **dict.fromkeys(("rewrite", "grounded"), ("back_and_forth", "reinstruct")),
    **dict.fromkeys(("triples", "rewriter", "filters"), ("reinstruct",)),
}
"""Options of single methods, and the methods that have them."""
JUDGING = ("judge", "score", "select")
"""Options of a method that has pairs judged, as all but `reinstruct` do."""


class Recipe(Options):
    """What defines the result. Two runs with equal recipes, inputs and code give equal data."""

    method: MethodName = "humpback"
    """Name of the method (methods/)."""
    base: FilePath = "builtin:smollm2-135m"
    """The model every M is trained from: a builtin, a local folder, or a hub name. Where none is
    trained, this one is asked if no server is given; "" is none."""
    chat_template: FilePath = ""
    """Path of a Jinja chat template, for a base model whose tokenizer has none; or ``builtin:inst``, [INST] … [/INST] as
    Llama 2 and the paper's authors have it."""
    seed: Seed
    corpus: Corpus
    natural: Natural = Natural()
    backward: AnyBackward = Backward()
    """M_yx, trained on reversed seed pairs; or, with ``mode: prompted``, how another model is asked in its place."""
    augment: Augment = Augment()
    forward: Training | None = Training()
    """M_0, M_1, …, each trained from `base`. null ends the page at the chosen pairs of one round (``rounds: 1``)."""
    judge: Judge = Judge()
    rounds: Annotated[int, Field(ge=0, le=10)] = 2
    """Rounds of score, select and train; the paper uses two."""
    score: Score = Score()
    select: Selection = Selection(min_score=PAPERS_LEAST)
    curate: Literal["judge", "none"] = "judge"
    """Method `back_and_forth` alone: whether a judge chooses what is rewritten, or all is, the paper's "rewrite only"."""
    rewrite: Rewriting = Rewriting()
    grounded: Grounding = Grounding()
    prefer: Preferring | None = None
    """Have the judge compare rewrites with their originals, for ``askback export --format preference``; null does not."""
    triples: Triples = Triples()
    rewriter: Training = Training()
    """Method `reinstruct` alone: the model that answers a question from a text, trained from `base` on `triples`."""
    filters: PostFilters = PostFilters()
    seed_copies: Annotated[int, Field(ge=1)] = 1
    """How often the seed stands among what M_1, M_2, … learn from; REInstruct's twice."""
    evaluate: Evaluate = Evaluate()
    gate: Gate = Gate()
    random_seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _of_its_method(cls, given: Any) -> Any:
        if not isinstance(given, dict) or (own := OF_METHOD.get(str(given.get("method")))) is None:
            return given
        both = [name for name, ours in own.items() if isinstance(ours, dict) and isinstance(given.get(name), dict)]
        return {**own, **given} | {name: own[name] | given[name] for name in both}

    @property
    def asking(self) -> Asking:
        """How a model that is not trained is asked for instructions."""
        assert isinstance(self.backward, Prompted)
        return Asking(**self.augment.model_dump(), **self.backward.model_dump(exclude={"mode"}))

    @property
    def training(self) -> Training:
        """How a model is trained to answer: `forward`, or the defaults where the recipe trains none (``forward: null``)."""
        return self.forward or Training()

    @property
    def seeks_natural(self) -> bool:
        """Whether natural pairs are of use: to train on, or to measure models on."""
        measured = self.forward is not None and self.corpus.held_out > 0
        return self.natural.use == "seed" or (self.natural.use == "held-out" and measured)

    @property
    def tries_judge(self) -> bool:
        """Whether there is a judge, and it is tried before it judges."""
        return self.judge.check and self.curate == "judge" and self.method != "reinstruct"

    @property
    def check(self) -> Check:
        """How the judge is checked: by the weights that `select` uses."""
        return Check(minimum_auroc=self.judge.minimum_auroc, weights=self.select.weights)

    @property
    def teaches_probe(self) -> bool:
        """Whether the scorer `probe` is to be taught."""
        return "probe" in self.score.scorers and not self.score.probe

    @property
    def teaching_probe(self) -> TeachProbe:
        """How the scorer `probe` is taught."""
        return TeachProbe(labels=self.judge.labels, max_output_tokens=self.score.max_output_tokens)

    @model_validator(mode="after")
    def _probe_is_taught(self) -> "Recipe":
        if self.judge.labels and not self.teaches_probe:
            raise ValueError(
                "judge.labels teach the scorer probe, and this recipe teaches none; add probe to score.scorers, without "
                "score.probe, or leave the labels out"
            )
        if self.teaches_probe and not (self.seed.sources or self.judge.labels):
            raise ValueError(
                "score.scorers has probe, and there is nothing to teach it by; give seed pairs, judge.labels, or a judge "
                "that was taught before (score.probe)"
            )
        return self

    @model_validator(mode="after")
    def _fits_its_method(self) -> "Recipe":
        if self.method != "prompted" and self.select.until is not None:
            raise ValueError(f"select.until goes with method: prompted, and the method is {self.method}")
        most, each = self.select.max_candidates, self.augment.per_segment
        if most is not None and most < each:
            raise ValueError(f"select.max_candidates {most} is below augment.per_segment {each}, those of one segment")
        for name in self._changed(tuple(METHODS_OF)):
            if self.method not in METHODS_OF[name]:
                raise ValueError(
                    f"{name} goes with method: {' or '.join(METHODS_OF[name])}, and the method is {self.method}"
                )
        if self.method == "reinstruct" and (judging := self._changed(JUDGING)):
            raise ValueError(f"method reinstruct judges nothing, so {', '.join(judging)} is of no use; leave it out")
        if self.method == "prompted":
            self._trains_nothing()
        elif not isinstance(self.backward, Prompted):
            if not self.seed.sources:
                raise ValueError(f"seed.sources: method {self.method} learns from seed pairs; give at least one file")
        elif self.method in ("humpback", "reinstruct"):
            raise ValueError(f"backward.mode: prompted goes with method: prompted, and the method is {self.method}")
        elif self.forward is not None:
            raise ValueError("forward trains on what M_yx writes; leave out backward.mode: prompted, or forward")
        if isinstance(self.backward, Prompted) and self.backward.shots and not self.seed.sources:
            raise ValueError(f"backward.shots: {self.backward.shots} seed pairs are to be shown; give some under seed")
        return self

    def _trains_nothing(self) -> None:
        of_another = self._changed(TRAINED_ONLY) + (["forward"] if self.forward is not None else [])
        if of_another or not isinstance(self.backward, Prompted):
            raise ValueError(
                f"method prompted trains nothing, and {', '.join(of_another) or 'backward'} is of method humpback, which "
                "does; leave it out"
            )

    def _changed(self, names: tuple[str, ...]) -> list[str]:
        """Return those of these options that have another value than the default."""
        return [name for name in names if getattr(self, name) != type(self).model_fields[name].default]

    @model_validator(mode="after")
    def _curated_once(self) -> "Recipe":
        if self.method in METHODS_OF["rewrite"] and self.rounds != 1:
            raise ValueError(f"rounds is {self.rounds}; method {self.method} rewrites after one round of curation")
        if self.curate == "none" and self.select != type(self).model_fields["select"].default:
            raise ValueError("curate: none rewrites every answer, and select chooses among them; leave one of them out")
        return self

    @model_validator(mode="after")
    def _a_value_for_each_round(self) -> "Recipe":
        for name, values in self.select.per_round().items():
            if len(values) != self.rounds:
                raise ValueError(
                    f"select.{name} has {len(values)} values for {self.rounds} rounds; give one for each, or one for all"
                )
        return self

    @model_validator(mode="after")
    def _nothing_for_a_model_that_is_not_trained(self) -> "Recipe":
        if self.forward is None and self.rounds != 1:
            raise ValueError(
                f"rounds is {self.rounds}; forward: null trains no judge for a second round, so rounds must be 1"
            )
        if self.forward is None and self.judge.is_taught:
            raise ValueError(
                "judge.examples and judge.ranked teach M_0 to judge, and forward: null trains none; leave it untaught"
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
        if self.select.min_probability is not None and (len(counting) != 1 or not scorer(counting[0]).rated):
            raise ValueError(
                "select.min_probability is that of the highest level of one scorer, and those that count are "
                f"{', '.join(counting)}; let one alone count, as rubric, or give top_fraction or top_n"
            )
        if self.select.until is not None and len(counting) != 1:
            raise ValueError(
                f"select.until needs an absolute scale, and the ranks of {', '.join(counting)} move with the number of "
                "candidates; let one scorer count"
            )
        least = self.select.min_score or 0.0
        least = max(least) if isinstance(least, list) else least
        if len(counting) == 1 and least > (highest := scorer(counting[0]).highest):
            raise ValueError(
                f"select.min_score {least} is above {highest}, the highest score of {counting[0]}; give a lower one, or "
                "top_fraction or top_n"
            )
        if len(counting) > 1 and least >= 1:
            raise ValueError(
                f"no candidate reaches select.min_score {least} where several scorers are combined, as combined ranks are "
                "below 1; give a lower one, or top_fraction or top_n"
            )
        if counting == ["ifd"] and least == PAPERS_LEAST:
            raise ValueError(
                f"select.min_score {least} is the paper's level of the rubric, and ifd's scores are in nats, mostly below "
                "1; give another, or top_fraction or top_n"
            )
        return self


class RecipeFile(Options):
    """A recipe file: a name and the two halves."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Name of the run folder."""
    recipe: Recipe
    resources: Resources = Resources()
    _written: dict[tuple[str | int, ...], tuple[str, Any]] = PrivateAttr(default_factory=dict)

    def keep_written(self, texts: dict[tuple[str | int, ...], str]) -> None:
        """Keep the original texts of the values in which variables were filled in, by place."""
        tree = self.model_dump(mode="json")
        self._written.update({place: (text, _at(tree, place)) for place, text in texts.items()})

    def as_written(self) -> dict[str, Any]:
        """Return all options as plain values, with ``${NAME}`` where the recipe has it."""
        tree = self.model_dump(mode="json")
        for place, (text, value) in self._written.items():
            if _at(tree, place) == value:
                _at(tree, place[:-1])[place[-1]] = text
        return tree

    @model_validator(mode="after")
    def _some_model_is_asked(self) -> "RecipeFile":
        engine, trains = self.resources.engine, self.recipe.forward is not None
        if engine.kind == "openai_http" and trains:
            raise ValueError(
                "resources.engine: 'openai_http' asks a server's own model, and the held-out loss is of this run's; "
                "give it under engines.augment, engines.score, engines.rewrite or engines.compare, or train none (method: "
                "prompted)"
            )
        roles = ["augment", "score", *(["rewrite"] if self.recipe.method in METHODS_OF["rewrite"] else [])]
        asked = [self.resources.engine_for(role).kind for role in roles]
        if not self.recipe.base and not {"openai_http", "scripted"}.issuperset(asked):
            raise ValueError(
                "recipe.base names no model to ask; give one, or resources.engine: {kind: openai_http, url: …}, a server"
            )
        return self

    @model_validator(mode="after")
    def _fixed_judge_once(self) -> "RecipeFile":
        if self.resources.engine_for("score").kind == "openai_http" and self.recipe.rounds > 1:
            raise ValueError(
                "engines.score is one judge for all rounds, which would choose the same again; give recipe.rounds: 1"
            )
        return self


def _at(tree: Any, place: tuple[str | int, ...]) -> Any:
    """Return the value at a place in nested dicts and lists, None if there is none."""
    for part in place:
        held = (isinstance(tree, dict) and part in tree) or (isinstance(tree, list) and isinstance(part, int))
        if not held:
            return None
        tree = tree[part]
    return tree
