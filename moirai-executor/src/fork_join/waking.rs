//! Waking workers for public jobs (rules 7 and 8 of the [module](super)).

use moirai_core::shim::sync::atomic::{Ordering, fence};
use moirai_scheduler::Sleepers;

use super::host::{Host, Invitation};
use super::shared_jobs::SharedJobs;

/// Wakes a worker if there are public jobs, a worker sleeps and none searches. With [`Invitation::IfFree`], it does so only if there is a
/// processor for the worker (rule 7). With [`Invitation::Anyway`], and if a worker searches, that one takes the job, or has another
/// woken.
///
/// It is called after jobs were published, and after an external thread has stopped counting as one.
pub(crate) fn invite(shared_jobs: &SharedJobs, sleepers: &Sleepers, invitation: Invitation) {
    // Ordering: SeqCst pairs with the fence in the announcement of a worker that is about to sleep, and with this fence on another
    // thread: of a publisher and an external thread that leaves at the same time, at least one sees what the other has stored
    // before its fence (rule 8).
    fence(Ordering::SeqCst);
    match invitation {
        // What is one load comes first.
        Invitation::IfFree if !sleepers.can_invite() => {}
        Invitation::IfFree => invite_if_free(shared_jobs, sleepers),
        Invitation::Anyway => invite_anyway(shared_jobs, sleepers),
    }
}

#[cold]
#[inline(never)]
fn invite_if_free(shared_jobs: &SharedJobs, sleepers: &Sleepers) {
    if shared_jobs.has_more_for(sleepers.idle()) {
        sleepers.invite();
    }
}

#[cold]
#[inline(never)]
fn invite_anyway(shared_jobs: &SharedJobs, sleepers: &Sleepers) {
    if shared_jobs.has_jobs() {
        sleepers.notify();
    }
}

/// Ends the time in which the calling thread counts as an external thread (rule 7). The processor that it used is free for a worker
/// that was not invited because of it.
pub(crate) fn leave_external(host: &impl Host) {
    host.shared_jobs().remove_external_thread();
    host.invite(Invitation::IfFree);
}
