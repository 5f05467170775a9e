# make demo    create .venv, install, track an object, write figures and a picture to demo/
# make test    create .venv, install, run the tests that do not take long
# make lint    ruff and mypy
# make help    these and the rest, with their variables
#
# A stamp file in .venv remembers what is installed, so a second call starts at once.

PYTHON  ?= python3
VENV    ?= .venv
# The OpenCV package: what was asked for, else what is installed, else the one that needs no system libraries.
OPENCV  ?= $(or $(PYTRACKING_OPENCV),$(patsubst $(VENV)/.opencv-%,%,$(wildcard $(VENV)/.opencv-*)),headless)
EXTRAS  ?=
PYTEST  ?= -m "not slow"
TRACKER ?= edcf

PY       := $(VENV)/bin/python
PIP      := $(PY) -m pip --disable-pip-version-check
PACKAGING := pyproject.toml setup.py build-constraints.txt
OPERATORS := $(wildcard external/*.py external/prroi_pool/csrc/*)
OPTIONAL := visdom,jpeg4py,tensorboard,onnx,coco
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

export PYTRACKING_OPENCV := $(OPENCV)

# Up to pip 25.2 the constraints of a build come from PIP_CONSTRAINT; later releases have an option of their own.
install = if $(PIP) install --help | grep -q -e --build-constraint; \
	then $(PIP) install --quiet --build-constraint build-constraints.txt $(1); \
	else PIP_CONSTRAINT="$$PIP_CONSTRAINT build-constraints.txt" $(PIP) install --quiet $(1); fi

# In place, where the editable install finds them. What cannot be built is one line each (PRROI_POOL_BUILD=auto).
operators = $(PIP) install --quiet 'setuptools>=77' && $(PY) setup.py --quiet build_ext --inplace

.PHONY: help demo install ops test test-all lint docs clean distclean system-packages check-turbojpeg
.DEFAULT_GOAL := help

help:
	@echo "make demo             track an object and look at the result in demo/ (TRACKER=$(TRACKER))"
	@echo "make test             the tests, without the slow ones (PYTEST='-k registry' chooses others)"
	@echo "make test-all         all the tests"
	@echo "make lint             ruff and mypy"
	@echo "make install          only install; EXTRAS=visdom,jpeg4py adds optional packages"
	@echo "make ops              only compile the pooling operators; PRROI_POOL_BUILD=auto|cuda|cpu|none"
	@echo "make docs             the manual as a web site in site/"
	@echo "make system-packages  as root on Debian: libturbojpeg, which jpeg4py needs"
	@echo "make clean            remove what was produced; make distclean removes $(VENV) too"
	@echo "Variables: PYTHON=python3.12  VENV=.venv  OPENCV=headless|gui|contrib|contrib-headless"

# --- the environment -------------------------------------------------------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "$(PYTHON) is missing or older than 3.10: install a newer one and say PYTHON=python3.12 make ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "$(PYTHON) has no venv module: on Debian and Ubuntu run 'apt-get install python3-venv'"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# One OpenCV package at a time: they install over each other, so a change takes the other ones out first.
$(VENV)/.opencv-$(OPENCV): $(VENV)/.made
	@if ls $(VENV)/.opencv-* >/dev/null 2>&1; then \
	  $(PIP) uninstall --quiet --yes opencv-python opencv-python-headless opencv-contrib-python \
	    opencv-contrib-python-headless; rm -f $(VENV)/.opencv-* $(VENV)/.installed*; fi
	@touch $@

$(VENV)/.installed: $(VENV)/.opencv-$(OPENCV) $(PACKAGING)
	@echo "Installing into $(VENV): the first time this takes some minutes, PyTorch alone can be several GB."
	@$(call install,--editable .)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(call install,--editable '.[dev]')
	@echo "Installing optional packages: $(OPTIONAL)"
	@$(call install,--editable '.[$(OPTIONAL)]') || \
	  echo "Optional packages could not be installed; everything else works without them (INSTALL.md)."
	@touch $@

$(VENV)/.operators: $(VENV)/.installed $(OPERATORS)
	@$(operators) || { test "$${PRROI_POOL_BUILD:-auto}" = auto && \
	  echo "The pooling operators could not be built; everything works without them (INSTALL.md)."; }
	@touch $@

ops: $(VENV)/.installed
	@$(operators)
	@touch $(VENV)/.operators

install: $(VENV)/.installed $(VENV)/.operators
ifneq ($(strip $(EXTRAS)),)
	@$(call install,--editable '.[$(EXTRAS)]')
endif
	@echo "Installed. Activate it with: . $(VENV)/bin/activate"

check-turbojpeg: | $(VENV)/.installed-dev
	@$(PY) -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("turbojpeg") is None)' || \
	  echo "No libturbojpeg here ('make system-packages' installs it): jpeg4py cannot be used, OpenCV reads the images."

system-packages:
	@command -v apt-get >/dev/null || { echo "no apt-get here: install libturbojpeg with your package manager"; exit 1; }
	@test "$$(id -u)" = 0 || { echo "needs root: sudo make system-packages"; exit 1; }
	apt-get update -qq && apt-get install -y -qq libturbojpeg0

# --- the jobs --------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed $(VENV)/.operators
	@rm -rf demo && mkdir demo
	$(PY) pytracking/run_tracker.py $(TRACKER) default synthetic --results demo/results
	$(PY) pytracking/run_analysis.py synthetic $(TRACKER):default --results demo/results \
	  --json demo/figures.json --plots demo/plots
	@$(PY) examples/film_strip.py $(TRACKER):default synthetic --results demo/results --output demo/tracked.png
	@$(PY) examples/film_strip.py $(TRACKER):default synthetic --results demo/results \
	  --sequence 0 --output demo/tracked.mp4
	@echo "Look at demo/tracked.png and demo/tracked.mp4 (green: tracked, red: annotated), and at demo/plots/."

test: $(VENV)/.installed-dev $(VENV)/.operators check-turbojpeg
	$(ONE_THREAD) $(PY) -m pytest $(PYTEST)

test-all: $(VENV)/.installed-dev $(VENV)/.operators check-turbojpeg
	$(ONE_THREAD) $(PY) -m pytest

lint: $(VENV)/.installed-dev
	$(PY) -m ruff check .
	$(PY) -m mypy

docs: $(VENV)/.installed
	@$(call install,--editable '.[docs]')
	$(PY) -m mkdocs build --quiet --strict
	@echo "Open site/index.html"

clean:
	rm -rf demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	rm -f external/prroi_pool/*.so $(VENV)/.operators
	find ltr pytracking external tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
