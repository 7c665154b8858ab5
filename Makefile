PYTHON ?= python3
CORES ?= 2
READERS ?= yes
WORKERS ?= 2
VENV := .venv

.PHONY: run install test test-packages clean

run: install
	$(VENV)/bin/snakemake --cores $(CORES)

install: $(VENV)/installed

test: $(VENV)/installed-test
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --max-worker-restart 0

# What tests of Slurm and XRootD need, as root on Debian or Ubuntu; without it they are skipped.
test-packages:
	apt-get update --quiet
	apt-get install --quiet --yes --no-install-recommends slurmctld slurmd slurm-client munge xrootd-server

clean:
	rm -rf $(VENV) results .snakemake

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement requirements.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@

# PyTorch, TensorFlow, atlas-ftag-tools and weaver read the results in tests. They are large; READERS=no
# skips them and these tests.
$(VENV)/installed-test: $(VENV)/installed requirements-test.txt requirements-readers.txt requirements-htcondor.txt
	$(VENV)/bin/pip install --quiet --requirement requirements-test.txt
	$(VENV)/bin/pip install --quiet --no-deps --upgrade --target $(VENV)/htcondor --requirement requirements-htcondor.txt
	test "$(READERS)" = no || $(VENV)/bin/pip install --quiet --requirement requirements-readers.txt
	touch $@
