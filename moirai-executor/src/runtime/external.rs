//! Threads without a core that have a core meanwhile. Rule 7 of the [module](crate::fork_join).

use crate::runtime::shared::Shared;

/// A thread without a core that has a core. Rule 7 of the [module](crate::fork_join).
pub(crate) struct ExternalThread<'a>(&'a Shared);

impl Drop for ExternalThread<'_> {
    fn drop(&mut self) {
        self.0.shared_jobs.remove_external_thread();
        // Its core is free now for a worker that was not invited because of it.
        wake_another(self.0);
    }
}

/// Invites another worker if there are more pieces, for one that has taken one. So a few that were made public at once wake
/// one worker after the other, each on its way to its own.
pub(crate) fn wake_another(shared: &Shared) {
    if shared.shared_jobs.has_more_for(shared.sleepers.idle()) {
        shared.sleepers.invite();
    }
}

/// Counts the calling thread as a enter_external.
pub(crate) fn enter_external(shared: &Shared) -> ExternalThread<'_> {
    shared.shared_jobs.add_external_thread();
    ExternalThread(shared)
}
