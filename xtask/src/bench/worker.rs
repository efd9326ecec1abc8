//! A process that does iterations on demand.
//!
//! It prints one line once it is warm: the settings that it runs with. Then, for each line that it
//! reads, it prints a line: for `go` it does an iteration and prints the milliseconds that a step took,
//! for `peak` the most MB that it ever held, of device memory where it computes on a device. At the end of its
//! input it writes the results of the last iteration to a file. A worker that cannot go on may say why,
//! after `cannot run: `.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Asks for an iteration.
const GO: &str = "go";
/// Asks for the peak of memory.
pub(super) const PEAK: &str = "peak";
const CANNOT: &str = "cannot run: ";

/// One side of the comparison. Dropped, it is ended.
pub(super) struct Worker {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    settings: String,
}

impl Worker {
    /// Starts a process and waits until it is warm.
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("stdout is piped");
        let output = BufReader::new(output).lines();
        let mut worker = Self { name, child, input, output, settings: String::new() };
        worker.settings = worker.line()?;
        Ok(worker)
    }

    /// What it runs with, in words.
    pub(super) fn settings(&self) -> &str {
        &self.settings
    }

    /// Does one iteration; returns milliseconds a step.
    pub(super) fn iterate(&mut self) -> Result<f64> {
        self.ask(GO)
    }

    /// The most memory that it ever held, in MB.
    pub(super) fn peak_mb(&mut self) -> Result<f64> {
        self.ask(PEAK)
    }

    fn ask(&mut self, request: &str) -> Result<f64> {
        let input = self.input.as_mut().expect("open until the worker is finished");
        writeln!(input, "{request}").with_context(|| format!("{} stopped early", self.name))?;
        let line = self.line()?;
        line.parse().with_context(|| format!("{} answered `{line}`, not a number", self.name))
    }

    /// Lets it write its results and end.
    pub(super) fn finish(mut self) -> Result<()> {
        self.input = None;
        let status = self.child.wait().with_context(|| format!("{} was lost", self.name))?;
        ensure!(status.success(), "{} failed ({status}); its message is above", self.name);
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        match self.output.next() {
            Some(line) => {
                let line = line.with_context(|| format!("{} answered no text", self.name))?;
                match line.strip_prefix(CANNOT) {
                    Some(reason) => bail!("{reason}"),
                    None => Ok(line),
                }
            }
            None => bail!("{} ended before its work was done; its message is above", self.name),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Worker> {
        Worker::start("the shell", Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_worker_answers_each_request() {
        let mut worker = shell("echo warm; while read line; do echo ${#line}.5; done").unwrap();
        assert_eq!(worker.settings(), "warm");
        assert_eq!(worker.iterate().unwrap(), 2.5);
        assert_eq!(worker.peak_mb().unwrap(), 4.5);
        worker.finish().unwrap();
    }

    #[test]
    fn a_worker_that_ends_early_is_an_error() {
        assert!(shell("exit 0").is_err());
        assert!(shell("echo warm; exit 3").unwrap().finish().is_err());
        let mut worker = shell("echo warm; read line; echo soon").unwrap();
        assert!(worker.iterate().unwrap_err().to_string().contains("`soon`"));
    }

    #[test]
    fn a_worker_says_why_it_cannot_go_on() {
        let error = shell("echo 'cannot run: no device'").err().unwrap();
        assert_eq!(error.to_string(), "no device");
    }
}
