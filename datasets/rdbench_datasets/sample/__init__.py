"""Three photographs for first runs and tests; README.md has their credits and licences."""
