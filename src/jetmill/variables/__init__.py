"""Formulas, networks and files of users that make new variables, vary them or say which are missing."""
