"""Cards: small text files beside the results from which other programs know how to read them."""
