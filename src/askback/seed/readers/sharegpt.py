"""Turns as ShareGPT has them: from and value."""

from askback.seed.readers import Reader
from askback.seed.readers.conversations import read_conversations

READER = Reader(read_conversations)
