//! Progress with time left: a bar on a terminal, now and then a line elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Without a terminal, how often a line is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Progress of one long task.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    task: &'static str,
    logged: Instant,
}

impl Progress {
    /// A task of `total` steps of which `done` were done before.
    #[must_use]
    pub fn new(task: &'static str, total: usize, done: usize) -> Self {
        // Those who asked for quiet get no bar either. It hides itself where standard error is no terminal.
        let target = if tracing::enabled!(tracing::Level::INFO) {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(
            "{prefix} {wide_bar:.cyan/dim} {pos}/{len} · {eta} left{msg}",
        );
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total as u64), target)
            .with_style(style.progress_chars("━━─"))
            .with_prefix(task)
            .with_position(done as u64);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, task, logged: Instant::now() }
    }

    /// The task turns out to be `steps` longer.
    pub fn more(&mut self, steps: usize) {
        self.bar.inc_length(steps as u64);
    }

    /// One more step is done; `message` tells how it went.
    pub fn step(&mut self, message: &str) {
        self.reach(self.bar.position() as usize + 1, message);
    }

    /// So many steps are done; `message` tells how it went.
    pub fn reach(&mut self, done: usize, message: &str) {
        let separator = if message.is_empty() { "" } else { " · " };
        self.bar.set_message(format!("{separator}{message}"));
        self.bar.set_position(done as u64);
        if self.bar.is_hidden() && self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            let left = indicatif::HumanDuration(self.bar.eta());
            tracing::info!("{} {done}/{total}, about {left} left{separator}{message}", self.task);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
