# Needs a POSIX shell, Python 3.11 or later, make and git. Everything else goes into .venv; what the tests call besides
# (a C compiler, tshark and the like) make test installs where it may, and does without where it may not.
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

.PHONY: help venv demo test system-packages lint format types contracts unit notebooks samples docs lab \
	sanitize fuzz bench bench-live bare clean

help: ## list the targets (the default)
	@echo "amtdiag: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '  %-16s %s\n' "$$target" "$$text"; done

# The compiled part of the scan, which is optional. Where there is a compiler the tests demand it: a compile error would
# else only make them slow.
NATIVE = amtdiag/capture/prefilter/native
KERNEL_SOURCES = $(NATIVE)/sieve.c $(NATIVE)/sieve.h $(NATIVE)/decode.c $(NATIVE)/decode.h $(NATIVE)/module.c

# Strict where it is judged; an installation uses whatever flags Python was built with.
NATIVE_CFLAGS = -std=c11 -g -O1 -Wall -Wextra -Wconversion -Werror \
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -I$(NATIVE_BUILD)
NATIVE_BUILD = build/native
NATIVE_CC = gcc
MUTATIONS = 20000000
FUZZ_SECONDS = 120

# Of the captures that are made for make bench.
SIZE = 300M

# "yes", or what PYTHON lacks to compile. Asked each time and written only when the answer is another: so an
# installation that was made without a compiler is made again once there is one.
COMPILER = build/compiler

$(COMPILER): FORCE
	@mkdir -p build
	@if answer=$$($(PYTHON) tools/compiler.py 2>&1); then answer=yes; fi; \
		[ "$$(cat $@ 2>/dev/null)" = "$$answer" ] || echo "$$answer" >$@

FORCE:

# One stamp for each depth of installation. Both are editable: only pyproject.toml, the C files and a compiler that has
# come make them stale.
$(VENV)/.runtime: pyproject.toml tools/bootstrap.sh $(COMPILER) $(KERNEL_SOURCES)
	@PYTHON="$(PYTHON)" sh tools/bootstrap.sh $(VENV)
	@echo "installing amtdiag into $(VENV) ..."
	@$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml tools/bootstrap.sh $(COMPILER) $(KERNEL_SOURCES)
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

system-packages: ## install a C compiler, tshark and the like, where root or sudo can
	@PYTHON="$(PYTHON)" sh tools/system-packages.sh

lint: $(VENV)/.dev ## ruff: rules and formatting; import circles, class names that stand twice, evaluated text
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/check_house.py import_circles twice_named evaluated

format: $(VENV)/.dev ## ruff: mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## import-linter: who may import whom
	PYTHONPATH=tests $(BIN)/lint-imports --no-logo

unit: $(VENV)/.dev ## pytest, which also executes the notebooks
	@if [ "$$(cat $(COMPILER))" = yes ]; then export AMTDIAG_REQUIRE_KERNEL=1; \
		else echo "unit: no $$(cat $(COMPILER)): where nothing was compiled, tests of the compiled kernel are skipped" >&2; fi; \
		set -x; $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

