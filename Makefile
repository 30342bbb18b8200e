# One front door. `make test` is everything CI runs. What it needs beyond the toolchain it installs into
# target/ (a Python environment for the OpenAPI validator).

.PHONY: test lint unit demo bench

test: lint unit

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit:
	cargo test --workspace --locked

demo:
	cargo run --release --locked -- demo

bench:
	cargo run --release --locked -- bench
