//! Refusing work: it is dropped, counted, and its handle says why.

use moirai_core::TaskKind;

use crate::handle::TaskHandle;
use crate::panics::{self, log};
use crate::runtime::admission::RefuseReason;
use crate::runtime::shared::Shared;
use crate::runtime::task_host::give_up_place;
use crate::task::{NewTask, Work};

/// Drops work that was not admitted.
#[cold]
pub(crate) fn refuse<W, T>(shared: &Shared, work: W, reason: RefuseReason) -> TaskHandle<T> {
    if let Some(message) = panics::contain(|| drop(work)) {
        log!(error, panic = &*message, "the destructor of a refused task panicked");
    }
    refused(shared, reason)
}

fn refused<T>(shared: &Shared, reason: RefuseReason) -> TaskHandle<T> {
    shared.admission.count_refused();
    TaskHandle::refused(shared.registry.refused_id(), reason)
}

/// Refuses a task that was admitted but found the lifecycle closed.
#[cold]
pub(crate) fn refuse_closed<T>(shared: &Shared, kind: TaskKind) -> TaskHandle<T> {
    give_up_place(shared, kind);
    refused(shared, RefuseReason::ShutDown)
}

/// Refuses a task whose cell was made before the lifecycle was found closed.
#[cold]
pub(crate) fn refuse_cell<W: Work + 'static>(
    shared: &Shared,
    cell: NewTask<W, Shared>,
    kind: TaskKind,
) -> TaskHandle<W::Output> {
    cell.refuse();
    refuse_closed(shared, kind)
}
