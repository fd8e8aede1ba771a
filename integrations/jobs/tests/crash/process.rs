//! A process that runs jobs.

use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A process that is killed with this, if it has not ended.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), arguments)
    }

    /// Starts one by a command that runs this program.
    pub(crate) fn start_by(mut command: Command, arguments: &[&str]) -> Self {
        let child = command.arg("work").args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// By SIGKILL, or whatever signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Has it drain, by the end of its input, and waits for its end.
    pub(crate) fn drain(mut self) -> ExitStatus {
        drop(self.0.stdin.take());
        self.0.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
