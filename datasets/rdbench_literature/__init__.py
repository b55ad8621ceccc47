"""Published curves and tables, with their sources."""
