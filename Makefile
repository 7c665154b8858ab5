PYTHON ?= python3
CORES ?= 2
READERS ?= yes
# One more than cores: tests of Slurm and of servers mostly wait.
WORKERS ?= 3
VENV := .venv
BENCH ?= results/bench

.PHONY: run install test test-packages lint format docs bench bench-full clean

run: install
	$(VENV)/bin/snakemake --cores $(CORES)

install: $(VENV)/installed

test: $(VENV)/installed-test
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: $(VENV)/installed-test
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m snakefmt --check Snakefile workflow
	$(VENV)/bin/python -m mypy

format: $(VENV)/installed-test
	$(VENV)/bin/python -m ruff check --fix .
	$(VENV)/bin/python -m ruff format .
	$(VENV)/bin/python -m snakefmt Snakefile workflow

# The pages and the schema that are made from the code (docs/config.md, docs/transforms.md, config/schema.json, docs/images), and
# the documentation site: open site/index.html.
docs: $(VENV)/installed-docs
	$(VENV)/bin/python -m jetmill.config.reference
	$(VENV)/bin/python docs/figures.py
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet

# The goals of docs/benchmarks.md: a line for each, and an error if one is worse than recorded. Some minutes and 10 GB;
# bench-full takes half an hour.
bench bench-full: $(VENV)/installed
	$(VENV)/bin/python benchmarks/bench.py --directory $(BENCH) $(if $(filter bench-full,$@),--full)

# What tests of Slurm and XRootD need, as root on Debian or Ubuntu; without it they are skipped.
test-packages:
	apt-get update --quiet
	apt-get install --quiet --yes --no-install-recommends slurmctld slurmd slurm-client munge xrootd-server

clean:
	rm -rf $(VENV) results/toy site

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes --requirement requirements.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/installed-docs: $(VENV)/installed requirements-docs.txt
	$(VENV)/bin/pip install --quiet --require-hashes --requirement requirements-docs.txt
	touch $@

# PyTorch, TensorFlow, atlas-ftag-tools, weaver and salt read the results in tests. They are large; READERS=no
# skips them and these tests.
$(VENV)/installed-test: $(VENV)/installed-docs requirements-test.txt requirements-readers.txt requirements-salt.txt requirements-htcondor.txt
	$(VENV)/bin/pip install --quiet --require-hashes --requirement requirements-test.txt
	$(VENV)/bin/pip install --quiet --no-deps --upgrade --target $(VENV)/htcondor --require-hashes --requirement requirements-htcondor.txt
	test "$(READERS)" = no || $(VENV)/bin/pip install --quiet --requirement requirements-readers.txt
	test "$(READERS)" = no || $(VENV)/bin/pip install --quiet --no-deps --upgrade --target $(VENV)/salt --requirement requirements-salt.txt
	touch $@
