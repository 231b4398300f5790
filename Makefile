# Every target prepares .venv by itself: a fresh clone needs nothing but Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench screenshots lock

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) scripts/make_venv.py $(VENV)
	@echo "preparing $(VENV): installing locked packages ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## Run the provider and a relying party; prints where to click
	@exec $(BIN)/python -m examples.demo

test: $(STAMP) ## Run every test against real PostgreSQL, Redis, Chromium and Node clients
	@scripts/services.sh
	@exec $(BIN)/python -m pytest -n auto --dist loadgroup tests examples/relying_party

lint: $(STAMP) ## Check style, types, layers, and that generated files are current
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/idp config docs --check
	@$(BIN)/python scripts/compile_translations.py --check

format: $(STAMP) ## Rewrite the sources in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/idp config docs
	@$(BIN)/python scripts/compile_translations.py

bench: $(STAMP) ## Measure CPU per request beside the physical limit, and print one table
	@scripts/services.sh
	@exec $(BIN)/python -m bench

screenshots: $(STAMP) ## Take the pictures that the docs show anew, from the real pages
	@scripts/services.sh
	@exec $(BIN)/python -m scripts.screenshots

lock: $(STAMP) ## Resolve the lock file anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements.lock
