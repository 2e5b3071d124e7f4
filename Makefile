# make demo   set up, run the whole loop on this machine's documentation, show what came out
# make test   set up, then everything CI checks: format, lint, types, tests
PYTHON ?= python3
BIN := .venv/bin
STAMP := $(BIN)/.askback-installed

.PHONY: demo test check docs clean

demo: $(STAMP)
	$(BIN)/askback models --fetch builtin:smollm2-135m
	$(BIN)/askback demo

test: check
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

# torch 2.13.0 first and by itself: a plain torch may pull several GB of GPU packages that a laptop has no use for.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$(or $(TORCH),2.13.0)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
	touch $(STAMP)

clean:
	rm -rf .venv build dist

docs: $(STAMP)
	$(BIN)/python -m typer askback.cli utils docs --name askback > docs/cli.md
