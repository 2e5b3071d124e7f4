"""Self-Rewarding's five points (method.md 4.1), read from the model's own probabilities.

The score is the expected number of points of a pair, 0 to 5: one for each of five statements that is true of it. On one 70B
model this agreed with people's order of two answers in 65 % of cases, the paper's rubric in 27 %. The words are ours.
Departures: the total is an expected value as in rubric.py, and a written reasoning is optional.
"""

from askback.curate.scorers import Scorer
from askback.curate.scorers.rating import rate

SCORER = Scorer("additive", rate, lowest=0, highest=5, calls=frozenset({"choose"}))
