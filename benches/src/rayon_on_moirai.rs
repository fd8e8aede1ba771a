//! The peer "rayon on Moirai": rayon itself, with the crate of `integrations/rayon-core` in the place of rayon-core.
//!
//! A patch replaces rayon-core for a whole build, so this peer is a program of its own, built from this library with the patch; see
//! `integrations/rayon-core/peer`. It does the work of the cases that are named "rayon" here. The two processes talk in lines:
//!
//! 1. The program says how it is [built](build), because only what is built alike can be compared.
//! 2. For each run it is sent the name of a group. It runs that group's case once, and answers with the time and the CPU time, both in
//!    nanoseconds. It measures both itself, so the way of the message is not part of them.
//! 3. It ends when its input does.
//!
//! Between its runs its threads sleep, as those of the other peers do.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{env, io};

use crate::peer::workers;
use crate::took::Took;
use crate::watchdog::HUNG;

/// The name of the peer in tables.
pub const NAME: &str = "rayon on Moirai";

/// The name in tables of rayon as it is. The peer does the same work.
pub const STOCK: &str = "rayon";

/// The variable of the environment that says where the program is.
pub const PROGRAM: &str = "RAYON_ON_MOIRAI";

/// Returns how this program is built, as far as times depend on it.
#[must_use]
pub fn build() -> String {
    let allocator = if cfg!(feature = "mimalloc") { "mimalloc" } else { "the system's allocator" };
    let optimized = if cfg!(debug_assertions) { "not optimized" } else { "optimized" };
    format!("{allocator}, {optimized}")
}

/// Whether the peer's program has been named. The first call without one says how to get it.
#[must_use]
pub fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let there = env::var_os(PROGRAM).is_some();
        if !there {
            eprintln!(
                "{NAME} is left out: {PROGRAM} does not name its program. `figures` builds it; by hand it is built with\n  \
                 cargo build --profile bench --manifest-path integrations/rayon-core/peer/Cargo.toml --target-dir target\n\
                 and is target/release/rayon-on-moirai then"
            );
        }
        there
    })
}

/// Runs the work of a group once, in the peer's process, which the first call starts.
///
/// Ends this process with the status [`HUNG`] if the peer says that it hangs.
///
/// # Panics
///
/// If the program cannot be started, is built in another way than this one, or fails.
#[must_use]
pub fn run(group: &str) -> Took {
    static PROCESS: OnceLock<Mutex<Process>> = OnceLock::new();
    let process = PROCESS.get_or_init(|| Mutex::new(Process::start()));
    let mut process = process.lock().unwrap_or_else(PoisonError::into_inner);
    match process.ask(group) {
        Ok(took) => took,
        Err(error) => process.failed(group, &error),
    }
}

/// The running program.
struct Process {
    child: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start() -> Self {
        let program = env::var_os(PROGRAM).expect("the peer is only run if its program is named");
        let mut command = Command::new(&program);
        command.args(["--workers", &workers().to_string()]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let requests = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut process = Self { child, requests, answers };
        match process.answer() {
            Ok(theirs) => assert_eq!(theirs, build(), "{NAME} is not built like this program"),
            Err(error) => process.failed("the start", &error),
        }
        process
    }

    fn ask(&mut self, group: &str) -> io::Result<Took> {
        writeln!(self.requests, "{group}")?;
        let answer = self.answer()?;
        read(&answer).ok_or_else(|| io::Error::other(format!("it answered {answer:?}")))
    }

    fn answer(&mut self) -> io::Result<String> {
        self.answers.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Ends this process, or panics, because there is no answer.
    fn failed(&mut self, what: &str, error: &io::Error) -> ! {
        let status = self.child.wait();
        if status.as_ref().is_ok_and(|status| status.code() == Some(HUNG)) {
            // Whoever runs this process reads the name of the peer here, as if it hung in this process.
            eprintln!("{what}: {NAME} hangs: a run has not ended");
            process::exit(HUNG);
        }
        panic!("{NAME} failed at {what}: {error}; its program: {status:?}")
    }
}

/// Writes an answer, as [`run`] reads it.
#[must_use]
pub fn written(took: Took) -> String {
    format!("{} {}", took.wall.as_nanos(), took.cpu_nanos)
}

fn read(answer: &str) -> Option<Took> {
    let (wall, cpu) = answer.split_once(' ')?;
    Some(Took { wall: Duration::from_nanos(wall.parse().ok()?), cpu_nanos: cpu.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let took = Took { wall: Duration::from_millis(2_500), cpu_nanos: 4_999_999_999 };
        assert_eq!(read(&written(took)), Some(took));
        assert_eq!(read("12"), None);
    }
}
