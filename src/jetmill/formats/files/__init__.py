"""Finished files: their layout, how parts are joined, and their inspection."""
