"""Published curves and tables, with where they come from."""
