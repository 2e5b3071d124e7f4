"""The page on which people read a run's pairs and say what they think: ``askback review RUN``."""

from pathlib import Path

from askback.errors import MissingExtra


def start(run: Path, by: str, count: int, port: int) -> None:
    """Serve the page to this machine alone until Ctrl-C.

    Raises:
        MissingExtra: what it is served with is not installed.
        InputError: the run has no pairs yet.
    """
    try:
        from askback.review.server import serve
    except ImportError as error:
        raise MissingExtra("starlette and uvicorn", "review", "The review page") from error
    serve(run, by, count, port)
