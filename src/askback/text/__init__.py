"""Properties of text alone: language, words, endings, similarity."""
