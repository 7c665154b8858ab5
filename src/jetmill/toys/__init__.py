"""Generated jets, for trying the workflow and for tests."""
