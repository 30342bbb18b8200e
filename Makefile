# One front door. `make test` is everything CI runs; what it needs beyond the toolchain, the tests install
# into target/ (app/tests/tools.sh).

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
