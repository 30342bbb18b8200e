//! Progress bars, on standard error, and only when it is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps of a job's bar: its progress runs from 0 to 1.
pub const JOB_STEPS: f64 = 1000.0;

/// Bytes that go or come, of a known total; a total of 0 is an unknown one.
pub fn bytes(total: u64, message: String, quiet: bool) -> ProgressBar {
    let template = match total {
        0 => "{msg}  {bytes}  {bytes_per_sec}",
        _ => "{msg}  {wide_bar:.cyan/dim} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}",
    };
    bar(total, template, quiet).with_message(message)
}

/// Things that are counted: users made, ids exported.
pub fn count(total: u64, message: String, quiet: bool) -> ProgressBar {
    bar(total, "{msg}  {wide_bar:.cyan/dim} {human_pos}/{human_len}  {per_sec}  {eta}", quiet)
        .with_message(message)
}

/// A job's progress in [`JOB_STEPS`].
pub fn job(quiet: bool) -> ProgressBar {
    let bar = bar(JOB_STEPS as u64, "{spinner} {msg}  {wide_bar:.cyan/dim} {percent} %  {elapsed}", quiet);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn bar(total: u64, template: &str, quiet: bool) -> ProgressBar {
    // Standard error that is no terminal hides the bar by itself.
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    bar.set_style(ProgressStyle::with_template(template).expect("the templates above are well-formed"));
    bar
}
