"""Scalers: from the moments of variables to files that others read."""
