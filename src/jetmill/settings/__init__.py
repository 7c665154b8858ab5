"""The settings of a run: one module per section of the YAML file, as frozen dataclasses.

The same objects describe the configuration (`jetmill.config` checks a file against them), document it (the text below a
key is its description) and reach the jobs. None of them needs pydantic, which is slow to load.
"""
