"""What is in a file that nobody has described: tables of variables, their values, and what they seem to be."""
