# Everything a fresh Debian or Ubuntu machine needs is set up by the first target that needs it.

SHELL := /bin/sh
.DELETE_ON_ERROR:

PYTHON ?= python3
SEATS ?= 8
IMAGE ?=
FUZZ_SECONDS ?= 60

BIN := .venv/bin
PACKAGES := protocol broadcaster receiver dashboards slatecast
CHECKED := $(PACKAGES) tests benches setup.py
INSTALLED_FROM := pyproject.toml setup.py constraints.txt scripts/set-up $(wildcard protocol/*.c)

.PHONY: help demo test check generate screenshots lab bench fuzz mutants clean

help: ## show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: .venv/demo.stamp ## cast a sample disk (or IMAGE=path) to SEATS=8 receivers on this machine and prove each disk
	@sh scripts/install-packages demo
	@$(BIN)/python -m slatecast demo --seats "$(SEATS)" $(if $(IMAGE),"$(IMAGE)")

test: .venv/test.stamp ## check, then run every test that this machine and user can run
	@sh scripts/install-packages test
	@$(MAKE) --no-print-directory check
	@sh scripts/run-tests $(BIN)/python

check: .venv/test.stamp ## formatting, lint and types
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy $(PACKAGES) tests benches

generate: .venv/test.stamp ## write what is generated from code: docs/metrics.md, rules and dashboards
	$(BIN)/python -m slatecast.metrics_reference
	$(BIN)/python -m dashboards.prometheus.rules
	$(BIN)/python -m dashboards.grafana.generate

screenshots: .venv/test.stamp ## make the pictures of the console in docs/images anew
	@sh scripts/install-packages test
	$(BIN)/python -m tests.browser.screenshots

lab: .venv/test.stamp ## reimage virtual machines, from building one to starting from the new disks; takes root
	@sh scripts/install-packages test
	@$(BIN)/python -m tests.lab

bench: .venv/bench.stamp ## measure; figures of this machine only
	@sh scripts/install-packages test
	@for bench in benches/bench_*.py; do \
		echo "== $$bench"; $(BIN)/python -m benches."$$(basename "$$bench" .py)" || exit 1; \
	done

fuzz: .venv/fuzz.stamp ## fuzz each parser for FUZZ_SECONDS=60, then run the property tests with many more examples
	$(BIN)/python -m tests.fuzz.hunt --seconds "$(FUZZ_SECONDS)"
	$(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile=fuzz --timeout=0

mutants: .venv/test.stamp ## plant bugs in copies of the packages and show that the tests find every one
	$(BIN)/python -m tests.mutants.ticket_hunt
	$(BIN)/python -m tests.mutants.hunt

clean: ## remove everything that make has made
	rm -rf .venv build dist ./*.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache protocol/*.so
	find $(PACKAGES) tests benches -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/demo.stamp: $(INSTALLED_FROM)
	@PYTHON="$(PYTHON)" sh scripts/set-up '.[server]'
	@touch $@

.venv/bench.stamp: $(INSTALLED_FROM)
	@PYTHON="$(PYTHON)" sh scripts/set-up '.[server,console,dev,bench]'
	@touch $@ .venv/test.stamp .venv/demo.stamp

.venv/fuzz.stamp: $(INSTALLED_FROM)
	@PYTHON="$(PYTHON)" sh scripts/set-up '.[server,console,dev,fuzz]'
	@touch $@ .venv/test.stamp .venv/demo.stamp

.venv/test.stamp: $(INSTALLED_FROM)
	@PYTHON="$(PYTHON)" sh scripts/set-up '.[server,console,dev]'
	@touch $@ .venv/demo.stamp
