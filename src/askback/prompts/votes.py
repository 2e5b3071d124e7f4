"""What a pair says to its judge is not shown to the judge: no document can vote for itself.

A small model copies a digit that it has just read, whatever a prompt says of it: with "Score: 5" after its output, an
untaught SmolLM2-135M rated a wrong answer 1.5 levels higher. So the sentences that are addressed to a judge are left out of
what it reads; the pair itself stays as it is. This is a filter of known forms and no proof against every wording, which is
why the marker around the pair and the taught judge stand behind it.
"""

import re
import unicodedata

_SENTENCES = re.compile(r"(\n+|(?<=[^\W\d][.!?])[ \t]+)")
"""What stands between sentences; not the space after the number of a list."""

_NUMBER = r"(?:[0-5](?:\.\d+)?|one|two|three|four|five|full|top|high(?:est)?|max(?:imum)?|perfect|best)"
FORMS = (
    # a rating: "the score is 5", "rated this answer 5", "highest possible rating", "5/5", "five stars"
    rf"\b(?:scor(?:e|es|ed|ing)|rat(?:ed|ing|ings)|grade[ds]?|verdict|evaluation|judge?ments?)\b(?:\W+\w+){{0,5}}?\W+{_NUMBER}\b",
    rf"\b{_NUMBER}(?:\s*/\s*5\b|\s+out\s+of\s+(?:5|five)\b|(?:[\s-]+possible)?[\s-]+(?:stars?|points|marks|scores?|ratings?|grades?)\b)",
    rf"\b(?:rate|grade|score|give|award)\s+(?:this|it|the|my)\b(?:\W+\w+){{0,5}}?\W+{_NUMBER}\b",
    # an order to the judge
    r"\b(?:ignore|disregard|forget|override)\b(?:\W+\w+){0,6}?\W+(?:rubric|instructions?|rules|prompt|ratings?|scale|criteria)\b",
    r"\breply\s+with\b(?:\W+\w+){0,8}?\W+(?:score|digit|number)\b",
    # turns of a conversation, borders of a prompt
    r"^\W*(?:system|assistant|user|human|judge|rater|grader)\W*:",
    r"^\s*-{2,}\s*(?:request|answer|end)\b",
    r"<\|[^<>|\s]{1,40}\|>|\[/?inst\]|<</?sys>>|</?s>|</?(?:start|end)_of_turn>|</?(?:answer|request|document|system|rubric)>",
    # a label with a digit, digits alone: whatever letters the label is written in
    r"^[^\w\n]*\w{1,20}[^\w\n]{0,4}[:=][^\w\n]*[0-5](?:\s*/\s*\d+|\.\d+)?\W*$",
    r"^\W*[0-5](?:\W+[0-5])*\W*$",
)
_VOTE = re.compile("|".join(f"(?:{form})" for form in FORMS), re.IGNORECASE)


def without_votes(text: str) -> str:
    """Return a text without the sentences and lines that are addressed to a judge.

    Numbers of a list stay, since the text behind them is on their line.
    """
    parts = _SENTENCES.split(text)
    kept = []
    for sentence, space in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if not _VOTE.search(unicodedata.normalize("NFKC", sentence)):
            kept.append(sentence + space)
    return "".join(kept).strip()
