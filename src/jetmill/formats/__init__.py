"""Output formats: each module here with a `FORMAT` defines one completely, and everything else uses the registry.

Heavy packages are imported inside functions, since formats are imported wherever a configuration is read.
"""
