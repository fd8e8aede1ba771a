//! What a handler gets.

use std::fmt;
use std::sync::Arc;

use crate::JobId;

/// One attempt at a job, as the handler of its queue gets it.
///
/// The handler runs in a task of Moirai, so [`moirai::task::set_progress`] tells how far it is, `moirai::join` computes on the same
/// workers, and what it spawns by `child_of_current` is cancelled with it.
pub struct Job<T> {
    /// What was pushed.
    pub payload: T,
    pub(crate) facts: Facts,
}

/// What is known of an attempt beside its payload.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) id: JobId,
    pub(crate) queue: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) key: Arc<str>,
}

impl<T> Job<T> {
    /// Returns the id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.facts.id
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.facts.queue
    }

    /// Returns the number of this attempt. The first is one.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.facts.attempt
    }

    /// Returns the largest number of attempts.
    #[must_use]
    pub const fn max_attempts(&self) -> u32 {
        self.facts.max_attempts
    }

    /// Returns whether no attempt follows if this one fails.
    #[must_use]
    pub const fn is_last_attempt(&self) -> bool {
        self.facts.attempt >= self.facts.max_attempts
    }

    /// Returns a text that is the same for each attempt at this job, and for no other job of the queue: the key that was given to the
    /// push, or the id.
    ///
    /// A job may be run more than once: after its process was killed, or fell silent. What must have its effect once stores this key
    /// with the effect, in one transaction, and does nothing where the key is there already.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.facts.key
    }
}

impl<T: fmt::Debug> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("payload", &self.payload).field("facts", &self.facts).finish()
    }
}
