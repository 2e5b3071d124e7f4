"""Turns as chat APIs have them: role and content."""

from askback.seed.readers import Reader
from askback.seed.readers.conversations import read_conversations

READER = Reader(read_conversations)
