"""Structured datasets, read with h5py."""
