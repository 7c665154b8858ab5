"""The input files of a run, as listed; none is opened here."""
