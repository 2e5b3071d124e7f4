"""``python -m askback``."""

from askback.cli import main

main()
