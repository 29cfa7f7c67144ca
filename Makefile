# Everything a developer does. Needs git, make and Python >= 3.11; the rest comes by itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
ARGS ?=
NAME ?=
IMAGE_PYTHON ?= 3.13
IMAGE_ARCH ?= x86_64

.PHONY: help venv page page-check demo test check unit servers browser integration integration-operator \
	integration-others demo-check e2e-engines bench lock recording wheelhouse clean \
	lint format types types-again floors house

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: ## make .venv what requirements.lock says (all targets do)
	@sh tools/bootstrap.sh

page: venv ## the Fabric page, into citadel_k8s/api/static (demo and tests do)
	@$(BIN)/python tools/page.py build

demo: page ## a small fleet and kubectl get fabricnodes; make demo ARGS=--check ends by itself
	@$(BIN)/citadel-k8s demo $(ARGS)

test: venv ## everything below, with timings: check, unit, servers, browser
	@$(BIN)/python tools/parts.py check unit servers browser

check: venv ## static checks: lint, format, types twice, floors, house rules
	@$(MAKE) -j2 -k --output-sync=target lint format types types-again floors house page-check

page-check:
	@$(BIN)/python tools/page.py check

lint:
	@$(BIN)/ruff check --quiet && echo "lint: clean"

format:
	@$(BIN)/ruff format --check --quiet && echo "format: clean"

types:
	@$(BIN)/mypy --no-error-summary && echo "mypy: clean"

types-again:
	@out=$$($(BIN)/pyright 2>&1) || { echo "$$out"; exit 1; }; echo "pyright: clean"

floors:
	@out=$$($(BIN)/lint-imports 2>&1) || { echo "$$out"; exit 1; }; echo "floors: kept"

house:
	@$(BIN)/python tools/house.py

unit: page ## pure, virtual-time, contract and simulation tests; ARGS goes to pytest
	@$(BIN)/pytest -q -n $$(( $$(nproc) + 1 )) tests/unit tests/aio tests/contract \
		tests/simulation $(ARGS)

servers: page ## integration and demo-check side by side: all wait more than they work
	@$(BIN)/python -m citadel_k8s.local.binaries
	@$(MAKE) -k -j3 --output-sync=target integration-operator integration-others demo-check

integration: page ## tests against real Valkey and kube-apiserver; ARGS goes to pytest
	@$(BIN)/python -m citadel_k8s.local.binaries
	@$(MAKE) -k -j2 --output-sync=target integration-operator integration-others

integration-operator: # in one process: three operators' lives begin once, together
	@$(BIN)/pytest -q tests/integration/operator $(ARGS)

integration-others:
	@$(BIN)/pytest -q -n 2 tests/integration --ignore tests/integration/operator \
		--ignore tests/integration/page $(ARGS)

browser: page ## the page in a real Chromium, before the real servers; ARGS goes to pytest
	@$(BIN)/pytest -q tests/integration/page $(ARGS)

demo-check: page ## the demo as a test
	@$(BIN)/citadel-k8s demo --check

e2e-engines: venv ## against real Ollama and llama.cpp, built once; ARGS goes to pytest
	@$(BIN)/pytest -q -rs tests/e2e/engines $(ARGS)

bench: venv ## one benchmark: make bench NAME=agent_cost ARGS=--quick; without NAME all of them
	@$(BIN)/python tools/benches.py "$(NAME)" $(ARGS)

lock: venv ## lock the dependencies anew: requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra dev \
		--python-version 3.11 -o requirements.lock pyproject.toml $(ARGS)

recording: page ## the recording of a terminal in docs/recordings, of a real run; two minutes
	@$(BIN)/python tools/recording.py

wheelhouse: venv ## the wheels that the Dockerfile installs, in dist/wheelhouse
	@$(BIN)/python tools/wheelhouse.py --python $(IMAGE_PYTHON) --arch $(IMAGE_ARCH)

clean: ## remove what was made here: .venv, caches
	rm -rf .venv dist web/node_modules citadel_k8s/api/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
