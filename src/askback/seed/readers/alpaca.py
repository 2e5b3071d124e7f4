"""Alpaca's rows, which are pairs in columns."""

from askback.seed.readers import Reader
from askback.seed.readers.pairs import read_pairs

READER = Reader(read_pairs)
