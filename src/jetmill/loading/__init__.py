"""Finished files and streams of jets, for those who train: `load`, `Stream`, `DumpStream`; PyTorch and TensorFlow."""
