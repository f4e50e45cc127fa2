# What people and CI run, by the same names. Works with any make since 3.81, on Linux and macOS.

SYSTEM := $(if $(filter Darwin,$(shell uname -s)),darwin,linux)
MACHINE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,amd64)
# The native binary: the package's launcher loses the exit code.
FORGE := lib/node_modules/@foundry-rs/forge-$(SYSTEM)-$(MACHINE)/bin/forge
CARGO_RUN := cargo run --locked --quiet -p testbed --

.PHONY: help setup setup-test setup-deep build demo up test deep gas snapshots screenshots lint fmt abi

help:
	@echo "make setup   install what is missing; says what it does"
	@echo "make demo    bring the system up and walk a code from the request to the payout; ONCE=1 ends afterwards"
	@echo "make up      bring the system up and keep it up; see .stack/stack.json"
	@echo "             PORT_BASE=n takes n and the six ports after it, STACK_DIR=d another folder: for a second stack"
	@echo "make test    everything that is tested; make setup-test installs what only that needs"
	@echo "make deep    fuzz and invariants at length and static analysis of the contracts; installs what only they need"
	@echo "make bench   print tables of speed and memory, beside others in the same run; FULL=1 for the longest runs,"
	@echo "             PARTS=pipeline for a part; installs what only it needs"
	@echo "make gas     print the gas of whole transactions"
	@echo "make screenshots  take the pictures in docs/screenshots anew"
	@echo "make snapshots  write gas, size, layout and ABI anew, for a review to see"
	@echo "make build   pages, contracts, daemons and testbed"
	@echo "make lint    clippy, forge lint, solhint and eslint"
	@echo "make fmt     format Rust and Solidity"
	@echo "make abi     write core/abi/*.json, which the Rust bindings are made from, anew"

setup:
	@testbed/setup/setup.sh

# What only the tests need.
setup-test: setup
	@testbed/setup/setup-test.sh

# What only `make deep` needs.
setup-deep: setup
	@testbed/setup/setup-deep.sh

build: setup
	$(FORGE) build src-sol script
	cargo build --locked -p relayer -p indexer -p testbed

demo: build
	@$(CARGO_RUN) demo $(if $(ONCE),--once)

up: build
	@$(CARGO_RUN) up

test: setup-test
	@FORGE=$(FORGE) testbed/setup/test.sh

# The random tests of `make test`, at length.
deep: setup-deep setup-test
	FOUNDRY_FUZZ_RUNS=4000 FOUNDRY_INVARIANT_RUNS=100 FOUNDRY_INVARIANT_DEPTH=500 \
		$(FORGE) test --match-path 'test-sol/{unit,fuzz,invariant}/**'
	FORGE=$(FORGE) node script/analysis/slither.mjs
	script/analysis/rules.sh
	FAILPOINT_ROUNDS=6 cargo test --locked -p relayer -p testbed --test kill -- --nocapture
	SIM_SEEDS=1000 cargo test --locked -p indexer --test it simulation -- --nocapture
	AUDIT_STRIDE=1 cargo test --locked -p indexer --test it audit_files
	FUZZ_SECONDS=900 cargo test --locked -p testbed --test fuzz -- --nocapture

# What only `make bench` needs.
setup-bench: setup-test
	@testbed/setup/setup-bench.sh

bench: setup-bench
	cargo build --locked --release -p relayer -p indexer -p testbed
	@target/release/testbed bench $(PARTS) $(if $(FULL),--full)
	@$(if $(PARTS),,TESTBED=target/release/testbed node web/tests/load.mjs)

gas: setup
	$(FORGE) build
	$(FORGE) test --match-path 'test-sol/Gas*.t.sol'
	@FORGE=$(FORGE) node script/snapshots.mjs --table

snapshots: gas
	@FORGE=$(FORGE) node script/snapshots.mjs

# By the tests of the pages, which see every state.
screenshots: setup-test build
	@node --test-reporter=spec web/tests/run.mjs --screenshots

lint: setup
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@FORGE=$(FORGE) testbed/setup/lint.sh
	@node script/analysis/style.mjs
	@cd web && node_modules/.bin/tsc && node_modules/.bin/eslint . --max-warnings 0

fmt: setup
	cargo fmt --all
	$(FORGE) fmt

abi: setup
	$(FORGE) build src-sol
	script/abi.sh
