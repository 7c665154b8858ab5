"""Finished files: their layout, how parts are joined, what is in them."""
