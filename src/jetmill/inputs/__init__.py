"""The input files of a run, as they are listed; none of them is opened here."""
