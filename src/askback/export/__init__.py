"""Export: a run's pairs as a folder that people can load, read and pass on."""

from askback.export.folder import FORMATS, check_out, export

__all__ = ["FORMATS", "check_out", "export"]
