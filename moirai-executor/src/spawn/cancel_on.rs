//! What ends a task from outside: its deadline, and its token.
//!
//! Both hold a reference to the task's cell, and the task must not be held by them once it has ended. So they are in a *knot* that
//! the task's work and its spawner share: the spawner puts them in when the task is in the books, before it is queued; the work cuts
//! the knot when it is dropped, whichever comes first.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use moirai_core::Clock;
use moirai_sync::{CancellationToken, Registration};
use parking_lot::Mutex;
use pin_project_lite::pin_project;

use crate::registry::Hints;
use crate::runtime::shared::Shared;
use crate::task::{CancelReason, TaskRef};
use crate::time::Deadline;

/// What the spawner asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// From the spawn on.
    pub(crate) timeout: Option<Duration>,
    pub(crate) token: Option<CancellationToken>,
    /// For the scheduler, from the spawn on.
    pub(crate) deadline: Option<Duration>,
    pub(crate) affinity: Option<u64>,
    pub(crate) expected_duration: Option<Duration>,
}

impl Wishes {
    /// Whether the task can be ended from outside.
    pub(crate) fn tie(&self) -> bool {
        self.timeout.is_some() || self.token.is_some()
    }

    /// What the scheduler of a task that is spawned now is to know.
    pub(crate) fn hints(&self, clock: &Clock) -> Option<Hints> {
        let within = self.deadline.or(self.timeout);
        if within.is_none() && self.affinity.is_none() && self.expected_duration.is_none() {
            return None;
        }
        Some(Hints {
            deadline: within.map(|within| clock.ticks().saturating_add(clock.rough_ticks(within))),
            affinity: self.affinity,
            expected_duration: self.expected_duration,
        })
    }
}

/// What is registered elsewhere for one task. Dropping it undoes that.
#[derive(Debug)]
struct Ties {
    _deadline: Option<Deadline>,
    _token: Option<Registration>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Open,
    // Held to be dropped.
    Tied(#[allow(dead_code)] Ties),
    Cut,
}

/// The spawner's end.
#[derive(Debug, Default)]
pub(crate) struct Knot(Arc<Mutex<State>>);

/// The work's end.
#[derive(Debug)]
struct Cut(Arc<Mutex<State>>);

impl Knot {
    /// The work, with the knot's other end.
    pub(crate) fn around<F>(&self, future: F) -> Tied<F> {
        Tied { future, cut: Cut(Arc::clone(&self.0)) }
    }

    /// Ties a task, which is in the books and not queued yet.
    pub(crate) fn tie(&self, task: &TaskRef<Shared>, wishes: Wishes) {
        let Wishes { timeout, token, .. } = wishes;
        let deadline = timeout.and_then(|timeout| {
            let time = task.header().executor().time.domain();
            let mut deadline = Deadline::after(time, timeout);
            if deadline.wake_at(&Waker::from(Arc::new(Expire(task.clone())))) {
                return Some(deadline);
            }
            task.cancel(CancelReason::Deadline);
            None
        });
        let token = token.map(|token| {
            let task = task.clone();
            token.on_cancel(move || task.cancel(CancelReason::User))
        });
        let ties = State::Tied(Ties { _deadline: deadline, _token: token });
        let mut state = self.0.lock();
        let unneeded = match *state {
            State::Cut => ties,
            _ => std::mem::replace(&mut *state, ties),
        };
        drop(state);
        // It may be user code that is dropped, and no lock is held.
        drop(unneeded);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let ties = std::mem::replace(&mut *self.0.lock(), State::Cut);
        drop(ties);
    }
}

/// Asks a task to stop when its deadline passes.
struct Expire(TaskRef<Shared>);

impl Wake for Expire {
    fn wake(self: Arc<Self>) {
        self.0.cancel(CancelReason::Deadline);
    }
}

pin_project! {
    /// A future that cuts the knot when it is dropped.
    pub(crate) struct Tied<F> {
        #[pin]
        future: F,
        cut: Cut,
    }
}

impl<F: Future> Future for Tied<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
