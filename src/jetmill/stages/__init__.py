"""One module per rule of the workflow, of its name: files in, files out."""
