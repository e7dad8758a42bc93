//! The `pouch` command: parses arguments, calls one operation, prints its report, ends with the exit code of its class.

#![cfg_attr(not(test), deny(clippy::panic, clippy::expect_used, clippy::unreachable))]

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
