PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test audit clean

# Creates the environment, starts the app and prints its address. Ctrl-C ends it. HOST=0.0.0.0 lets others in.
app: $(VENV)/app.stamp
	@$(BIN)/telltale app --host $(HOST) --port $(PORT) --no-browser

# Everything that must hold before a change goes in. Builds and servers are processes of their own, whose lines are not
# counted as covered: the slow tests, which are about them, are spared the counting.
test: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --cov --cov-report term:skip-covered
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

# Asks a public service whether vulnerabilities are known of what is installed; needs a network, hence no part of `test`.
# SECURITY.md says what is done for a finding. AUDIT=--vulnerability-service=osv asks another service.
audit: $(VENV)/dev.stamp
	@$(BIN)/python .ci/audit.py $(AUDIT)

clean:
	rm -rf $(VENV) build *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Telltale needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/app.stamp: requirements.txt pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements.txt pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install -r requirements-dev.txt
	$(BIN)/python -m pip install --no-deps --editable .
	@touch $@
