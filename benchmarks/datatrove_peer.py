"""The peer of benchmarks/corpus.py, run by a Python that has datatrove: python benchmarks/datatrove_peer.py FILE FOLDER PAGES

datatrove's own blocks with their own settings, in one task: WarcReader, Trafilatura, LanguageFilter (English),
GopherQualityFilter, a JSON Lines writer, then the four MinHash stages. One thing is put in place of its own: the fastText
model of the language filter is fetched from the network, which a benchmark cannot rely on, so py3langid stands in for it.
Prints pages read, pages kept, and the wall and CPU seconds of all stages, imports left out, as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path

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
from datatrove.utils.lid import LID
from loguru import logger
from py3langid.langid import MODEL_FILE, LanguageIdentifier


class Py3LangId(LID):
    """py3langid, asked as datatrove asks fastText."""

    def __init__(self) -> None:
        super().__init__(["en"])
        self.model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def predict(self, doc):
        """Return the likeliest language, and the share of English."""
        code, share = self.model.classify(doc.text)
        return (code, float(share)), {"en": float(share) if code == "en" else 0.0}


def main(file: Path, folder: Path, pages: int) -> None:
    """Read and sift the first pages of a file."""
    logger.remove()
    language = LanguageFilter(languages=["en"])
    language.model = Py3LangId()
    reader = WarcReader(str(file.parent), glob_pattern=file.name, limit=pages)
    signatures, buckets, remove = (str(folder / name) for name in ("signatures", "buckets", "remove"))
    stages = [
        [reader, Trafilatura(), language, GopherQualityFilter(), JsonlWriter(str(folder / "texts"))],
        [JsonlReader(str(folder / "texts")), MinhashDedupSignature(signatures)],
        *[[MinhashDedupBuckets(signatures, buckets)]] * 14,
        [MinhashDedupCluster(buckets, remove)],
        [JsonlReader(str(folder / "texts")), MinhashDedupFilter(remove), JsonlWriter(str(folder / "unique"))],
    ]
    _ = stages[1][1].word_tokenizer.tokenizer, language.model  # loaded before the clock starts
    wall, cpu = time.perf_counter(), _cpu()
    kept = 0
    for number, blocks in enumerate(stages):
        data = None
        rank, tasks = (number - 2, 14) if 2 <= number < 16 else (0, 1)
        for block in blocks:
            data = block.run(data, rank, tasks)
        if data is not None:
            kept = sum(1 for _ in data)
    read = reader.stats.stats["documents"].total
    print(json.dumps({"pages": read, "kept": kept, "wall": time.perf_counter() - wall, "cpu": _cpu() - cpu}))


def _cpu() -> float:
    """Return the CPU seconds of this process and of those it has ended; trafilatura runs in one of these."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
