"""Options of what goes in: seed pairs and documents."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from askback.lookup import lookup
from askback.recipe.base import FilePath, Options, Share
from askback.recipe.names import DOCUMENTS, DocumentFormat, PairFormat


class RowSource(Options):
    """One file (or hub dataset) of what people wrote, in rows."""

    path: FilePath
    """A file of JSON (lines, an array, objects, a wrapped list), packed or not; a Parquet file; a folder that askback
    exported; `builtin:demo`; or `hub:NAME[:SPLIT]`."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Largest number of usable rows to take, from the first on."""
    licence: str = ""
    """Licence of the texts, if the file does not state it."""


class SeedSource(RowSource):
    """One file (or hub dataset) of seed pairs."""

    format: PairFormat = "pairs"
    """`pairs` recognises by a row's fields whether it holds columns (instruction, input, output; prompt, completion;
    question, answer; …) or turns (messages, conversations). `alpaca` is the same; `messages` and `sharegpt` read turns
    alone. Only the formats of OpenAssistant's files have to be named."""
    split: Literal["auto", "train", "held-out"] = "auto"
    """`auto` splits by `held_out`; the others put all pairs of this source on one side."""


class Seed(Options):
    """The human pairs (method.md 1.3)."""

    sources: list[SeedSource]
    """At least one where a model is trained; others may do without."""
    held_out: Share = 0.1
    """Share of `split: auto` pairs kept out of training, chosen by record id."""
    language: str = "en"
    """Language of the pairs, ISO 639-1. Only OASST states one per message; other pairs are taken as they are."""
    min_output_chars: int = 1
    max_output_chars: int = 20_000
    """Bounds of the output's length in characters. The paper sets none; a small model and a short run may want some."""
    decontaminate: list[FilePath] = []
    """Files of evaluation prompts; a pair whose instruction matches one, as under `corpus.decontaminate`, is dropped."""


class CorpusSource(Options):
    """One place documents come from."""

    format: DocumentFormat
    path: FilePath = ""
    """File, folder or glob, or a URL of one (``s3://``, ``https://``, ``zip://*.html::file.zip``, whatever fsspec reads);
    `NAME[:SPLIT]` for `hub`; not used by `installed-docs`."""
    text_field: str = "text"
    """Column that holds the text, for jsonl, parquet and hub."""
    markup: Literal["html", "markdown", "rst", "text"] = "text"
    """Markup of that column's text."""
    licence: str = ""
    """Licence of the documents, if they do not state their own."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Largest number of documents read of each WARC, JSONL or Parquet file, of each 256 pages or texts, of each 32 PDFs,
    and of a hub data set or installed-docs as a whole. (Without it, workers share a WARC file in spans; a JSONL or Parquet
    file always goes to one of them, so cut large ones up.)"""
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the documents to read, drawn by `Recipe.random_seed`; `limit` applies to those drawn. Documents that are
    not drawn are not counted."""

    @model_validator(mode="after")
    def _path_where_needed(self) -> "CorpusSource":
        if not self.path and lookup(DOCUMENTS, self.format, "document format").needs_path:
            raise ValueError(f"format '{self.format}' needs a path")
        return self


class WordList(Options):
    """A list of words and phrases that are not wanted, such as profanity."""

    path: FilePath
    """A text file (UTF-8) with one word or phrase per line; lines that begin with # are comments."""
    max_share: Share = 0.0
    """Largest share of a segment's words that may be hits (a phrase is one hit; in scripts without spaces, a character is
    a word). 0 allows none."""


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "web": {"header_rules": "web", "long_sections": "first", "drop_copies": True},
    "reinstruct": {"min_chars": 1200, "reinstruct_style": True},
    "strict": {
        "max_capital_share": 0.2,
        "max_symbol_share": 0.1,
        "max_digit_share": 0.15,
        "max_link_share": 0.4,
        "max_personal_share": 0.2,
        "finished": True,
    },
    "none": {"header_rules": "none", "languages": [], "min_prose": 0.0, "repeat_jaccard": None},
}
"""For each preset of `Corpus`, where it departs from the defaults there, which are the paper's. `web` keeps more of a
page's text: long sections are cut, and only a header of navigation words alone costs its section (ours). `reinstruct`
adds that paper's rules (method.md 3.2), `strict` adds ours against indexes, teasers, tables of numbers and blogs, `none`
leaves only the lengths, which are what decides how a document is cut."""


