# One front door. `make test` is everything CI runs; it installs nothing outside target/.

.PHONY: test lint unit openapi demo bench

test: lint unit openapi

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit:
	cargo test --workspace --locked

openapi:
	load-tests/openapi.sh

demo:
	cargo run --release --locked -- demo

bench:
	cargo run --release --locked -- bench
