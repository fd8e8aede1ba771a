//! What cancels a task from outside: its timeout, and its cancellation token.
//!
//! The timer and the token each hold a reference to the task's cell, which they must give up when the task ends. So both
//! registrations are kept in a [`Registrar`], which the spawner shares with the task's work. The spawner stores them there once the
//! task has its record, before the task is queued. When the work is dropped, it closes the registrar and drops the registrations.
//! Whichever of the two comes second finds what the other has left, so no registration outlives the task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use moirai_sync::{CancellationToken, Registration};
use parking_lot::Mutex;
use pin_project_lite::pin_project;

use crate::runtime::shared::Shared;
use crate::task::TaskRef;
use crate::time::Deadline;
use moirai_core::CancelCause;

/// What may cancel a task from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct CancelOptions {
    /// Cancels the task when this much time has passed since the spawn.
    pub(crate) timeout: Option<Duration>,
    /// Cancels the task when the token is cancelled.
    pub(crate) token: Option<CancellationToken>,
}

impl CancelOptions {
    /// Returns whether anything may cancel the task.
    pub(crate) fn is_any(&self) -> bool {
        self.timeout.is_some() || self.token.is_some()
    }
}

/// The registrations of one task with the timer and with a token. Dropping them cancels both.
#[derive(Debug)]
struct CancelRegistrations {
    _deadline: Option<Deadline>,
    _token: Option<Registration>,
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

    /// Registers a task with the timer and with its token. The task must have its record, and must not be queued yet.
    pub(crate) fn register(&self, task: &TaskRef<Shared>, options: CancelOptions) {
        let CancelOptions { timeout, token } = options;
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
        let registrations =
            RegistrarState::Registered(CancelRegistrations { _deadline: deadline, _token: token });
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
