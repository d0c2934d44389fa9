# One way to do a thing. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup run test check types requirements clean

PYTHON ?= python3
VENV := .venv/bin/python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## prepare .venv and the built client; does nothing when nothing changed
	@$(PYTHON) scripts/setup.py

run: setup ## start everything and say where to look; Ctrl-C stops it
	@$(VENV) scripts/run.py

test: setup ## run the whole test suite; installs a browser if there is none
	@$(VENV) scripts/find_browser.py
	@$(VENV) -m pytest

check: setup ## lint, types, import rules, client checks
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@$(VENV) -m mypy
	@.venv/bin/lint-imports
	@$(VENV) scripts/check_tree.py
	@$(VENV) scripts/node.py npm --prefix client run check

types: setup ## generate client/hooks/types.ts from the Python models
	@$(VENV) scripts/node.py npm --prefix client run types

requirements: setup ## compile requirements*.txt from pyproject.toml
	@$(VENV) scripts/compile_requirements.py

clean: ## remove what setup made
	rm -rf .venv client/node_modules client/dist var
