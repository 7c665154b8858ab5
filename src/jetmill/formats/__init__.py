"""Output formats: each module here that has a `FORMAT` is one, and all that concerns it stands there.

Everything else goes by `jetmill.formats.registry`. Heavy packages are imported by the functions that need them, as
formats are imported wherever a configuration is read.
"""
