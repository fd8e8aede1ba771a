//! What cancels a task from outside: its timeout, its cancellation token, and its parent.
//!
//! The timer, the token and the table of children each hold a reference to the task's cell, which they must give up when the task
//! ends. So the registrations are kept in a [`Registrar`], which the spawner shares with the task's work. The spawner stores them there once the
//! task has its record, before the task is queued. When the work is dropped, it closes the registrar and drops the registrations.
//! Whichever of the two comes second finds what the other has left, so no registration outlives the task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use moirai_core::{CancelCause, TaskId, TaskStatus};
use moirai_sync::{CancellationToken, Registration};
use parking_lot::Mutex;
use pin_project_lite::pin_project;

use crate::runtime::shared::Shared;
use crate::runtime::watchers::Place;
use crate::task::{TaskRef, Watched};
use crate::time::Deadline;

/// What may cancel a task from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct CancelOptions {
    /// Cancels the task when this much time has passed since the spawn.
    pub(crate) timeout: Option<Duration>,
    /// Cancels the task when the token is cancelled.
    pub(crate) token: Option<CancellationToken>,
    /// Cancels the task when this task of the same executor is cancelled or fails.
    pub(crate) parent: Option<TaskId>,
}

impl CancelOptions {
    /// Returns whether anything may cancel the task.
    pub(crate) fn is_any(&self) -> bool {
        self.timeout.is_some() || self.token.is_some() || self.parent.is_some()
    }
}

/// The registrations of one task with the timer, with a token and with its parent. Dropping them cancels all.
#[derive(Debug)]
struct CancelRegistrations {
    _deadline: Option<Deadline>,
    _token: Option<Registration>,
    _parent: Option<ChildRegistration>,
}

/// The registration of a task as the child of another.
#[derive(Debug)]
struct ChildRegistration {
    child: TaskRef<Shared>,
    place: Place,
}

impl ChildRegistration {
    /// Registers `child` as a child of `parent`. If the parent was asked to stop already, or has failed, cancels the child instead.
    fn new(child: &TaskRef<Shared>, parent: TaskId) -> Option<Self> {
        let shared = child.header().executor();
        let over = match shared.task_ref(parent) {
            Some(task) => match shared.watchers.add_child(parent, child.clone(), || task.watch()) {
                Ok(place) => return Some(Self { child: child.clone(), place }),
                Err(over) => over,
            },
            // A record that was evicted tells nothing.
            None => Watched::Ended(shared.registry.status(parent).unwrap_or(TaskStatus::Completed)),
        };
        if over != Watched::Ended(TaskStatus::Completed) {
            child.cancel(shared.cause_for_children());
        }
        None
    }
}

impl Drop for ChildRegistration {
    fn drop(&mut self) {
        self.child.header().executor().watchers.forget(&self.place);
    }
}

#[derive(Debug, Default)]
enum RegistrarState {
    /// Nothing is registered yet.
    #[default]
    Empty,
    // It is kept only to be dropped.
    Registered(#[allow(dead_code)] CancelRegistrations),
    /// The work was dropped. A registration that comes now is dropped at once.
    Closed,
}

/// The spawner's side.
#[derive(Debug, Default)]
pub(crate) struct Registrar(Arc<Mutex<RegistrarState>>);

/// The work's side. Dropping it closes the registrar.
#[derive(Debug)]
struct Unregister(Arc<Mutex<RegistrarState>>);

impl Registrar {
    /// Wraps the work, so that dropping it closes the registrar.
    pub(crate) fn wrap<F>(&self, future: F) -> Cancellable<F> {
        Cancellable { future, unregister: Unregister(Arc::clone(&self.0)) }
    }

    /// Registers a task with the timer, with its token and with its parent. The task must have its record, and must not be queued yet.
    pub(crate) fn register(&self, task: &TaskRef<Shared>, options: CancelOptions) {
        let CancelOptions { timeout, token, parent } = options;
        let deadline = timeout.and_then(|timeout| {
            let time = task.header().executor().time.source();
            let mut deadline = Deadline::after(time, timeout);
            if deadline.wake_at(&Waker::from(Arc::new(Expire(task.clone())))) {
                return Some(deadline);
            }
            task.cancel(CancelCause::Timeout);
            None
        });
        let token = token.map(|token| {
            let task = task.clone();
            token.on_cancel(move || task.cancel(CancelCause::Token))
        });
        let parent = parent.and_then(|parent| ChildRegistration::new(task, parent));
        let registrations = RegistrarState::Registered(CancelRegistrations {
            _deadline: deadline,
            _token: token,
            _parent: parent,
        });
        let mut state = self.0.lock();
        let unneeded = match *state {
            RegistrarState::Closed => registrations,
            _ => std::mem::replace(&mut *state, registrations),
        };
        drop(state);
        // Dropping the registrations may run user code, so no lock is held.
        drop(unneeded);
    }
}

impl Drop for Unregister {
    fn drop(&mut self) {
        let registrations = std::mem::replace(&mut *self.0.lock(), RegistrarState::Closed);
        drop(registrations);
    }
}

/// A waker that asks a task to stop when its timeout has passed.
struct Expire(TaskRef<Shared>);

impl Wake for Expire {
    fn wake(self: Arc<Self>) {
        self.0.cancel(CancelCause::Timeout);
    }
}

pin_project! {
    /// A future that closes the registrar when it is dropped.
    pub(crate) struct Cancellable<F> {
        #[pin]
        future: F,
        unregister: Unregister,
    }
}

impl<F: Future> Future for Cancellable<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
