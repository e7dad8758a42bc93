//! The `pouch` command: parses arguments, calls one operation, prints its report, ends with the exit code of its class.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
