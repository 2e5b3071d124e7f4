"""OpenAssistant's files of trees."""

from functools import partial

from askback.seed.readers import Reader
from askback.seed.readers.oasst import read_trees

READER = Reader(read_trees, ranked=partial(read_trees, best_only=False))
