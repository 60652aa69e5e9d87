# `make run` and `make test` install all that they need, on a fresh Debian 12 or 13 with the Swift toolchain.

SHELL := /bin/bash
binary := .build/release/tapster
swift_sources := $(wildcard Sources Tests migrations Package.swift)

.PHONY: help run clean-run test test-kernels soak fuzz bench build lint format clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Checks the host before the long build. With job control (set -m), scripts/run alone is the terminal's foreground job:
# Control-C then ends the script and not make, which would report an error. If make dies, the script ends too.
run: ## Build Tapster, run it with an example device, and show what to try
	@scripts/run --check
	@scripts/setup run
	@$(MAKE) --no-print-directory build
	@set -m; setpriv --pdeathsig TERM scripts/run || exit

clean-run: ## Remove what `make run` made
	@scripts/clean-run

test: ## Check format, contract and behaviour
	@scripts/test

test-kernels: ## Run the tests of Tests/Kernels/tests on Debian's own kernels and libraries
	@scripts/setup test
	swift build --build-tests
	Tests/Kernels/run

soak: ## Compare 20,000 random steps and 10,000 leases, kills included, with a model; simulate 20,000 power failures
	@scripts/setup test
	swift build --build-tests
	TAPSTER_SOAK_STEPS=$${TAPSTER_SOAK_STEPS:-20000} swift test --skip-build --filter 'SoakTests|PowerCutTests'

fuzz: ## Fuzz the parsers and the API for an hour (FUZZ_SECONDS)
	@scripts/fuzz

bench: build ## Measure Tapster and compare it with plain C programs
	@scripts/setup bench
	Benchmarks/run $(binary)

# The Swift libraries are linked statically, so that the binary needs only C libraries, which Debian has.
build: ## Build the release binary
	@scripts/setup build
	swift build -c release --product tapster --static-swift-stdlib

lint: ## Check the format of the Swift sources
	swift format lint --strict --recursive --parallel $(swift_sources)

format: ## Format the Swift sources
	swift format --in-place --recursive --parallel $(swift_sources)

clean: ## Remove all build products
	rm -rf .build .build-fuzz .build-tools Benchmarks/build
