# `make compare` and `make test` each do all the set-up on a machine with Python 3.10-3.13 and make: they create .venv,
# install the package with the tested versions of its dependencies, once, and run.
#
#   make compare ARGS="--seeds 2"          arguments for nmt-pbt compare
#   make test ARGS="tests/test_journal.py" arguments for pytest
#   make test PYTHON=python3.12            the Python to create .venv with

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
ARGS ?=

# An installation is repeated when one of these is newer than it.
INSTALLS_FROM := setup.py pyproject.toml constraints.txt $(BIN)/python
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
COMPILE := $(BIN)/python -m compileall -q nmt_pbt # pip compiles what it copies, not what stays here

QUICK := not slow and not peer
BESIDE := -n logical --dist loadscope --no-loadscope-reorder

ALONE = $(shell grep -rl --include=*.py 'mark\.alone' tests) # collecting only these takes seconds less

AUDIT := $(BIN)/pip-audit --no-deps --disable-pip --progress-spinner off --requirement

.PHONY: help compare test coverage lint audit docs clean

help: ## List what make can do here
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

compare: $(VENV)/installed ## Compare PBT, random, grid and Bayesian search on the built-in corpus
	$(BIN)/nmt-pbt compare $(or $(ARGS),$(if $(wildcard results/toy/journal.jsonl),--resume results/toy))

# Tests on all cores first, in the order that tests/conftest.py makes of them, then those that bound processor time, which
# a process beside them would inflate. That none is found in one of the halves (5) is no failure.
test: $(VENV)/installed-test ## Run the tests, but for those marked slow or peer
ifneq ($(filter -m%,$(ARGS)),)
	$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest $(BESIDE) -m "$(QUICK) and not alone" $(ARGS); beside=$$?; \
	$(BIN)/python -m pytest -m "$(QUICK) and alone" $(or $(ARGS),$(ALONE)); alone=$$?; \
	case "$$beside$$alone" in 00|05|50) ;; *) exit 1 ;; esac
endif

coverage: $(VENV)/installed-test ## Run the tests and say which lines and branches they leave out
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

lint: $(VENV)/installed-test ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/installed-test ## Make the settings' reference, the numbers of docs/results.md and the figures of docs/pbt.md
	$(BIN)/python docs/make

# An index that tells of no vulnerability knows of none, or does not say: one that everybody knows shows which.
audit: $(VENV)/installed-test ## Look for known vulnerabilities in the tested dependencies, where the package index tells
	@if ! $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip-audit; then \
	  echo "make: pip-audit cannot be installed here; nothing was audited"; exit 0; \
	fi; \
	echo 'jinja2==2.4' > $(VENV)/known-vulnerable.txt; \
	if $(AUDIT) $(VENV)/known-vulnerable.txt 2>&1 | grep -q '^Found'; then \
	  $(AUDIT) constraints.txt; \
	else \
	  echo "make: the package index tells of no vulnerabilities here, not even of known ones; nothing was audited"; \
	fi

clean: ## Remove .venv and what tools leave behind; results stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage
	find nmt_pbt tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: $(INSTALLS_FROM)
	@echo "Installing nmt-pbt and its dependencies into $(VENV); this takes some minutes, once"
	@$(INSTALL) .
	@$(COMPILE)
	@touch $@

$(VENV)/installed-test: $(INSTALLS_FROM)
	@echo "Installing nmt-pbt, its dependencies and its test tools into $(VENV); this takes some minutes, once"
	@$(INSTALL) '.[test]'
	@$(COMPILE)
	@touch $(VENV)/installed $@

# A candidate has to be run to know it: a launcher on the path may stand for a version that is not there.
$(BIN)/python:
	@for candidate in $(or $(PYTHON),python3.11 python3.12 python3.13 python3.10 python3 python); do \
	  "$$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' >/dev/null 2>&1 || continue; \
	  if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    echo "Creating $(VENV) with $$("$$candidate" --version)"; \
	    exec "$$candidate" -m venv --clear $(VENV); \
	  fi; \
	  without_pip="$$candidate"; \
	done; \
	if [ -n "$$without_pip" ]; then \
	  echo "make: $$without_pip cannot create a virtual environment with pip in it: its module venv or ensurepip is missing;" \
	    "install it (on Debian and Ubuntu: apt-get install python3-venv), or name another Python: make PYTHON=..." >&2; \
	else \
	  echo "make: no Python 3.10-3.13 found$(if $(PYTHON), as $(PYTHON)); install one, or name it: make PYTHON=..." >&2; \
	fi; \
	exit 2
