"""Formulas, networks and plug-ins of users that make new variables; which values are missing."""
