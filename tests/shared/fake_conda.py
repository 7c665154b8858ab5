"""A program that stands in for conda."""

CONDA = """#!{python}
# What Snakemake asks of conda, with a virtual environment in place of a conda environment.
import json, subprocess, sys
from pathlib import Path

arguments = sys.argv[1:]
if arguments[:1] == ["info"]:
    print(json.dumps({{"conda_prefix": {prefix!r}, "platform": "linux-64"}}))
elif arguments == ["--version"]:
    print("conda 25.1.0")
elif arguments[:3] == ["config", "--get", "channel_priority"]:
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif arguments[:2] == ["env", "create"]:
    environment = arguments[arguments.index("--prefix") + 1]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    packages = next(Path(environment).glob("lib/python*/site-packages"))
    (packages / "packages.pth").write_text({packages!r})
elif arguments[:1] != ["clean"]:
    sys.exit(f"unexpected: {{arguments}}")
"""
