# Everything a developer needs. `make test` works from zero on Debian with only the Rust toolchain.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
# One place for everything that is built; a directory outside the clone survives a fresh clone.
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
export CARGO_TARGET_DIR := $(TARGET)

# The agent with kill points and deliberate faults. It shares what it depends on with the real one,
# and is moved out of its way.
FAULTY := mkdir -p $(TARGET)/faulty/debug && rm -f $(TARGET)/faulty/debug/waybill \
	&& $(CARGO) build --locked -p waybill --features seeded-faults \
	&& mv $(TARGET)/debug/waybill $(TARGET)/faulty/debug/waybill
ORACLE := $(TARGET)/release/waybill-oracle
RUN_TESTS = if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) test --workspace --locked --doc --quiet && $(CARGO) nextest run --workspace --locked --no-fail-fast; \
	else $(CARGO) test --workspace --locked --no-fail-fast; fi


# A copy of the RustSec database, where there is one beside the clone.
ifndef ADVISORY_DB
ADVISORY_DB := $(wildcard ../shared/advisory-db.tar.xz)
endif
# cargo-deny reads advisories from a git repository of this name only (a hash of the database's URL).
ADVISORIES := target/advisory-db/advisory-db-3157b0e258782691
ifdef ADVISORY_DB
DENY = rm -rf $(ADVISORIES) && mkdir -p $(ADVISORIES) && tar -xJf $(ADVISORY_DB) -C $(ADVISORIES) \
	&& git -C $(ADVISORIES) init -q && git -C $(ADVISORIES) add -A \
	&& git -C $(ADVISORIES) -c user.name=waybill -c user.email=waybill@localhost commit -qm 'A copy' \
	&& touch $(ADVISORIES)/.git/FETCH_HEAD && $(CARGO) deny --offline check
else
DENY = $(CARGO) deny --offline check licenses bans sources
endif

.PHONY: help demo run test check advisories prove peers bench clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## Format, lints, every test against a private broker; from zero, leaves nothing running
	tests/broker.sh install
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(FAULTY)
	$(CARGO) test --workspace --locked --no-run
	WAYBILL_TEST_REQUIRED=1 WAYBILL_BIN=$(TARGET)/debug/waybill WAYBILL_FAULTY_BIN=$(TARGET)/faulty/debug/waybill \
		tests/broker.sh with $(SHELL) -euo pipefail -c '$(RUN_TESTS)'

check: ## Format, lints, docker/; with cargo-deny: licences, bans (ADVISORY_DB=file.tar.xz: advisories too)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(DENY); \
	else echo 'cargo-deny is not installed: licences, bans and advisories were not checked'; fi
	docker/check.sh

advisories: ## Known vulnerabilities of crates: by cargo-deny, else by Python from a copy of the database
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(DENY); \
	elif [ -z "$(ADVISORY_DB)" ]; then echo 'advisories were not checked: neither cargo-deny nor ADVISORY_DB=file.tar.xz'; \
	elif python3 -c 'import tomllib' 2>/dev/null; then .ci/advisories.py Cargo.lock "$(ADVISORY_DB)"; \
	else echo 'advisories were not checked: neither cargo-deny nor Python 3.11'; fi

prove: ## The proofs of docs/proof.md: the mix, kills, a large file, faults, bad weather, floods, HTTP (22 minutes)
	tests/broker.sh install
	$(CARGO) build --release --locked -p waybill -p waybill-oracle
	$(FAULTY)
	$(ORACLE) prove --agent $(TARGET)/release/waybill
	$(ORACLE) crash --faulty-agent $(TARGET)/faulty/debug/waybill
	$(ORACLE) crash --way messages --faulty-agent $(TARGET)/faulty/debug/waybill
	$(ORACLE) crash --way http --faulty-agent $(TARGET)/faulty/debug/waybill
	$(ORACLE) crash --way http-held --faulty-agent $(TARGET)/faulty/debug/waybill
	$(ORACLE) large --agent $(TARGET)/release/waybill
	$(ORACLE) reload --agent $(TARGET)/release/waybill
	$(ORACLE) faults --faulty-agent $(TARGET)/faulty/debug/waybill
	$(ORACLE) weather --agent $(TARGET)/release/waybill
	$(ORACLE) weather --agent $(TARGET)/faulty/debug/waybill poison-event
	$(ORACLE) flood --agent $(TARGET)/release/waybill --events 4000 --rate 200
	$(ORACLE) http --agent $(TARGET)/release/waybill

peers: ## EDIFACT and X12 beside parsers that others wrote (Python: pydifact, pyx12), file by file
	$(CARGO) build --locked -p waybill
	tests/peers/run.sh $(TARGET)/debug/waybill

bench: ## Throughput, latency, memory and CPU beside the bare lapin + SQLite loop (2 minutes)
	tests/broker.sh install
	$(CARGO) build --release --locked -p waybill -p waybill-oracle
	$(ORACLE) prove --agent $(TARGET)/release/waybill

demo: ## Both directions at work, told as a story (2 minutes); leaves nothing running
	@docker/demo.sh

run: ## The demo, but the agent keeps running until Ctrl-C
	@docker/demo.sh keep

clean: ## Remove what was built
	$(CARGO) clean
