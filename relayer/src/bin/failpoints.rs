//! The relayer as tests kill it: the same program, with places at which it dies (`otp_core::failpoint`).

use std::process::ExitCode;

#[path = "../main.rs"]
mod relayer_main;

fn main() -> ExitCode {
    relayer_main::main()
}
