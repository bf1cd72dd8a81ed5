# `make up` starts the demo fleet, `make test` runs every test; both create .venv and install what they need first.
# ARGS is passed to the command: make up ARGS="-f peerwatch.yaml", make test ARGS="tests/fleet -k launch".
# Tests run in four processes, as most of them wait; make test ARGS="-n 0 -s" runs them in one.
# They start hundreds of short processes: bytecode is kept, or each of them would compile what it imports.

PYTHON ?= python3
TRACKERS := tests/exporter/progress/trackers.txt
EARLIER := tests/exporter/progress/earlier_trl.txt
PINNED := constraints.txt pyproject.toml
# uv where it is there, as it takes a fraction of the time; else pip, with its progress on a terminal.
INSTALL = if command -v uv >/dev/null; then uv pip install --python .venv/bin/python -c constraints.txt -e ".[$$extras]"; \
	else test -t 1 || quiet=--quiet; \
	.venv/bin/pip install $$quiet --disable-pip-version-check -c constraints.txt -e ".[$$extras]"; fi

.PHONY: up test lint bench screenshots

up: .venv/.installed
	.venv/bin/peerwatch up $(ARGS)

test: .venv/.installed-dev
	env -u PYTHONDONTWRITEBYTECODE .venv/bin/pytest -m "not bench" -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/.installed-dev
	.venv/bin/pytest -m bench -s $(ARGS)

# Screenshots of the status page for the documentation; needs Debian's chromium.
screenshots: .venv/.installed-dev
	.venv/bin/python -m tests.alerts.web.page.screenshots

.venv/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Peerwatch needs Python 3.11 or newer; make PYTHON=python3.11 up")'
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/pip $(PINNED)
	@echo "installing into .venv; the first time this takes some minutes"
	@extras=leaderboard,trainer; $(INSTALL)
	@touch $@

.venv/.installed-dev: .venv/.installed $(PINNED) $(TRACKERS) $(EARLIER)
	@extras=dashboards,leaderboard,lora,plot,trainer,dev; $(INSTALL)
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/writers -r $(TRACKERS)
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile --upgrade --target .venv/earlier -r $(EARLIER)
	@touch $@
