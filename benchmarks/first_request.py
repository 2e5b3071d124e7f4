"""Seconds from the start of `askback run` to its first request, and to the first about a document, where a server is there.
``python benchmarks/first_request.py [DOCUMENTS]``

The server is in this process, answers at once, and speaks chat without log-probabilities.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WORDS = "river stone paper light engine garden music letter winter market bridge copper window answer".split()
SEEN: dict[str, float] = {}


class Handler(BaseHTTPRequestHandler):
    """Answers every chat, and notes when it was first asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        SEEN.setdefault("any", time.monotonic())
        if "--- end " in said and "harbour" not in said:
            SEEN.setdefault("document", time.monotonic())
        text = "Score: 4" if "the word Score" in said else f"What is known about {hash(said) % 10**9}?"
        body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def main(documents: int) -> None:
    """Write documents, run, and print the times."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    draw = random.Random(5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [{"text": f"{' '.join(draw.choices(WORDS, k=150)).capitalize()} {n}."} for n in range(documents)]
        (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        engine = {"kind": "openai_http", "url": f"http://127.0.0.1:{server.server_address[1]}/v1", "model": "m"}
        corpus = {"sources": [{"format": "jsonl", "path": "rows.jsonl"}], "languages": []}
        recipe = {"method": "prompted", "corpus": corpus, "judge": {"check": False}, "select": {"min_score": 4}}
        tree = {"name": "run", "recipe": recipe, "resources": {"engine": engine}}
        (folder / "recipe.yaml").write_text(json.dumps(tree))
        began, before = time.monotonic(), os.times()
        command = [sys.executable, "-m", "askback", "run", "recipe.yaml"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        ended, after = time.monotonic(), os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    first = {name: f"{at - began:.1f} s" for name, at in SEEN.items()}
    print(f"{documents} documents: first request {first['any']}, first about a document {first['document']}, ", end="")
    print(f"all in {ended - began:.1f} s with {cpu:.1f} s of CPU; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
