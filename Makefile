# One way to do a thing. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup run test check audit chaos fuzz bench types pictures matrix wheel requirements clean

PYTHON ?= python3
VENV := .venv/bin/python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## prepare .venv and the built client; does nothing when nothing changed
	@$(PYTHON) scripts/setup.py

run: setup ## start everything and say where to look; Ctrl-C stops it
	@$(VENV) -m scripts.run

test: setup ## run the whole test suite, three files at a time; installs a browser if there is none
	@$(VENV) -m scripts.find_browser
	@$(VENV) -m pytest --numprocesses 3 --dist loadfile $(ARGS)

check: setup ## lint, types, import rules, known holes, client checks
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@$(VENV) -m mypy
	@.venv/bin/lint-imports
	@$(VENV) -m scripts.check_tree
	@$(VENV) -m scripts.audit
	@$(VENV) -m scripts.node npm --prefix client run check

audit: setup ## known holes in dependencies; ARGS=--strict fails when nobody could be asked
	@$(VENV) -m scripts.audit $(ARGS)

chaos: setup ## break things on purpose and count what is lost; ARGS="--scenario calm --jobs 5"
	@$(VENV) -m tests.chaos $(ARGS)

fuzz: setup ## send nonsense to a web process for some minutes; JOBCAST_FUZZ_SEED=7 for another run
	@JOBCAST_FUZZ=long $(VENV) -m pytest tests/fuzz -s

bench: setup ## measure it beside its peers, for an hour or so; ARGS="--only fan-out-500 --repeat 2"
	@$(VENV) -m uv pip install --quiet --python $(VENV) -r requirements-bench.txt
	@$(VENV) -m scripts.node npm --prefix bench/node ci --no-audit --no-fund --loglevel=error
	@$(VENV) -m bench $(ARGS)

types: setup ## generate client/hooks/types.ts from the Python models
	@$(VENV) -m scripts.node npm --prefix client run types

pictures: setup ## take the README's pictures anew
	@JOBCAST_PICTURES=docs/images $(VENV) -m pytest tests/system/test_browser.py

matrix: setup ## a real job and the contract tests with the oldest and the newest versions; ARGS="--only oldest"
	@$(VENV) -m scripts.matrix $(ARGS)

wheel: setup ## build the library, with the dashboard in it, into var/wheel
	@$(VENV) -m uv build --quiet --clear --out-dir var/wheel .

requirements: setup ## compile requirements*.txt from pyproject.toml; ARGS=--upgrade takes what is new
	@$(VENV) -m scripts.compile_requirements $(ARGS)

clean: ## remove what setup made
	rm -rf .venv client/node_modules jobcast/flask/static bench/node/node_modules var
