//! Threads that work side by side.

use crate::{Error, Result};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, Scope};

/// The threads, and the way to and from them. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Workers<'scope, 'env, J, R, W> {
    scope: &'scope Scope<'scope, 'env>,
    work: &'scope W,
    /// Threads at most.
    most: usize,
    /// Threads that were started.
    started: usize,
    /// Jobs whose results are still to be received.
    under_way: usize,
    jobs: mpsc::Sender<J>,
    waiting: Arc<Mutex<mpsc::Receiver<J>>>,
    done: mpsc::Sender<(J, thread::Result<R>)>,
    results: mpsc::Receiver<(J, thread::Result<R>)>,
}

impl<'scope, 'env, J, R, W> Workers<'scope, 'env, J, R, W>
where
    J: Send + Sync + 'scope,
    R: Send + 'scope,
    W: Fn(&J) -> R + Sync,
{
    /// At most `most` threads, none of which is started before there is a job for it. Small networks leave most of
    /// several cores idle, so each job computes on its worker's share of the cores alone.
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>, most: usize, work: &'scope W) -> Self {
        let (jobs, waiting) = mpsc::channel();
        let (done, results) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        Self {
            scope,
            work,
            most: most.max(1),
            started: 0,
            under_way: 0,
            jobs,
            waiting,
            done,
            results,
        }
    }

    /// Gives a job to whoever is free first.
    ///
    /// # Errors
    /// [`Error::Threads`] when a thread for it cannot be started.
    pub(crate) fn send(&mut self, job: J) -> Result<()> {
        if self.under_way == self.started && self.started < self.most {
            self.start()?;
        }
        self.jobs.send(job).expect("workers wait for jobs as long as there may be any");
        self.under_way += 1;
        Ok(())
    }

    /// The jobs that nobody has begun, which then nobody will.
    pub(crate) fn take_back(&mut self) -> Vec<J> {
        // Who holds this waits for a job: there is none then.
        let Ok(waiting) = self.waiting.try_lock() else { return Vec::new() };
        let jobs: Vec<J> = waiting.try_iter().collect();
        self.under_way -= jobs.len();
        jobs
    }

    /// Waits for the next job that is done, of those under way. A panic in it goes on here.
    pub(crate) fn receive(&mut self) -> (J, R) {
        let (job, result) = self.results.recv().expect("workers hand back every job");
        self.under_way -= 1;
        (job, result.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn start(&mut self) -> Result<()> {
        let (waiting, done, work) = (self.waiting.clone(), self.done.clone(), self.work);
        let share = (rayon::current_num_threads() / self.most).max(1);
        let threads = self.started + 1;
        // Not the common pool: this program's main thread may be a part of it, and waits for results here.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(share)
            .build()
            .map_err(|error| Error::Threads { threads, source: std::io::Error::other(error) })?;
        let until_the_end = move || {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = next else { return };
                let result = catch_unwind(AssertUnwindSafe(|| pool.install(|| work(&job))));
                if done.send((job, result)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .spawn_scoped(self.scope, until_the_end)
            .map_err(|source| Error::Threads { threads, source })?;
        self.started = threads;
        Ok(())
    }
}

/// Does `work` on all `jobs`, at most `workers` at a time. `done` sees each result as it comes, in any
/// order; once it breaks off, no more jobs are begun, and those under way are waited for. Returns why it first did.
///
/// # Errors
/// [`Error::Threads`] when a thread for each of so many cannot be started.
///
/// ```
/// use std::ops::ControlFlow;
///
/// let mut sum = 0;
/// gtn_nas::side_by_side(2, 1..=4, |n| n * n, |_, square| {
///     sum += square;
///     ControlFlow::<()>::Continue(())
/// })?;
/// assert_eq!(sum, 30);
/// # Ok::<(), gtn_nas::Error>(())
/// ```
pub fn side_by_side<J: Send + Sync, R: Send, B>(
    workers: usize,
    jobs: impl IntoIterator<Item = J>,
    work: impl Fn(&J) -> R + Sync,
    mut done: impl FnMut(J, R) -> ControlFlow<B>,
) -> Result<Option<B>> {
    let mut jobs = jobs.into_iter();
    let most = workers.min(jobs.size_hint().1.unwrap_or(usize::MAX)).max(1);
    thread::scope(|scope| {
        let mut crew = Workers::new(scope, most, &work);
        let mut broken = None;
        loop {
            while crew.under_way < most && broken.is_none() {
                let Some(job) = jobs.next() else { break };
                crew.send(job)?;
            }
            if crew.under_way == 0 {
                return Ok(broken);
            }
            let (job, result) = crew.receive();
            if let ControlFlow::Break(why) = done(job, result) {
                broken.get_or_insert(why);
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
            )
            .unwrap();
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
        )
        .unwrap();
        assert_eq!((broken, found), (Some("enough"), 6));
    }

    #[test]
    fn the_first_reason_to_break_off_counts() {
        let mut reasons = Vec::new();
        let broken = side_by_side(
            3,
            0..,
            |n: &usize| *n,
            |n, _| {
                reasons.push(n);
                ControlFlow::Break(n)
            },
        )
        .unwrap();
        assert_eq!((broken, reasons.len()), (Some(reasons[0]), 3));
    }

    #[test]
    #[should_panic = "job 3"]
    fn a_panic_is_not_waited_for() {
        let work = |n: &usize| assert!(*n != 3, "job {n}");
        let _ = side_by_side(2, 0..10, work, |_, ()| ControlFlow::<()>::Continue(()));
    }

    #[test]
    fn no_thread_is_started_without_a_job_for_it() {
        let work = |n: &usize| *n;
        thread::scope(|scope| {
            let mut workers = Workers::new(scope, 60_000, &work);
            assert_eq!(workers.started, 0);
            for round in 0..3 {
                workers.send(2 * round).unwrap();
                workers.send(2 * round + 1).unwrap();
                workers.receive();
                workers.receive();
                assert_eq!(workers.started, 2, "round {round}");
            }
        });
    }
}