class Natural(Options):
    """Natural pairs: headers that ask, each with the text under it as the answer (ours; corpus/natural.py)."""

    use: Literal["held-out", "seed", "none"] = "held-out"
    """`held-out`: every model is measured on those of the documents that are set aside. `seed`: that, and those of the
    other documents are trained on like seed pairs. `none`: they are segments like others."""
    least: Annotated[int, Field(ge=1)] = 60
    """Number of those set aside from which on they stand for the documents, and decide in the gate, in place of pairs whose
    instruction the backward model wrote. With 60 pairs a gain of 0.007 nats per token, the least that was seen, is told
    from 0 nine times in ten."""
    asked_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Where they are fewer, the share of those other pairs that stands for the documents: those whose instruction helps the
    base model most to predict the text. 1 takes all, and the base model reads none beforehand."""


class Corpus(Options):
    """From documents to segments (method.md 1.4)."""

    sources: Annotated[list[CorpusSource], Field(min_length=1)]
    preset: Literal["web", "paper", "reinstruct", "strict", "none"] = "web"
    """Defaults for the rules below (`PRESETS`); what a recipe gives itself wins."""
    licences: list[str] = []
    """Glob patterns of the licences a document may have; an empty list allows all."""
    min_chars: Annotated[int, Field(ge=1)] = 600
    max_chars: Annotated[int, Field(ge=1)] = 3000
    """The paper's bounds, in characters of text."""
    languages: list[str] = ["en"]
    """Two-letter codes of the languages to keep; an empty list keeps all and detects none."""
    header_rules: Literal["paper", "web", "none"] = "paper"
    """Which headers cost a section its place. `paper`: empty, in capitals, or with a navigation word anywhere. `web`: of
    navigation words alone (ours). `none`: no header."""
    long_sections: Literal["drop", "first", "all"] = "drop"
    """What is done with a section of more than `max_chars` characters, once the sections below it were offered. `drop` is
    the paper's. `first` cuts it at the end of a paragraph and offers the first part, `all` every part (ours)."""
    drop_copies: bool = False
    """Take paragraphs out of a segment that say what others of it say, as quotations that are set twice (ours)."""
    standalone: bool = False
    """Drop segments that lean on what is not in them: "However, …", "as we saw above", "see Figure 3" (ours; English)."""
    repeat_ngram: Annotated[int, Field(ge=1)] = 3
    repeat_jaccard: Share | None = 0.8
    """Two sentences of a segment at or above this word n-gram Jaccard similarity are a repetition (the paper gives
    neither n nor the threshold; these are ours). None turns the rule off."""
    min_prose: Share = 0.3
    """Smallest share of a segment's characters in lines of prose (ours). In recipes, a list of ingredients over half as
    much instruction passes; tables of links, indexes and lists of names do not. 0 turns the rule off."""
    max_capital_share: Share = 1.0
    """Largest share of capitals among the letters. This and the next four are ours, and off at 1."""
    max_symbol_share: Share = 1.0
    max_digit_share: Share = 1.0
    """Largest shares of symbols and of digits among the characters, without spaces and code."""
    max_link_share: Share = 1.0
    """Largest share of the text inside links."""
    max_personal_share: Share = 1.0
    """Largest share of sentences in the first person: I, me, my (method.md 1.7)."""
    finished: bool = False
    """Drop text that breaks off in mid-sentence (ours)."""
    reinstruct_style: bool = False
    """Keep only how-tos in which almost every paragraph opens with a verb (method.md 3.2)."""
    boilerplate_pages: Annotated[int, Field(ge=2)] | None = None
    """Number of pages of one host from which on a paragraph they share is boilerplate: it is removed from all of them, and
    segments that are then too short are dropped (ours). Local files have no host and stay as they are. None: off."""
    duplicate_jaccard: Share = 0.7
    """Segments at or above this estimated MinHash similarity to an earlier one are near-duplicates (ours)."""
    pii: Literal["keep", "redact", "drop"] = "keep"
    """What happens to personal data and secrets of a recognisable form (corpus/pii.py): nothing, <EMAIL> and the like in
    their place, or the segment is dropped."""
    pii_engine: Literal["patterns", "presidio"] = "patterns"
    """`presidio` (`askback[presidio]`) runs after the patterns and finds more kinds, and names and places where a spaCy
    model of the language is installed. It takes far more time, so it is not the default."""
    word_lists: list[WordList] = []
    """Lists of unwanted words; a segment with too many of one list is dropped (corpus/filters/word_lists.py)."""
    decontaminate: list[FilePath] = []
    """Files of evaluation prompts; a segment that shares 13 words in a row with one, or all of a shorter one, is
    dropped."""
    max_document_bytes: Annotated[int, Field(ge=1)] = 8_000_000
    """Bytes of the largest document that is parsed; larger ones are rejected."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Largest number of segments to keep, drawn evenly over all by `Recipe.random_seed`; those held out are not counted."""
    held_out: Share = 0.1
    """Share of the documents to set aside, whole sites where there are 20 or more (ours). No model is trained on them; the
    pairs made of them show how each model does on text like the corpus (evaluate/unseen.py). 0 sets none aside."""
    held_out_limit: Annotated[int, Field(ge=1)] = 200
    """Largest number of segments of those documents to keep; natural pairs among them count by themselves."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        return {**PRESETS.get(str(given.get("preset", "web")), {}), **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Corpus":
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}")
        return self
