"""Export: a run's pairs as a folder that people can load, read and pass on."""

from askback.export.exporters import FORMATS, FormatName
from askback.export.folder import check_out, export

__all__ = ["FORMATS", "FormatName", "check_out", "export"]
