"""The paper's five-level rubric (method.md 1.7), read from the model's own probabilities.

The score is the expected level of a pair, 1 to 5. Departure: the paper samples a reasoning and a digit and reads the digit
with a pattern; the public reproduction lost 45 to 67 % of its scores so (method.md 6.1). Here the answer is made to begin
with "Score:", or to go on with it after the reasoning, and the score is the expected value under the model's probabilities
of the five digits, which always exists, and gives "4.5 or more" a meaning. Only a model whose numbers overflow leaves a
pair unscored.
"""

from askback.curate.scorers import Scorer
from askback.curate.scorers.rating import rate

SCORER = Scorer("rubric", rate, lowest=1, highest=5, calls=frozenset({"choose"}))
