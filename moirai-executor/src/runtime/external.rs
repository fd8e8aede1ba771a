//! External threads that take part in the work, and count as workers meanwhile (rule 7 of [`fork_join`](crate::fork_join)).

use crate::fork_join::host::Invitation;
use crate::fork_join::waking::{self, leave_external};
use crate::runtime::shared::Shared;

/// A thread without a core that counts as a worker until this is dropped.
pub(crate) struct ExternalThread<'a>(&'a Shared);

impl Drop for ExternalThread<'_> {
    fn drop(&mut self) {
        leave_external(self.0);
    }
}

/// Invites another worker if there are more public jobs. A worker calls this when it has taken one, so a few jobs that were
/// published at once wake one worker after the other, each on the way to its own job.
pub(crate) fn wake_another(shared: &Shared) {
    waking::invite(&shared.shared_jobs, &shared.sleepers, Invitation::IfFree);
}

/// Counts the calling thread as a worker until the returned value is dropped.
pub(crate) fn enter_external(shared: &Shared) -> ExternalThread<'_> {
    shared.shared_jobs.add_external_thread();
    ExternalThread(shared)
}
