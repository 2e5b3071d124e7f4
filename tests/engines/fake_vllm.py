"""Stands in for vLLM's command: ``python fake_vllm.py MODEL --port N ... [slow|broken]``. It has a child, as vLLM does."""

import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert self.path == "/health"
        self.send_response(200)
        self.end_headers()


print("the key is", os.environ["VLLM_API_KEY"], flush=True)  # noqa: T201 - a careless server
if "broken" in sys.argv:
    sys.exit("no room on the device")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
Path(sys.argv[1], "arguments").write_text("\n".join(sys.argv))
Path(sys.argv[1], "pids").write_text(f"{os.getpid()} {child.pid}")
if "slow" in sys.argv:
    time.sleep(1000)
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Health).serve_forever()
