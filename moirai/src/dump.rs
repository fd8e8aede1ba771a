//! Dumps of all tasks on stderr, as of the goroutines of a Go program.
//!
//! A dump lists every active task of every executor of the process: its name, where it was spawned, its age, the type of its future,
//! and whether it is being polled, and by which thread, is queued, or waits, and since when.
//!
//! ```
//! use moirai::prelude::*;
//!
//! let executor = Moirai::builder().worker_threads(1).build()?;
//! executor.task().name("waits").spawn_async(std::future::pending::<()>());
//! moirai::dump::to_stderr();
//! # Ok::<(), BuildError>(())
//! ```

use std::io::{self, Write};

#[cfg(all(unix, feature = "signal"))]
pub use on_signal::on_sigusr1;

/// Writes a dump of every executor of the process to stderr. If stderr is closed, it does nothing.
///
/// It writes at most [`MAX_PRINTED`](crate::Dump::MAX_PRINTED) entries for each executor. Tasks are not stopped meanwhile, and no lock
/// is held while it writes. It must not be called in a signal handler; `on_sigusr1`, with the feature `signal`, has it called on a
/// thread.
pub fn to_stderr() {
    let dumps = moirai_executor::dump_all();
    let text: Vec<String> = dumps.iter().map(ToString::to_string).collect();
    let text = if text.is_empty() { "no executor runs\n".to_owned() } else { text.join("\n") };
    // There is nobody to tell that nobody reads it.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(all(unix, feature = "signal"))]
mod on_signal {
    use std::io;
    use std::thread;

    use parking_lot::Mutex;

    use crate::signal::{SignalKind, signal};

    static LISTENS: Mutex<bool> = Mutex::new(false);

    /// Has [`to_stderr`](super::to_stderr) called whenever the process receives SIGUSR1, from now on: `kill -USR1 PID`. Further calls do
    /// nothing.
    ///
    /// The signal's handler only wakes a thread, `moirai-dump`, which makes the dump, so it may come at any time.
    ///
    /// # Errors
    ///
    /// If the system refuses the handler or the thread.
    ///
    /// ```
    /// moirai::dump::on_sigusr1()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_sigusr1() -> io::Result<()> {
        let mut listens = LISTENS.lock();
        if *listens {
            return Ok(());
        }
        let mut signals = signal(SignalKind::USER_1)?;
        thread::Builder::new().name("moirai-dump".into()).spawn(move || {
            loop {
                signals.recv_blocking();
                super::to_stderr();
            }
        })?;
        *listens = true;
        Ok(())
    }
}
