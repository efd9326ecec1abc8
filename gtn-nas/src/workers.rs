//! Threads that work side by side.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::Scope;

/// The threads, and the way to and from them. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Workers<J, R> {
    jobs: mpsc::Sender<J>,
    results: mpsc::Receiver<(J, R)>,
}

impl<J: Send + Sync, R: Send> Workers<J, R> {
    /// Starts `count` threads. Small networks leave most of several cores idle, so
    /// each job computes on its worker's share of the cores alone.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        count: usize,
        work: &'scope (impl Fn(&J) -> R + Sync),
    ) -> Self
    where
        J: 'scope,
        R: 'scope,
    {
        let (jobs, waiting) = mpsc::channel::<J>();
        let (done, results) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let count = count.max(1);
        let threads = (rayon::current_num_threads() / count).max(1);
        for _ in 0..count {
            let (waiting, done) = (waiting.clone(), done.clone());
            scope.spawn(move || {
                // Without a pool of its own, a worker computes on the common one: slower, but the same.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok();
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { return };
                    let result = match &pool {
                        Some(pool) => pool.install(|| work(&job)),
                        None => work(&job),
                    };
                    if done.send((job, result)).is_err() {
                        return;
                    }
                }
            });
        }
        Self { jobs, results }
    }

    pub(crate) fn send(&self, job: J) {
        self.jobs.send(job).expect("workers wait for jobs as long as there may be any");
    }

    pub(crate) fn receive(&self) -> (J, R) {
        self.results.recv().expect("workers hand back every job")
    }
}

/// Does `work` on all `jobs`, so many at a time. `done` sees each result as it comes, in any
/// order; once it breaks off, no more jobs are begun, and those under way are waited for.
///
/// ```
/// use std::ops::ControlFlow;
///
/// let mut sum = 0;
/// gtn_nas::side_by_side(2, 1..=4, |n| n * n, |_, square| {
///     sum += square;
///     ControlFlow::<()>::Continue(())
/// });
/// assert_eq!(sum, 30);
/// ```
pub fn side_by_side<J: Send + Sync, R: Send, B>(
    workers: usize,
    jobs: impl IntoIterator<Item = J>,
    work: impl Fn(&J) -> R + Sync,
    mut done: impl FnMut(J, R) -> ControlFlow<B>,
) -> Option<B> {
    let work = &work;
    std::thread::scope(|scope| {
        let workers_count = workers.max(1);
        let workers = Workers::start(scope, workers_count, work);
        let mut jobs = jobs.into_iter();
        let (mut under_way, mut broken) = (0, None);
        loop {
            while under_way < workers_count && broken.is_none() {
                let Some(job) = jobs.next() else { break };
                workers.send(job);
                under_way += 1;
            }
            if under_way == 0 {
                return broken;
            }
            let (job, result) = workers.receive();
            under_way -= 1;
            if let ControlFlow::Break(why) = done(job, result) {
                broken = Some(why);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_jobs_are_done_once() {
        for workers in [1, 3, 20] {
            let mut found = Vec::new();
            let broken = side_by_side(
                workers,
                0..10,
                |n| 2 * n,
                |n, twice| {
                    found.push((n, twice));
                    ControlFlow::<()>::Continue(())
                },
            );
            found.sort_unstable();
            assert_eq!(found, (0..10).map(|n| (n, 2 * n)).collect::<Vec<_>>());
            assert_eq!(broken, None);
        }
    }

    #[test]
    fn what_is_under_way_is_waited_for() {
        let mut found = 0;
        let broken = side_by_side(
            2,
            0..,
            |n: &usize| *n,
            |_, _| {
                found += 1;
                if found < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break("enough") }
            },
        );
        assert_eq!((broken, found), (Some("enough"), 6));
    }
}
