"""Codecs that are programs: described in a file, run in a subprocess."""
