"""Processes of toy jets: each module here that has a `PROCESS` is one, and all that distinguishes it stands there."""
