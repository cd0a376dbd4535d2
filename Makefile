# The verbs of this project. Each does its own set-up: a machine needs Python 3.11 or later with
# pip and venv, and make.
#
#   make up ARGS="--gateway 127.0.0.1:8080"     flags for `bailee up`
#   make test ARGS="tests/unit -k policy"       flags for pytest (-n 0: in one process)
#   make faults ARGS="-n 0"                     flags for pytest
#   make test-long SECONDS=600                  for how long
#   make bench ARGS="policy vault"              which benchmarks; --short: a few minutes
#   make bench-load ARGS="--seconds 60 --streams 200"
#   make up PYTHON=/path/to/python              which Python makes .venv

.DEFAULT_GOAL := help
# What `make check` is made of: the longest first, another goes on beside it.
CHECKS := check-types check-lint check-imports check-pages check-site
.PHONY: help setup demo up test faults test-long check $(CHECKS) bench bench-load wheel docs

PYTHON ?=
ARGS ?=
SECONDS ?= 3600
export PYTHON

# Programs are run as modules: a script's first line breaks when the checkout's path is long
# or has spaces in it.
RUN := .venv/bin/python -m
# Where nothing compiled may be written down, each of some thousand processes compiles it anew.
COMPILED := env -u PYTHONDONTWRITEBYTECODE

help: ## Say what the verbs do
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-17s %s\n", $$1, $$2}'

setup: ## Make .venv and install everything a developer needs
	@tools/setup.sh dev

demo: ## See the whole of it in half a minute, in a temporary folder
	@tools/setup.sh run
	@exec .venv/bin/bailee demo $(ARGS)

up: ## Run bailee on this machine
	@tools/setup.sh run
	@exec .venv/bin/bailee up $(ARGS)

test: ## Run every test this machine can run, and say which it can't
	@tools/setup.sh dev
	@$(COMPILED) $(RUN) pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

faults: ## Do what may fail around a server, and print what comes of it
	@tools/setup.sh dev
	@$(COMPILED) .venv/bin/python tools/failures.py -n 2 --dist loadfile $(ARGS)

test-long: ## Tell random histories for an hour, against the model of the mission
	@tools/setup.sh dev
	@BAILEE_HISTORIES_SECONDS=$(SECONDS) $(RUN) pytest -n 0 tests/histories $(ARGS)

check: ## Lint, types, import contracts, generated pages, docs site
	@tools/setup.sh dev
	@$(MAKE) --no-print-directory --jobs=2 --output-sync $(CHECKS)
	@echo "check: all good"

check-types:
	@echo "check: mypy --strict"
	@$(RUN) mypy
	@$(RUN) mypy tools/*.py

check-lint:
	@echo "check: ruff check and format"
	@$(RUN) ruff check --quiet
	@$(RUN) ruff format --check --quiet

check-imports:
	@echo "check: import contracts"
	@.venv/bin/lint-imports --no-logo

check-pages:
	@echo "check: generated pages"
	@.venv/bin/python tools/generate.py --check

check-site:
	@echo "check: docs site"
	@.venv/bin/python tools/site_build.py

bench: ## Measure, side by side in one run
	@tools/setup.sh dev
	@$(COMPILED) $(RUN) bench $(ARGS)

bench-load: ## Hold streams against one server for minutes, then more until it sheds
	@tools/setup.sh dev
	@$(COMPILED) $(RUN) bench.load $(ARGS)

wheel: ## Build this machine's wheel into dist/, the gateway compiled
	@tools/setup.sh dev
	@BAILEE_COMPILE=1 $(RUN) uv build --wheel

docs: ## Generate the generated pages and build the docs site into site/
	@tools/setup.sh dev
	@.venv/bin/python tools/generate.py
	@.venv/bin/python tools/site_build.py
