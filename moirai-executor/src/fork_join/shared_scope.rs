//! A scope as the shared jobs know it.

use std::collections::VecDeque;

use moirai_sync::Unparker;

use super::job_time::JobTime;
use super::scope_job::{HeapJob, Payload, ScopeRef};

/// A scope that has had a public job (rule 10).
pub(super) struct SharedScope {
    pub(super) scope_ref: ScopeRef,
    pub(super) jobs: VecDeque<HeapJob>,
    /// The number of jobs that were made public and have not finished.
    pub(super) unfinished: usize,
    /// The unparker of the thread that waits for the last of them.
    pub(super) sleeper: Option<Unparker>,
    /// The payload of the first panic.
    pub(super) panic: Option<Payload>,
    /// The time that its jobs take, by which thieves decide how many to take at once.
    pub(super) job_time: JobTime,
}

impl SharedScope {
    pub(super) fn add_unfinished(&mut self, jobs: usize) {
        self.unfinished += jobs;
        self.scope_ref.set_unfinished(self.unfinished);
    }

    pub(super) fn subtract_unfinished(&mut self, jobs: usize) {
        self.unfinished -= jobs;
        self.scope_ref.set_unfinished(self.unfinished);
    }
}
