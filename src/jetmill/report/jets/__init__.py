"""Figures of the training jets, one module each."""