notebooks: $(VENV)/.dev ## execute the notebooks and keep their outputs
	$(BIN)/jupyter execute --inplace notebooks/*.ipynb

samples: $(VENV)/.dev ## make sample_pcaps/ anew
	PYTHONPATH=tests $(BIN)/python -m scenarios sample_pcaps

docs: $(VENV)/.dev ## the documentation as pages in build/docs/
	@rm -rf build/docs
	$(BIN)/sphinx-build -q -W --keep-going -b html -c docs . build/docs
	@echo "The documentation is in build/docs/docs/index.html"

# Plain Python: without root there is nothing to install, and the lab says so.
lab: ## record sample_pcaps/lab/ anew, in network namespaces (root only)
	@[ "$$(id -u)" != 0 ] || sh tools/system-packages.sh lab
	@PYTHONPATH=tests $(PYTHON) -m tools.lab sample_pcaps/lab

$(NATIVE_BUILD)/corpus: tests/native/corpus.py tests/shapes/*.py tests/invented_links.py amtdiag/capture/decode/linktypes.py
	@rm -rf $@
	@$(PYTHON) tests/native/corpus.py $@

sanitize: $(NATIVE_BUILD)/corpus ## the C part under AddressSanitizer and UBSan: samples and MUTATIONS of them (about a minute)
	@command -v $(NATIVE_CC) >/dev/null || { echo "sanitize: no $(NATIVE_CC) here (Debian, Ubuntu: apt-get install gcc libc6-dev)"; exit 2; }
	$(NATIVE_CC) $(NATIVE_CFLAGS) -o $(NATIVE_BUILD)/mutate tests/native/mutate.c tests/native/drive.c \
		$(NATIVE)/sieve.c $(NATIVE)/decode.c
	$(NATIVE_BUILD)/mutate $(MUTATIONS) 1 $(NATIVE_BUILD)/corpus/*

fuzz: $(NATIVE_BUILD)/corpus ## libFuzzer on the C part for FUZZ_SECONDS, from the samples on; needs clang
	@command -v clang >/dev/null || { echo "fuzz: no clang here (Debian, Ubuntu: apt-get install clang)"; exit 2; }
	clang $(NATIVE_CFLAGS) -fsanitize=fuzzer -o $(NATIVE_BUILD)/fuzz \
		tests/native/fuzz.c tests/native/drive.c $(NATIVE)/sieve.c $(NATIVE)/decode.c
	@mkdir -p $(NATIVE_BUILD)/found
	$(NATIVE_BUILD)/fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -print_final_stats=1 \
		-artifact_prefix=$(NATIVE_BUILD)/ $(NATIVE_BUILD)/found $(NATIVE_BUILD)/corpus

# An editable installation starts more slowly than the plain one that people have: that is the one to measure.
build/plain/.installed: pyproject.toml tools/bootstrap.sh $(KERNEL_SOURCES) $(VENV)/.dev
	@PYTHON="$(PYTHON)" sh tools/bootstrap.sh build/plain
	@build/plain/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	@build/plain/bin/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

# tcpdump is what the others are measured by; dpkt is in no extra, since nothing else wants it.
bench: $(VENV)/.dev ## amtdiag beside tcpdump, tshark, scapy and others, on made captures of SIZE (a few minutes)
	@command -v tcpdump >/dev/null || { echo "bench: no tcpdump here (Debian, Ubuntu: apt-get install tcpdump)"; exit 2; }
	@rm -f build/plain/.installed
	@$(MAKE) --no-print-directory build/plain/.installed
	AMTDIAG=build/plain/bin/amtdiag $(BIN)/python benchmarks/run.py --size $(SIZE) $(ARGS)
	AMTDIAG=build/plain/bin/amtdiag $(BIN)/python benchmarks/fleet.py
	AMTDIAG=build/plain/bin/amtdiag $(BIN)/python benchmarks/start.py

# Root only: the load goes through a network namespace. --full takes some 13 minutes.
bench-live: $(VENV)/.dev ## amtdiag live beside dumpcap, tcpdump, scapy and pyshark at 100,000 packets/s (root; three minutes)
	@command -v $(NATIVE_CC) >/dev/null || { echo "bench-live: no $(NATIVE_CC) here (Debian, Ubuntu: apt-get install gcc libc6-dev)"; exit 2; }
	@rm -f build/plain/.installed
	@$(MAKE) --no-print-directory build/plain/.installed
	AMTDIAG=build/plain/bin/amtdiag CC=$(NATIVE_CC) $(BIN)/python benchmarks/live.py $(ARGS)

# Root only, and not for CI. "make bare ARGS=root": as root there, where make may install what it wants.
bare: ## make demo and make test in a fresh Debian 12 with python3, make and git alone, as a user there (root; ten minutes)
	@sh tools/bare.sh $(ARGS)

clean: ## remove the virtual environment and all that was built (reports stay)
	rm -f amtdiag/capture/prefilter/_kernel*.so
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
