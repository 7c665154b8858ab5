PYTHON ?= python3
CORES ?= 2
TORCH ?= yes
VENV := .venv

.PHONY: run install test clean

run: install
	$(VENV)/bin/snakemake --cores $(CORES)

install: $(VENV)/installed

test: $(VENV)/installed-test
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python -m pytest

clean:
	rm -rf $(VENV) results .snakemake

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement requirements.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@

# The tests of the torch format need PyTorch, which is large; TORCH=no skips it and them.
$(VENV)/installed-test: $(VENV)/installed requirements-test.txt requirements-torch.txt
	$(VENV)/bin/pip install --quiet --requirement requirements-test.txt
	test "$(TORCH)" = no || $(VENV)/bin/pip install --quiet --requirement requirements-torch.txt
	touch $@
