"""How the judge of scorer `probe` is taught: hidden states, standardised, their principal components, ridge regression.

What is learnt is how good a pair is, as finely as people say it: taught on ratings that were cut in two at the median, a
judge of OpenAssistant's reached an AUROC within fifths of length of 0.58, and on the ratings themselves 0.62.

Whatever is chosen is chosen by folds that keep the pairs of one document or prompt together. Length is not quality: what
is compared is the AUROC within fifths of length (measures.py). Pure.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from askback.curate.measures import auroc, auroc_at_equal_length
from askback.curate.scorers.probe import LinearJudge
from askback.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from askback.curate.scorers.probe import Numbers

COMPONENTS = 100
"""Largest number of principal components."""
REGULARISATION = (1e2, 1e3, 1e4, 1e5)
"""scikit-learn's alpha, of which the best is taken."""
FOLDS = 5
FEWEST = 5
"""Smallest number of pairs to keep, of pairs to drop, and of documents to learn from."""
MOST_WEIGHT = 4.0
"""Largest weight of a label where a lesson's is 1; below it, all labels weigh as much as all lessons."""
CALIBRATES = 50
"""Number of labels from which on they alone say what a probability is; fewer do so with the lessons."""
COUNTS = (0, 25, 50, 100, 200, 400)
"""Numbers of labels on a learning curve."""
RESAMPLES = 300


