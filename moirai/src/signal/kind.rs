//! The kinds of signals.

use std::fmt;

/// Which signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// SIGINT: somebody has pressed Ctrl-C.
    pub const INTERRUPT: Self = Self(signal_hook::consts::SIGINT);
    /// SIGTERM: the process is asked to end, for example by a service manager.
    pub const TERMINATE: Self = Self(signal_hook::consts::SIGTERM);
    /// SIGHUP: the terminal is gone. Services use it to read their configuration again.
    pub const HANGUP: Self = Self(signal_hook::consts::SIGHUP);
    /// SIGQUIT: the process is asked to end, and to leave a core dump.
    pub const QUIT: Self = Self(signal_hook::consts::SIGQUIT);
    /// SIGUSR1, whose meaning is the program's own.
    pub const USER_1: Self = Self(signal_hook::consts::SIGUSR1);
    /// SIGUSR2, whose meaning is the program's own.
    pub const USER_2: Self = Self(signal_hook::consts::SIGUSR2);

    /// Returns the signal with this number. [`signal`](super::signal()) fails for one that cannot be listened for.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Returns the number of the signal.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_hook::low_level::signal_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}
