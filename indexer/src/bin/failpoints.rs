//! The indexer as tests kill it: the same program, with places at which it dies (`otp_core::failpoint`).

use std::process::ExitCode;

#[path = "../main.rs"]
mod indexer_main;

fn main() -> ExitCode {
    indexer_main::main()
}
