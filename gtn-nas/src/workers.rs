//! Threads that judge candidates.

use crate::evaluator::Evaluator;
use crate::trial::{Measurement, Outcome};
use gtn_core::seed::Seed;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::Scope;
use std::time::Instant;

/// A candidate to judge.
#[derive(Debug)]
pub(super) struct Job<A> {
    pub(super) trial: usize,
    pub(super) arch: A,
    pub(super) steps: usize,
    pub(super) seed: Seed,
}

/// The threads, and the way to and from them. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers<A> {
    jobs: mpsc::Sender<Job<A>>,
    results: mpsc::Receiver<(Job<A>, Measurement)>,
}

impl<A: Send + Sync> Workers<A> {
    /// Starts `count` threads. Small networks leave most of several cores idle, so
    /// each candidate computes on its worker's share of the cores alone.
    pub(super) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        count: usize,
        evaluator: &'env (impl Evaluator<A> + ?Sized),
    ) -> Self
    where
        A: 'scope,
    {
        let (jobs, waiting) = mpsc::channel::<Job<A>>();
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
                    let work = || judge(evaluator, &job);
                    let measured = match &pool {
                        Some(pool) => pool.install(work),
                        None => work(),
                    };
                    if done.send((job, measured)).is_err() {
                        return;
                    }
                }
            });
        }
        Self { jobs, results }
    }

    pub(super) fn send(&self, job: Job<A>) {
        self.jobs.send(job).expect("workers wait for jobs as long as there may be any");
    }

    pub(super) fn receive(&self) -> (Job<A>, Measurement) {
        self.results.recv().expect("workers hand back every job")
    }
}

/// Whatever goes wrong with a candidate is its own failure, and no other's.
fn judge<A>(evaluator: &(impl Evaluator<A> + ?Sized), job: &Job<A>) -> Measurement {
    let start = Instant::now();
    let found =
        catch_unwind(AssertUnwindSafe(|| evaluator.evaluate(&job.arch, &[job.steps], job.seed)));
    let reason = match found {
        Ok(Ok(mut measured)) => match measured.pop() {
            Some(measured) => return measured,
            None => "the evaluator measured nothing".to_owned(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("panicked: {}", words(panic.as_ref())),
    };
    let seconds = start.elapsed().as_secs_f64();
    Measurement { steps: job.steps, outcome: Outcome::Failed(reason), seconds, seed: job.seed.0 }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
