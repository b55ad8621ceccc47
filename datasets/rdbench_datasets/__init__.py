"""Manifests of test sets: one TOML file each, named like the set."""
