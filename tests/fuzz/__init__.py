"""Seeded fuzzers. `ASKBACK_FUZZ` multiplies their size: 1 in the normal run, 20 under ``make fuzz``."""

import os

SIZE = float(os.environ.get("ASKBACK_FUZZ", "1"))
