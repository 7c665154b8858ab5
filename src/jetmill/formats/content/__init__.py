"""What a part holds: its jets, scaled or in their own units, as rows in any order."""
