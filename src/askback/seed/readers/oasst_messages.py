"""OpenAssistant's flat files."""

from functools import partial

from askback.seed.readers import Reader
from askback.seed.readers.oasst import read_messages

READER = Reader(read_messages, ranked=partial(read_messages, best_only=False))
