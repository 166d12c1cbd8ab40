# Everything a person or CI does here, by name. `make` alone lists it. Each target is safe to run again and quick when
# nothing changed.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
# One target at a time: cargo uses all cores by itself.
.NOTPARALLEL:

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tokenhost
# Outside the clone, so that the heavy dependencies compile once for every clone, for CI, the demo and the tests.
export CARGO_TARGET_DIR ?= $(CACHE)/target
TARGET := $(CARGO_TARGET_DIR)
# What is used is optimised; what is only tested compiles in seconds.
OPTIMISED := --config profile.dev.package.tokenhost.opt-level=3
TOKENHOST := $(TARGET)/debug/tokenhost
# Beside the executable, where the daemon looks for the flows that ship.
FLOWS := $(TARGET)/debug/flows

# What the Python flows are built and tested with, made by scripts/tools.sh; behind everything else in PATH.
VENV := $(CACHE)/venv/$(shell sha256sum tests/requirements.txt | cut -c1-16)
export PATH := $(PATH):$(VENV)/bin
# The SDK's sources are part of the program: nothing else is to lie among them.
export PYTHONDONTWRITEBYTECODE := 1

plugins := $(patsubst plugins/%/,%,$(wildcard plugins/*/))
shipped := $(plugins:%=$(FLOWS)/%.wasm)
# What every flow is made from besides its own folder.
not_sources := -name target -o -name node_modules -o -name build -o -name .venv -o -name '.*_cache' -o -name __pycache__
flow_sources := $(shell find wit sdk \( $(not_sources) -o -path sdk/clients \) -prune -o -type f -print) Cargo.toml Cargo.lock

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

.PHONY: tools
tools: ## install what building and testing need and this machine lacks
	@scripts/tools.sh

.PHONY: build
build: tools workspace $(shipped) ## build the daemon and the flows that ship

.PHONY: workspace
workspace: | tools
	cargo build --workspace --locked $(OPTIMISED)

# A flow is made anew when its sources, its SDK or the contract changed; not when only the daemon did.
define flow_rule
$(FLOWS)/$(1).wasm: $(shell find plugins/$(1) \( $(not_sources) \) -prune -o -type f -print) $(flow_sources) | workspace
	@mkdir -p $$(@D)
	$(TOKENHOST) plugin build plugins/$(1) --out $$@
endef
$(foreach plugin,$(plugins),$(eval $(call flow_rule,$(plugin))))

.PHONY: test
# The examples in the documentation come first, so that the summary at the end is that of the end-to-end tests.
test: build ## run everything that proves the project
	node --test tests/providers/providers.test.mjs
	npm --prefix sdk/js test --silent
	npm --prefix sdk/clients/typescript test --silent
	npm --prefix plugins/session-login test --silent
	$(VENV)/bin/python -m pytest -q sdk/python -p no:cacheprovider
	$(VENV)/bin/python -m pytest -q sdk/clients/python -p no:cacheprovider
	$(VENV)/bin/python -m pytest -q plugins/hmac-token -p no:cacheprovider
	cargo test --workspace --locked --doc
	cargo test --workspace --locked --lib --bins --tests

.PHONY: deb
deb: build ## make the Debian package; its path is the last line (docs/install.md)
	@packaging/deb.sh $(TOKENHOST) $(TARGET)/packages

.PHONY: demo
demo: build ## see it work, with two real identity providers; ends by itself
	@scripts/demo.py $(TOKENHOST)

.PHONY: serve
serve: build ## leave a daemon running for use (TOKENHOST_DATA, TOKENHOST_LISTEN)
	@scripts/serve.sh

.PHONY: bench
# BENCH='--row token' measures one row; BENCH=--list names them. Not `cargo run`: for one package alone it chooses other
# features, and compiles RocksDB once more; nor without `build`, which optimises the daemon.
bench: build ## measure the ratios that the design promises
	$(TARGET)/debug/bench $(BENCH)

.PHONY: check
check: tools ## format, clippy, docs and, where cargo-deny is installed, the dependency policy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
	else echo 'cargo-deny is not installed: the dependency policy was not checked'; fi
