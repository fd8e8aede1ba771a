//! The kinds of threads on which an executor runs its users' code.

use std::fmt;

/// What a thread of an executor is for, as [`ExecutorPlugin::on_thread_start`](crate::ExecutorPlugin::on_thread_start) is told.
///
/// Each of these threads may poll tasks, run closures and drop either. The other threads of an executor, such as those that look for
/// stuck workers and for records that have expired, run none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThreadKind {
    /// One of the threads that the executor starts with, as many as it has workers. It ends as another kind may: when its worker was
    /// handed off and no other waits for a thread.
    Worker,
    /// A thread that has taken over a worker whose thread was about to block.
    Spare,
    /// A thread that polls tasks while the workers are stuck.
    Compensation,
    /// A thread for blocking tasks.
    Blocking,
}

impl ThreadKind {
    /// Returns the word for the kind in the names of threads: `worker`, `spare`, `comp` or `blocking`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Spare => "spare",
            Self::Compensation => "comp",
            Self::Blocking => "blocking",
        }
    }
}

impl fmt::Display for ThreadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
