PY := .venv/bin/python
TURTLE := .venv/bin/turtle

.PHONY: up down clean logs status test lint bench failover smoke faults sim

up: ## start the fleet on this machine and tell where to look
	@sh deploy/bootstrap.sh control
	@$(TURTLE) lab up

down: ## stop everything; the data stays
	@if [ -x $(TURTLE) ]; then $(TURTLE) lab down; else echo "Nothing was running."; fi

clean: ## stop everything and forget it
	@if [ -x $(TURTLE) ]; then $(TURTLE) lab clean; else echo "Nothing to forget."; fi

logs: ## follow the logs of all processes
	@$(TURTLE) lab logs --follow

status: ## show what runs
	@$(TURTLE) lab status

test: ## the whole test suite, with servers of its own
	@sh deploy/bootstrap.sh dev
	@$(PY) -m pytest $(ARGS)
	@echo "The ledger once more, on PostgreSQL:"
	@$(PY) -m tests.postgres $(PY) -m pytest tests/fleet

lint: ## style, types, import rules
	@sh deploy/bootstrap.sh dev
	@$(PY) -m ruff check .
	@$(PY) -c 'import tests.environment, mypy.__main__ as m; m.console_entry()' \
		fleet tasks probes deploy turtle_site
	@.venv/bin/lint-imports

bench: ## measure against plain Celery
	@sh deploy/bootstrap.sh dev
	@$(PY) -m tests.benchmarks

smoke: ## a few of the faults, each with real processes (minutes; root)
	@sh deploy/bootstrap.sh dev
	@$(TURTLE) lab scenario smoke

failover: ## take the broker's master away again and again, and measure (root; a minute a round)
	@sh deploy/bootstrap.sh dev
	@$(PY) -m tests.benchmarks.failover --rounds $(or $(ROUNDS),3)

faults: ## break the fleet in every way that is known, and write docs/faults.md (hours; root)
	@sh deploy/bootstrap.sh dev
	@$(PY) -m pytest -m slow
	@$(TURTLE) lab scenario all --paper

sim: ## the agents on a virtual clock for HOURS simulated hours (default 24)
	@sh deploy/bootstrap.sh dev
	@$(PY) -m tests.simulation --hours $(or $(HOURS),24)
