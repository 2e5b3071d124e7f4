"""How a request is worded, by the name of its style: the sentence that goes into prompts/writer.txt."""

STYLES = {
    "imperative": "Word it as an instruction of one or two sentences that begins with a verb: what the assistant is to do.",
    "question": "Word it as a question, or as two that belong together.",
    "search-query": "Word it as people type into a search box: three to ten words, no sentence, no full stop.",
    "role": (
        "Let the person first say in a sentence who they are or what they are about to do, so that it is clear why they "
        "ask, and then ask."
    ),
    "format": (
        "Let the request also say what form the answer is to have, and name only what is true of the text: its rough "
        "length, paragraphs, a list, numbered steps, headings, a table, code."
    ),
}
