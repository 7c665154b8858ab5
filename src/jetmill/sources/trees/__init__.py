"""ROOT trees, read with uproot."""
