"""Conventional codecs, from JPEG to VVC, one file for each codec or family."""
