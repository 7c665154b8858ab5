"""Finished files and streams of jets for training: `load`, `Stream`, `DumpStream`; PyTorch and TensorFlow."""
