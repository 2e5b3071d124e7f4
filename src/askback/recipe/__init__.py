"""The recipe: what defines a result (`Recipe`) apart from how it is run (`Resources`).

Every option is declared once, in this package, with its default and the reason for it. The recipe options are part of a
step's identity; of `Resources`, only what the engines are is. Unknown keys are errors; recipe/file.py reads a recipe and
reports all errors at once.
"""

from typing import Annotated, Any

from pydantic import Field, PrivateAttr, model_validator

from askback.recipe.base import NAME, FilePath, Options, Share
from askback.recipe.curation import PAPERS_LEAST, Check, Gate, Judge, Labels, Score, Select
from askback.recipe.inputs import PRESETS, Corpus, CorpusSource, Seed, SeedSource, WordList
from askback.recipe.names import DocumentFormat, MethodName, scorer
from askback.recipe.resources import EngineOptions, Engines, Launch, Resources
from askback.recipe.training import Augment, Backward, HeldOut, Lora, Training

__all__ = ["NAME", "PRESETS", "Augment", "Backward", "Check", "Corpus", "CorpusSource", "DocumentFormat"]
__all__ += ["EngineOptions", "Engines", "Gate", "HeldOut", "Judge", "Labels", "Launch", "Lora", "Options", "Recipe"]
__all__ += ["RecipeFile", "Resources", "Score", "Seed", "SeedSource", "Select", "Share", "Training", "WordList"]


class Recipe(Options):
    """What defines the result. Two runs with equal recipes, inputs and code give equal data."""

    method: MethodName = "humpback"
    """Name of the method (methods/)."""
    base: FilePath = "builtin:smollm2-135m"
    """The model every M is trained from: a builtin, a local folder, or a hub name."""
    chat_template: FilePath = ""
    """Path of a Jinja chat template, for a base model whose tokenizer has none; or ``builtin:inst``, [INST] … [/INST] as
    Llama 2 and the paper's authors have it."""
    seed: Seed
    corpus: Corpus
    backward: Backward = Backward()
    """M_yx, trained on reversed seed pairs."""
    augment: Augment = Augment()
    forward: Training | None = Training()
    """M_0, M_1, …, each trained from `base`. null ends the page at the chosen pairs of one round (``rounds: 1``)."""
    judge: Judge = Judge()
    rounds: Annotated[int, Field(ge=0, le=10)] = 2
    """Rounds of score, select and train; the paper uses two."""
    score: Score = Score()
    select: Select = Select(min_score=PAPERS_LEAST)
    evaluate: HeldOut = HeldOut()
    gate: Gate = Gate()
    random_seed: Annotated[int, Field(ge=0)] = 0

    @property
    def training(self) -> Training:
        """How a model is trained to answer: `forward`, or the defaults where the recipe trains none (``forward: null``)."""
        return self.forward or Training()

    @property
    def check(self) -> Check:
        """How the judge is checked: by the weights that `select` uses."""
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
