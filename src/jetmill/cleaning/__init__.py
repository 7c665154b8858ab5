"""What becomes of a chunk of input before it is stored."""
