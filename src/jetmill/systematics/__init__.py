"""Systematic variations of constituents: each is registered where it is defined, in a module that is imported here."""

from jetmill.systematics import calorimeter
from jetmill.systematics.variation import VARIATIONS, vary

__all__ = ["VARIATIONS", "calorimeter", "vary"]
