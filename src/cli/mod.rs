//! The command line: parse, lower to one operation, print its report, exit code.
//!
//! Results go to standard output (text or one JSON document), talk to standard error.

use clap::{CommandFactory as _, Parser as _};
use std::io::Write as _;

mod agent;
mod args;
mod audit;
mod bundle;
mod complete;
mod demo;
mod desk;
mod fail;
mod keys;
mod pack;
mod policy;
mod print;
mod progress;
mod signing;
mod site;
mod trusting;

use args::{Cli, Command};
use fail::{Fail, Outcome};

/// What every command gets beside its arguments.
pub struct Common {
    json: bool,
    /// Print no result (a step of the demo).
    silent: bool,
    bar: progress::Bar,
}

/// Writes to standard output; a closed pipe ends quietly.
fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let done = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if done.is_err() {
        std::process::exit(0);
    }
}

impl Common {
    /// Prints a report: as JSON if asked for, else as text.
    fn report<T: serde::Serialize>(&self, report: &T, text: impl FnOnce(&T) -> String) -> Outcome {
        if self.silent {
            return Ok(());
        }
        if !self.json {
            out(&print::visible(&text(report)));
            return Ok(());
        }
        let json = serde_json::to_string_pretty(report).map_err(|e| Fail::new(pouch::class::Class::Bug, e))?;
        out(&format!("{json}\n"));
        Ok(())
    }
}

/// Runs the command; gives its exit code.
pub fn run() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { 2.into() } else { 0.into() };
        }
    };
    let common = Common { json: cli.json, silent: false, bar: progress::Bar::new(cli.quiet) };
    match dispatch(cli.command, &common) {
        Ok(()) => 0.into(),
        Err(fail) => {
            drop(common);
            fail.report(cli.json).into()
        }
    }
}

fn dispatch(command: Command, common: &Common) -> Outcome {
    match command {
        Command::Pack(a) => pack::run(a, common),
        Command::Key(a) => keys::run(a, common),
        Command::Policy(a) => policy::run(a, common),
        Command::Seal(a) => signing::seal(a, common),
        Command::Approve(a) => signing::approve(a, common),
        Command::Reject(a) => signing::reject(a, common),
        Command::Revoke(a) => signing::revoke(a, common),
        Command::Permit(a) => signing::permit(a, common),
        Command::Statements(a) => trusting::statements(a, common),
        Command::Verify(a) => trusting::run_verify(a, common),
        Command::Site(a) => site::site(a, common),
        Command::Unpack(a) => site::unpack(a, common),
        Command::Status(a) => site::status(a, common),
        Command::History(a) => audit::history(a, common),
        Command::Why(a) => audit::why(a, common),
        Command::Receipt(a) => audit::receipt(a, common),
        Command::Check(a) => site::check(a, common),
        Command::Gc(a) => site::gc(a, common),
        Command::Rollback(a) => site::rollback(a, common),
        Command::Export(a) => site::export(a, common),
        Command::Ls(a) => bundle::ls(a, common),
        Command::Show(a) => bundle::show(a, common),
        Command::Diff(a) => desk::diff(a, common),
        Command::Extract(a) => desk::extract(a, common),
        Command::Review(a) => desk::review(a, common),
        Command::ExtractIndex(a) => bundle::extract_index(a, common),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pouch", &mut text);
            out(&String::from_utf8_lossy(&text));
            Ok(())
        }
        Command::Man { dir } => {
            std::fs::create_dir_all(&dir).map_err(|e| Fail::io(format!("cannot make {}", dir.display()), e))?;
            clap_mangen::generate_to(Cli::command(), &dir)
                .map_err(|e| Fail::io(format!("cannot write manual pages into {}", dir.display()), e))
        }
        Command::Complete(a) => complete::run(a, common),
        Command::Demo(a) => demo::run(a, common),
    }
}