@dataclass(frozen=True)
class Examples:
    """Pairs to learn from: their states, how good each is (of as many good as bad ones, 1 and 0), whether to keep it, its
    document or prompt, the characters of its output, and whether a person's label says so, or it is a lesson."""

    states: "Numbers"
    worth: "Numbers"
    keep: "NDArray[np.bool_]"
    group: "NDArray[np.str_]"
    chars: "NDArray[np.int64]"
    labelled: "NDArray[np.bool_]"

    def __len__(self) -> int:
        return len(self.keep)

    def at(self, places: Any) -> "Examples":
        """Return the examples at these places, or where a mask is true."""
        columns: list[Any] = [self.states, self.worth, self.keep, self.group, self.chars, self.labelled]
        return Examples(*(column[places] for column in columns))

    def and_of(self, other: "Examples") -> "Examples":
        """Return these and others."""
        import numpy as np

        names = ("states", "worth", "keep", "group", "chars", "labelled")
        return Examples(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    @property
    def weights(self) -> "Numbers":
        """Return how much each counts in learning."""
        import numpy as np

        labels = int(self.labelled.sum())
        each = (len(self) - labels) / labels if labels else 1.0
        return np.where(self.labelled, min(max(each, 1.0), MOST_WEIGHT), 1.0)


@dataclass(frozen=True)
class Reduced:
    """The states of examples as principal components, and the way there."""

    components: "Numbers"
    directions: "Numbers"
    """Components × states: what a component is of states that are not standardised."""
    origin: "Numbers"
    """The components of states that are all 0, negated."""


def teach(examples: Examples, random_seed: int) -> tuple[LinearJudge, dict[str, Any]]:
    """Return a judge that is taught by examples, and how it was taught, with its figures on pairs of the other folds.

    The regularisation is the one with the best AUROC within fifths of length on pairs outside the fold that it was learnt
    from, in the mean of lessons and labels; what is predicted of these pairs is calibrated.

    Raises:
        InputError: there are too few examples.
        MissingExtra: scikit-learn is not installed.
    """
    _check(examples)
    folds = list(folds_of(examples, random_seed))
    reduced = _reduce(examples.states, random_seed)
    tried = {strength: _outside(reduced, strength, examples, folds) for strength in REGULARISATION}
    strength, outside = max(tried.items(), key=lambda one: _reached(one[1], examples))
    fitted = _regression(strength).fit(reduced.components, examples.worth, examples.weights)
    scale, shift, on = _calibrated(outside, examples)
    weights = (fitted.coef_ @ reduced.directions).reshape(examples.states.shape[1:])
    bias = float(fitted.intercept_ - fitted.coef_ @ reduced.origin)
    return LinearJudge(weights * scale, bias * scale + shift), {
        "regularisation": strength,
        "calibrated_on": on,
        "lessons": figures(outside, examples, ~examples.labelled),
        "labels": figures(outside, examples, examples.labelled),
    }


def figures(scores: "Numbers", examples: Examples, which: "NDArray[np.bool_]") -> dict[str, Any]:
    """Return how well scores tell pairs to keep from others: at all lengths, within fifths of length, and length alone."""
    return measured(scores[which], examples.keep[which], examples.chars[which])


def measured(scores: "Numbers", keep: "NDArray[np.bool_]", chars: "NDArray[np.int64]") -> dict[str, Any]:
    """Return the figures of some scores, None where there is nothing to compare."""

    def of(values: Any) -> float | None:
        sides = [list(values[keep]), list(values[~keep])]
        return auroc(*sides) if all(sides) else None

    return {
        "pairs": len(keep),
        "kept": int(keep.sum()),
        "auroc": of(scores),
        "auroc_at_equal_length": auroc_at_equal_length(list(scores), list(keep), list(chars)),
        "length_alone": of(chars),
        "length_alone_at_equal_length": auroc_at_equal_length(list(chars), list(keep), list(chars)),
    }


def learning_curve(
    lessons: Examples, labels: Examples, random_seed: int, done: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Return the figures of judges that learn from lessons and some of the labels, on labels of documents that none of them
    has seen: for each of `COUNTS`, and for as many as there are; nothing where there are too few to try a judge on.

    The last has, as `gained`, what it is better by at equal length than with at most half as many labels (`half`), and the
    middle 95 % of that over `RESAMPLES` draws of documents.

    Args:
        done: called after each judge.
    """
    import numpy as np

    if _fewest(labels) < FEWEST:
        return []
    folds = list(folds_of(labels, random_seed))
    most = min(len(fit_on) for fit_on, _ in folds)
    found: list[dict[str, Any]] = []
    every: dict[int, Numbers] = {}
    for count in sorted({*(count for count in COUNTS if count < most), most}):
        scores = np.zeros(len(labels))
        for number, (fit_on, rest) in enumerate(folds):
            drawn = np.random.default_rng([random_seed, number]).permutation(fit_on)[:count]
            taught, _ = teach(lessons.and_of(labels.at(drawn)), random_seed)
            scores[rest] = [taught.probability(one) for one in labels.states[rest]]
            done()
        every[count] = scores
        found.append({"labels": count, **measured(scores, labels.keep, labels.chars)})
    half = max(count for count in every if count <= most / 2)
    found[-1] |= {"half": half, "gained": _gained(every[half], every[most], labels, random_seed)}
    return found


def _gained(fewer: "Numbers", more: "Numbers", labels: Examples, random_seed: int) -> tuple[float, float, float]:
    """Return the gain in AUROC at equal length, and its interval over documents; draws without a comparison count as 0."""
    import numpy as np

    def gain(at: Any) -> float:
        keep, chars = list(labels.keep[at]), list(labels.chars[at])
        reached, before = (auroc_at_equal_length(list(scores[at]), keep, chars) for scores in (more, fewer))
        return 0.0 if reached is None or before is None else reached - before

    documents = [np.flatnonzero(labels.group == group) for group in sorted(set(labels.group))]
    random = np.random.default_rng(random_seed)
    drawn = [
        gain(np.concatenate([documents[number] for number in random.integers(len(documents), size=len(documents))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return gain(np.arange(len(labels))), float(low), float(high)


def _check(examples: Examples) -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("scikit-learn", "probe", "teaching the scorer 'probe'") from error
    if _fewest(examples) < FEWEST:
        kept, groups = int(examples.keep.sum()), len(set(examples.group))
        raise InputError(
            f"the scorer 'probe' learns from pairs to keep and pairs to drop, at least {FEWEST} of each, of {FEWEST} "
            f"documents or more; found {kept} and {len(examples) - kept}, of {groups}. Give more seed pairs or labels "
            "(judge.labels), or take another scorer"
        )


def _fewest(examples: Examples) -> int:
    kept = int(examples.keep.sum())
    return min(kept, len(examples) - kept, len(set(examples.group)))


def folds_of(examples: Examples, random_seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield (places to learn from, places of the rest), with the pairs of a document on one side."""
    from sklearn.model_selection import StratifiedGroupKFold

    kept = int(examples.keep.sum())
    count = min(FOLDS, len(set(examples.group)), max(kept, len(examples) - kept))
    split = StratifiedGroupKFold(count, shuffle=True, random_state=random_seed)
    yield from split.split(examples.keep, examples.keep, examples.group)


def _reduce(states: "Numbers", random_seed: int) -> Reduced:
    """Standardise states and find their principal components. No label is looked at."""
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    flat = states.reshape(len(states), -1).astype(np.float64)
    scaler = StandardScaler().fit(flat)
    found = PCA(min(COMPONENTS, *flat.shape), svd_solver="randomized", random_state=random_seed)
    components = found.fit_transform(scaler.transform(flat))
    directions = found.components_ / scaler.scale_
    return Reduced(components, directions, directions @ scaler.mean_ + found.components_ @ found.mean_)


def _regression(strength: float) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(strength)


def _outside(reduced: Reduced, strength: float, examples: Examples, folds: Sequence[tuple[Any, Any]]) -> "Numbers":
    """Return what is predicted of each example's worth by what is learnt from the other folds."""
    import numpy as np

    found = np.zeros(len(examples))
    for fit_on, rest in folds:
        regression = _regression(strength)
        regression.fit(reduced.components[fit_on], examples.worth[fit_on], examples.weights[fit_on])
        found[rest] = regression.predict(reduced.components[rest])
    return found


def _reached(outside: "Numbers", examples: Examples) -> float:
    """Return the AUROC within fifths of length, in the mean of lessons and labels."""
    sides = (figures(outside, examples, which) for which in (examples.labelled, ~examples.labelled))
    values = [one["auroc_at_equal_length"] for one in sides if one["auroc_at_equal_length"] is not None]
    return sum(values) / len(values) if values else 0.5


def _calibrated(outside: "Numbers", examples: Examples) -> tuple[float, float, str]:
    """Return the (factor, summand) that makes log-odds of being kept of predictions, after Platt, and of which pairs."""
    from sklearn.linear_model import LogisticRegression

    labels = examples.keep[examples.labelled]
    which, on = examples.labelled, "labels"
    if len(labels) < CALIBRATES or min(labels.sum(), (~labels).sum()) < FEWEST:
        which, on = examples.keep | True, "lessons and labels"
    found = LogisticRegression(C=1e6).fit(outside[which, None], examples.keep[which])
    # Below 0 the judge would be turned round by chance; then it knows nothing, and says how many are kept.
    return max(0.0, float(found.coef_[0, 0])), float(found.intercept_[0]), on
