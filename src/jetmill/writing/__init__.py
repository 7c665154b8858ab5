"""From cleaned columns to the rows of finished files."""
