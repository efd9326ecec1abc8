//! Progress with time left: a bar on a terminal, now and then a line elsewhere.

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Without a terminal, how often a line is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Progress of one long task.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    task: &'static str,
    pace: Arc<Mutex<Pace>>,
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
        let pace = Arc::new(Mutex::new(Pace::new(total, done)));
        let style =
            ProgressStyle::with_template("{prefix} {wide_bar:.cyan/dim} {pos}/{len}{left}{msg}");
        // Not indicatif's own estimate: it is made of the latest steps alone, and where several workers end
        // steps of very different length at once it leaps from minutes to years.
        let shown = pace.clone();
        let left = move |_: &ProgressState, text: &mut dyn Write| {
            if let Some(left) = lock(&shown).left() {
                let _ = write!(text, " · {:#} left", HumanDuration(left));
            }
        };
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", left);
        let bar = ProgressBar::with_draw_target(Some(total as u64), target)
            .with_style(style.progress_chars("━━─"))
            .with_prefix(task)
            .with_position(done as u64);
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, task, pace, logged: Instant::now() }
    }

    /// The task turns out to be `steps` longer.
    pub fn more(&mut self, steps: usize) {
        lock(&self.pace).total += steps;
        self.bar.inc_length(steps as u64);
    }

    /// One more step turns out to have been done before.
    pub fn known(&mut self) {
        let mut pace = lock(&self.pace);
        (pace.done, pace.before) = (pace.done + 1, pace.before + 1);
        let done = pace.done;
        drop(pace);
        self.bar.set_position(done as u64);
    }

    /// One more step is done; `message` tells how it went.
    pub fn step(&mut self, message: &str) {
        let done = lock(&self.pace).done + 1;
        self.reach(done, message);
    }

    /// So many steps are done; `message` tells how it went.
    pub fn reach(&mut self, done: usize, message: &str) {
        let separator = if message.is_empty() { "" } else { " · " };
        let (total, left) = {
            let mut pace = lock(&self.pace);
            pace.reach(done);
            (pace.total, pace.left())
        };
        self.bar.set_message(format!("{separator}{message}"));
        self.bar.set_position(done as u64);
        if self.bar.is_hidden() && self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let left = left.map(|left| format!(", about {} left", HumanDuration(left)));
            let left = left.unwrap_or_default();
            tracing::info!("{} {done}/{total}{left}{separator}{message}", self.task);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How fast a task goes in this process.
#[derive(Debug)]
struct Pace {
    start: Instant,
    /// Steps that earlier processes did.
    before: usize,
    done: usize,
    total: usize,
    /// When `done` was reached, since `start`.
    at: Duration,
}

impl Pace {
    fn new(total: usize, before: usize) -> Self {
        Self { start: Instant::now(), before, done: before, total, at: Duration::ZERO }
    }

    fn reach(&mut self, done: usize) {
        self.done = done;
        self.at = self.start.elapsed();
    }

    /// Counts down while a step is under way.
    fn left(&self) -> Option<Duration> {
        let done = self.done.saturating_sub(self.before);
        let left = time_left(done, self.total.saturating_sub(self.done), self.at)?;
        Some(left.saturating_sub(self.start.elapsed().saturating_sub(self.at)))
    }
}

/// How long `left` more steps take, at the mean pace of the `done` steps that took `elapsed`. A mean over all of
/// them, because steps differ and some end together. `None` as long as nothing is done, or where nobody lives so long.
fn time_left(done: usize, left: usize, elapsed: Duration) -> Option<Duration> {
    // What is not finite is an error, too.
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * left as f64 / done as f64).ok()
}

fn lock(pace: &Mutex<Pace>) -> std::sync::MutexGuard<'_, Pace> {
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_the_mean_pace_of_what_is_left() {
        let seconds = Duration::from_secs;
        assert_eq!(time_left(4, 8, seconds(60)), Some(seconds(120)));
        assert_eq!(time_left(4, 0, seconds(60)), Some(Duration::ZERO));
        assert_eq!(time_left(0, 8, seconds(60)), None);
        assert_eq!(time_left(0, 0, Duration::ZERO), None);
        assert_eq!(time_left(1, usize::MAX, seconds(60)), None);
    }

    /// Steps that take from a second to a minute, three of which always end together.
    #[test]
    fn uneven_steps_do_not_make_it_leap() {
        let (total, mut elapsed) = (90, Duration::ZERO);
        let mut estimates = Vec::new();
        for done in 1..=total {
            if done % 3 == 1 {
                elapsed += Duration::from_secs([1, 60, 20][done / 3 % 3]);
            }
            let left = time_left(done, total - done, elapsed).unwrap();
            estimates.push((elapsed + left).as_secs_f64());
        }
        let whole = elapsed.as_secs_f64();
        assert!(estimates[20..].iter().all(|all| (0.8..1.25).contains(&(all / whole))));
    }

    #[test]
    fn what_was_done_before_does_not_count() {
        let mut pace = Pace::new(100, 90);
        assert_eq!(pace.left(), None);
        (pace.done, pace.at) = (92, Duration::from_secs(60));
        assert_eq!(pace.left(), Some(Duration::from_secs(240)));
        // It ends later than thought, or is longer.
        pace.total = 102;
        assert_eq!(pace.left(), Some(Duration::from_secs(300)));
        pace.done = 103;
        assert_eq!(pace.left(), Some(Duration::ZERO));
    }
}
