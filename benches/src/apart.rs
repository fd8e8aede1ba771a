//! Peers that have a process of their own: rayon on Moirai, and rayon as it is, to compare it with.
//!
//! The patch that puts the crate of `integrations/rayon-core` in the place of rayon-core does so for a whole build. So rayon on Moirai is
//! a program of its own, which is built from this library with the patch; see `integrations/rayon-core/peer`. It does the work of the
//! cases that are named "rayon" here.
//!
//! A process of its own is a disadvantage: what it needs is no longer in the caches when its turn comes, and the peers that share a process
//! also share their data. Therefore rayon as it is gets such a process, too, and it is by that one that the time of rayon on Moirai is
//! divided.
//!
//! The processes talk in lines:
//!
//! 1. The peer says how it is [built](build), because only what is built alike can be compared.
//! 2. For each run it is sent the name of a group. It runs that group's case of rayon once, and answers with the time and the CPU time,
//!    both in nanoseconds. It measures both itself, so the way of the message is not part of them.
//! 3. It ends when its input does.
//!
//! Between its runs its threads sleep, as those of the other peers do.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{env, io};

use crate::peer::workers;
use crate::took::Took;
use crate::watchdog::HUNG;

/// The name in tables of rayon in the process that measures. The peers here do the same work.
pub const RAYON: &str = "rayon";

/// The variable of the environment that says where the program of [`Apart::RayonOnMoirai`] is.
pub const PROGRAM: &str = "RAYON_ON_MOIRAI";

/// A peer that has a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// Rayon as it is.
    Rayon,
    /// Rayon on Moirai's workers.
    RayonOnMoirai,
}

/// The program that serves as [`Apart::Rayon`], and its arguments.
static RAYON_PROGRAM: OnceLock<Vec<OsString>> = OnceLock::new();

/// Names the program that serves as [`Apart::Rayon`], and its arguments. Without it that peer is left out.
///
/// # Panics
///
/// If it has been named already.
pub fn serve_rayon_by(program: Vec<OsString>) {
    RAYON_PROGRAM.set(program).expect("the program is named once");
}

/// Returns how this program is built, as far as times depend on it.
#[must_use]
pub fn build() -> String {
    let allocator = if cfg!(feature = "mimalloc") { "mimalloc" } else { "the system's allocator" };
    let optimized = if cfg!(debug_assertions) { "not optimized" } else { "optimized" };
    format!("{allocator}, {optimized}")
}

/// Returns what [`PROGRAM`] says. The first call says how to get the program, if it says nothing.
fn rayon_on_moirai() -> Option<OsString> {
    static SAID: OnceLock<Option<OsString>> = OnceLock::new();
    let said = SAID.get_or_init(|| {
        let program = env::var_os(PROGRAM);
        if program.is_none() {
            eprintln!(
                "{} is left out: {PROGRAM} does not name its program. `figures` builds it; by hand it is built with\n  \
                 cargo build --profile bench --manifest-path integrations/rayon-core/peer/Cargo.toml --target-dir target\n\
                 and is target/release/rayon-on-moirai then",
                Apart::RayonOnMoirai.name()
            );
        }
        program
    });
    said.clone()
}

impl Apart {
    /// All such peers.
    pub const ALL: [Self; 2] = [Self::Rayon, Self::RayonOnMoirai];

    /// Returns the name of the peer in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rayon => "rayon, own process",
            Self::RayonOnMoirai => "rayon on Moirai",
        }
    }

    /// Whether the peer's program has been named. Rayon as it is, is only there to compare rayon on Moirai with it.
    #[must_use]
    pub fn is_there(self) -> bool {
        let there = rayon_on_moirai().is_some();
        there && (self == Self::RayonOnMoirai || RAYON_PROGRAM.get().is_some())
    }

    /// Runs the work of a group once, in the peer's process, which the first call starts.
    ///
    /// Ends this process with the status [`HUNG`] if the peer says that it hangs.
    ///
    /// # Panics
    ///
    /// If the program cannot be started, is built in another way than this one, or fails.
    #[must_use]
    pub fn run(self, group: &str) -> Took {
        static PROCESSES: [OnceLock<Mutex<Process>>; 2] = [const { OnceLock::new() }; 2];
        let process = PROCESSES[self as usize].get_or_init(|| Mutex::new(Process::start(self)));
        let mut process = process.lock().unwrap_or_else(PoisonError::into_inner);
        match process.ask(group) {
            Ok(took) => took,
            Err(error) => process.failed(group, &error),
        }
    }

    fn command(self) -> Command {
        let named = "only peers that are there are run";
        match self {
            Self::Rayon => {
                let words = RAYON_PROGRAM.get().expect(named);
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }
            Self::RayonOnMoirai => Command::new(rayon_on_moirai().expect(named)),
        }
    }
}

/// The process of a peer.
struct Process {
    peer: Apart,
    child: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(peer: Apart) -> Self {
        let mut command = peer.command();
        command.args(["--workers", &workers().to_string()]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let requests = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut process = Self { peer, child, requests, answers };
        match process.answer() {
            Ok(said) => {
                assert_eq!(said, build(), "{} is not built like this program", peer.name());
            }
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
        if error.kind() == io::ErrorKind::Other {
            // It has answered, but nothing that makes sense, and would be waited for in vain.
            let _ = self.child.kill();
        }
        let status = self.child.wait();
        let name = self.peer.name();
        if status.as_ref().is_ok_and(|status| status.code() == Some(HUNG)) {
            // Whoever runs this process reads the name of the peer here, as if it hung in this process.
            eprintln!("{what}: {name} hangs: a run has not ended");
            process::exit(HUNG);
        }
        panic!("{name} failed at {what}: {error}; its program: {status:?}")
    }
}

/// Writes an answer, as [`Apart::run`] reads it.
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
