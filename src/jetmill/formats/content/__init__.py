"""The jets of a part, scaled or in their own units, as rows in any order."""
