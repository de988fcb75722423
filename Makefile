# Two commands do everything from a bare clone with Python 3.11+ and make alone: `make demo` and `make test`.
# The environment is made anew only when pyproject.toml changes.

VENV := .venv
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PORT ?= 8501

.PHONY: demo test test-all lint clean

demo: $(READY)
	$(BIN)/workbench demo --port $(PORT)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long"

test-all: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/python -m tests.docstrings

$(READY): pyproject.toml
ifeq ($(strip $(PYTHON)),)
	@echo "workbench needs Python 3.11 or newer, and none was found. Nothing was installed." >&2
	@echo "Install one (Debian: apt-get install python3 python3-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2
	@echo "L'atelier demande Python 3.11 ou plus récent ; aucun n'a été trouvé, rien n'a été installé." >&2
	@exit 1
endif
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "workbench needs Python 3.11 or newer; $(PYTHON) is older. Nothing was installed." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf $(VENV) .workbench .workbench-keys build dist
