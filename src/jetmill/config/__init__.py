"""The configuration: reads and checks a YAML file and returns settings (`jetmill.settings`). Enter by `load`."""
