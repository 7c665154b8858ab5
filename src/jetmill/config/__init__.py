"""The configuration: a YAML file, checked, as settings (`jetmill.settings`). `load` is the door."""
