# make setup | demo | test | lint | clean
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
STAMP  := $(VENV)/.requirements.txt
RUN    := $(VENV)/bin/python

.PHONY: setup demo test lint clean

setup: $(STAMP)

# The stamp is the requirements file that was installed, so a mere touch installs nothing again.
$(STAMP): requirements.txt
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@cmp -s requirements.txt $@ || $(RUN) -m pip install --quiet --requirement requirements.txt
	@cp requirements.txt $@

demo: setup
	$(RUN) main_end2end.py --jpg grace_hopper.jpg --wav welcome_slt.wav

test: setup
	$(RUN) -m pytest

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
