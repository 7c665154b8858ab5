"""Processes of toy jets: each module here with a `PROCESS` defines one completely."""
