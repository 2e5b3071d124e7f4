"""The instruction judged alone (method.md 4, after Kun), read from the model's own probabilities.

The score is the expected level of the instruction, 1 to 5: is it clear, and complete without any text that is not there?
Kun found that a model which could not tell good pairs could tell good instructions. Departures: Kun asks for good or bad,
with examples; five levels are read here as in rubric.py, so that they rank. The output is not shown.
"""

from askback.curate.scorers import Scorer
from askback.curate.scorers.rating import rate

SCORER = Scorer("instruction", rate, lowest=1, highest=5, calls=frozenset({"choose"}), looks_at=("instruction",))
