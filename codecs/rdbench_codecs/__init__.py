"""Adapters of conventional codecs and the networks of learned ones, one file or folder each."""
