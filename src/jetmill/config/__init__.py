"""The configuration: its models, and what is wrong with one."""
