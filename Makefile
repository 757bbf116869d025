# Needs a POSIX shell, Python 3.11 or later, make and git. Everything else goes into .venv.
#   make PYTHON=python3.13     another interpreter (before the first use, or after make clean)
#   make unit ARGS="-k hello"  arguments for pytest

.POSIX:
.NOTPARALLEL:

PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
ARGS =

# Processes that run the tests: two suit the smallest machine that CI has.
WORKERS = 2

PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help venv demo test system-packages lint format types contracts unit notebooks samples lab clean

help: ## list the targets (the default)
	@echo "amtdiag: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '  %-16s %s\n' "$$target" "$$text"; done

# One stamp for each depth of installation. Both are editable: only pyproject.toml makes them stale.
$(VENV)/.runtime: pyproject.toml tools/bootstrap.sh
	@PYTHON="$(PYTHON)" sh tools/bootstrap.sh $(VENV)
	@echo "installing amtdiag into $(VENV) ..."
	@$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml tools/bootstrap.sh
	@PYTHON="$(PYTHON)" sh tools/bootstrap.sh $(VENV)
	@echo "installing amtdiag and what its tests need into $(VENV) ..."
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $(VENV)/.runtime $@

venv: $(VENV)/.dev ## the virtual environment, with all that the tests need

# Exit status 1 means that the captures hold problems, which is what the samples are for.
demo: $(VENV)/.runtime ## analyse sample_pcaps/: summary on the screen, report with charts in reports/demo/
	@$(BIN)/amtdiag analyze sample_pcaps/ -o reports/demo || [ $$? -eq 1 ]
	@echo
	@echo "The report is in reports/demo/:" && ls reports/demo

test: system-packages lint types contracts unit ## all of it: system packages, lint, types, contracts, tests, notebooks

system-packages: ## install tshark and the like, where root or sudo can
	@sh tools/system-packages.sh

lint: $(VENV)/.dev ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## ruff: mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## import-linter: who may import whom
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.dev ## pytest, which also executes the notebooks
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

notebooks: $(VENV)/.dev ## execute the notebooks and keep their outputs
	$(BIN)/jupyter execute --inplace notebooks/*.ipynb

samples: $(VENV)/.dev ## make sample_pcaps/ anew
	$(BIN)/python -m amtdiag.simulate sample_pcaps

# Plain Python: without root there is nothing to install, and the lab says so.
lab: ## record sample_pcaps/lab/ anew, in network namespaces (root only)
	@[ "$$(id -u)" != 0 ] || sh tools/system-packages.sh lab
	@$(PYTHON) -m tools.lab sample_pcaps/lab

clean: ## remove the virtual environment and all that was built (reports stay)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
