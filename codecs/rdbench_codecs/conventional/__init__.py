"""Conventional codecs, from JPEG to VTM, one file each."""
