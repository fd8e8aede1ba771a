//! Ends the process when a peer hangs, and names the peer, so that no suite waits forever.

use std::process;
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long one run of a workload may take. The longest takes about a second.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// The exit status of the process when a peer hangs.
pub const HUNG: i32 = 86;

/// The group and the peer that run now, and since when.
static RUNNING: Mutex<Option<(&str, &str, Instant)>> = Mutex::new(None);

/// Calls `run`, which is a run of `peer` in `group`, and ends the process if it does not return within a minute.
///
/// # Panics
///
/// If the thread that watches cannot be started.
pub fn watch<R>(group: &'static str, peer: &'static str, run: impl FnOnce() -> R) -> R {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        thread::Builder::new().name("watchdog".into()).spawn(look).expect("a thread starts");
    });
    set(Some((group, peer, Instant::now())));
    let result = run();
    set(None);
    result
}

fn set(running: Option<(&'static str, &'static str, Instant)>) {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = running;
}

/// Checks once a second, which is seldom enough not to disturb what is measured.
fn look() {
    loop {
        thread::sleep(Duration::from_secs(1));
        let running = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((group, peer, since)) = running
            && since.elapsed() > RUN_LIMIT
        {
            eprintln!("{group}: {peer} hangs: a run has not ended in {RUN_LIMIT:?}");
            process::exit(HUNG);
        }
    }
}
