"""Rows and bytes of files, archives, URLs and the hub."""
