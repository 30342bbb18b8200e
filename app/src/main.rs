//! The binary `muster`: one program that serves, and that is also its own client.

mod audiences;
mod bench;
mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod failure;
mod serve;
mod show;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json();
    let done = tokio::runtime::Runtime::new()
        .map_err(|err| anyhow::Error::new(err).into())
        .and_then(|runtime| runtime.block_on(cli.run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(json);
            failure.exit_code()
        }
    }
}
