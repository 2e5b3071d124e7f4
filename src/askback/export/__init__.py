"""Export: a run's pairs as a folder that people can load, read and pass on."""

from askback.export.folder import FORMATS, export

__all__ = ["FORMATS", "export"]
