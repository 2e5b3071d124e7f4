"""The peer of benchmarks/corpus.py, run by a Python that has datatrove: python datatrove_peer.py FILE FOLDER PAGES

datatrove's own blocks with their own settings, in one task: WarcReader, Trafilatura, LanguageFilter (English),
GopherQualityFilter, a JSON Lines writer, then the four MinHash stages. One thing is put in place of its own: the fastText
model of the language filter is fetched from the network, which a benchmark cannot rely on, so py3langid stands in for it,
and its time is taken off. Prints pages read, pages kept, and the wall and CPU seconds of all stages as JSON. Nothing is
counted before the models and libraries are loaded.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import trafilatura  # noqa: F401  before its process is forked off
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import GopherQualityFilter, LanguageFilter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.word_tokenizers import load_word_tokenizer
from loguru import logger
from py3langid.langid import MODEL_FILE, LanguageIdentifier


class Py3LangId:
    """py3langid, asked as datatrove asks fastText."""

    def __init__(self) -> None:
        self.identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.wall = self.cpu = 0.0

    def predict(self, doc: Document) -> tuple[tuple[str, float], dict[str, float]]:
        """Return the likeliest language, and the share of English."""
        wall, cpu = time.perf_counter(), time.process_time()
        code, share = self.identifier.classify(doc.text)
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        return (code, float(share)), {"en": float(share) if code == "en" else 0.0}


def main(file: Path, folder: Path, pages: int) -> None:
    """Read and sift the first pages of a file."""
    logger.remove()
    language = LanguageFilter(languages=["en"])
    language.model = stand_in = Py3LangId()
    reader = WarcReader(str(file.parent), glob_pattern=file.name, limit=pages)
    signatures, buckets, remove = (str(folder / name) for name in ("signatures", "buckets", "remove"))
    stages: list[list[Any]] = [
        [reader, Trafilatura(), language, GopherQualityFilter(), JsonlWriter(str(folder / "texts"))],
        [JsonlReader(str(folder / "texts")), MinhashDedupSignature(signatures)],
        *[[MinhashDedupBuckets(signatures, buckets)]] * 14,
        [MinhashDedupCluster(buckets, remove)],
        [JsonlReader(str(folder / "texts")), MinhashDedupFilter(remove), JsonlWriter(str(folder / "unique"))],
    ]
    load_word_tokenizer("eng").word_tokenize("Loaded before the clock starts.")
    wall, cpu = time.perf_counter(), _cpu()
    kept = 0
    for number, blocks in enumerate(stages):
        data: Any = None
        rank, tasks = (number - 2, 14) if 2 <= number < 16 else (0, 1)
        for block in blocks:
            data = block.run(data, rank, tasks)
        if data is not None:
            kept = sum(1 for _ in data)
    read = reader.stats.stats["documents"].total
    wall, cpu = time.perf_counter() - wall - stand_in.wall, _cpu() - cpu - stand_in.cpu
    print(json.dumps({"pages": read, "kept": kept, "wall": wall, "cpu": cpu}))


def _cpu() -> float:
    """Return the CPU seconds of this process and of those it has ended; trafilatura runs in one of these."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
