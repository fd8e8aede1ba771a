//! Waiting for a job or for a scope: the thread runs descendants of it, spins, or sleeps (rule 6 of the [module](super)).

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use super::host::Host;
use super::latch::Latch;
use super::local_jobs::LocalJobs;
use super::stack_job::JobHeader;

/// How long a wait looks for jobs without a pause for other threads. Most waits are over by then: what is waited for is the rest of a job
/// that was divided. A thread that yields may go on much later than what it waits for is done.
const SPIN_FOR: Duration = Duration::from_micros(20);

/// How long a wait looks for jobs before it sleeps: a few times as long as it takes to hand the core off to a thread that sleeps.
const LOOK_FOR: Duration = Duration::from_micros(200);

/// How many times the processor is told to spin between two looks. A look reads what the owners of jobs write.
const PAUSE: u32 = 16;

/// How far a wait has come.
pub(crate) struct WaitState {
    since: Option<Instant>,
    /// The version of the shared jobs at the last look without success.
    seen: Option<usize>,
    /// Whether the next sleep hands off the core.
    hand_off: bool,
}

impl WaitState {
    pub(crate) const fn new() -> Self {
        Self { since: None, seen: None, hand_off: false }
    }

    /// Pauses if it is too early to sleep, and returns whether it was.
    fn pauses(&mut self) -> bool {
        // A model sleeps at once: looking twice would only add interleavings.
        if cfg!(moirai_loom) {
            return false;
        }
        match self.since.get_or_insert_with(Instant::now).elapsed() {
            waited if waited < SPIN_FOR => (0..PAUSE).for_each(|_| hint::spin_loop()),
            waited if waited < LOOK_FOR => thread::yield_now(),
            _ => return false,
        }
        true
    }
}

/// Waits for a job that another thread has taken (rule 6).
pub(super) fn wait_until_done(local_jobs: &LocalJobs, host: &impl Host, job: &JobHeader) {
    let mut wait = WaitState::new();
    while !job.is_done() {
        wait_step(local_jobs, host, job, job.identity(), &mut wait);
    }
}

/// Takes one step of a wait for `latch`, which was not set a moment ago: runs a descendant of what is waited for as `below`, or a closure that only
/// the caller's worker may run, or yields, or sleeps.
pub(crate) fn wait_step(
    local_jobs: &LocalJobs,
    host: &impl Host,
    latch: &impl Latch,
    below: *const (),
    wait: &mut WaitState,
) {
    if let Some(stolen) = host.shared_jobs().take_descendant(below, host.idle(), &mut wait.seen) {
        local_jobs.run(stolen, host);
        *wait = WaitState::new();
    } else if host.run_post(below) {
        *wait = WaitState::new();
    } else if wait.pauses() {
        // Looks again.
    } else if wait.hand_off {
        let was_external = local_jobs.blocks(host);
        host.hand_off_and_park(latch, below);
        if was_external {
            local_jobs.count_as_external(host);
        }
    } else {
        local_jobs.publish_all(host);
        // There may be new work, some of it a descendant, so the next step looks again.
        wait.hand_off = !host.park_on_core(latch);
        wait.seen = None;
    }
}
