//! Progress on a terminal: one bar with bytes, rate and time left. Elsewhere: nothing but notes.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pouch::monitor::Monitor;
use std::io::IsTerminal as _;

/// Draws on standard error.
pub struct Bar {
    bar: ProgressBar,
    quiet: bool,
}

impl Bar {
    /// A bar that is drawn only where standard error is a terminal and `quiet` is off.
    pub fn new(quiet: bool) -> Bar {
        let hidden = quiet || !std::io::stderr().is_terminal();
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(8) };
        Bar { bar: ProgressBar::with_draw_target(None, target), quiet }
    }
}

impl Monitor for Bar {
    fn phase(&self, name: &str, total: Option<u64>) {
        self.bar.reset();
        let template = match total {
            Some(total) => {
                self.bar.set_length(total);
                "{msg:16} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left"
            }
            None => {
                self.bar.unset_length();
                "{msg:16} {spinner} {bytes} {bytes_per_sec}"
            }
        };
        self.bar.set_position(0);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(name.to_owned());
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn note(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("note: {}", super::print::visible(text)));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
