//! What a consumer waits for.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FuturesUnordered, StreamExt};
use moirai::time::Sleep;
use moirai::{TaskError, TaskHandle};
use tokio::sync::mpsc;

use super::attempt::Failure;
use crate::store::{Ended, Taken};
use crate::{Error, JobId};

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// What an exchange was to say, how many jobs it was to take, and the answer.
pub(super) type Exchanged = (Vec<Ended>, u32, Result<Vec<Taken>, Error>);
/// An attempt, by job and number, and how it has ended.
pub(super) type Ending = (JobId, u64, Result<Result<(), Failure>, TaskError>);

/// Something that has happened.
pub(super) enum Turn {
    Ended(Ending),
    Exchanged(Exchanged),
    HeartbeatAnswered(Result<Vec<JobId>, Error>),
    HeartbeatDue,
    Pushed,
    TimerDue,
    /// The storage tells no longer of what is pushed.
    ListenEnded,
    Purged,
    Stop,
    DeadlineOver,
}

/// The end of an attempt.
pub(super) struct Attempt {
    pub(super) id: JobId,
    pub(super) number: u64,
    pub(super) task: TaskHandle<Result<(), Failure>>,
}

impl Future for Attempt {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let (id, number) = (self.id, self.number);
        Pin::new(&mut self.task).poll(cx).map(|result| (id, number, result))
    }
}

/// Polls what is awaited, and forgets it once it is ready.
fn take<F: Future + Unpin>(future: &mut Option<F>, cx: &mut Context<'_>) -> Option<F::Output> {
    match Pin::new(future.as_mut()?).poll(cx) {
        Poll::Ready(output) => {
            *future = None;
            Some(output)
        }
        Poll::Pending => None,
    }
}

/// All that a consumer waits for.
pub(super) struct Awaited {
    pub(super) attempts: FuturesUnordered<Attempt>,
    pub(super) exchange: Option<Boxed<Exchanged>>,
    pub(super) heartbeat: Option<Boxed<Result<Vec<JobId>, Error>>>,
    pub(super) next_heartbeat: Option<Sleep>,
    pub(super) pushed: mpsc::Receiver<()>,
    pub(super) listening: Option<Boxed<()>>,
    pub(super) purge: Option<Boxed<()>>,
    /// When to look for jobs, or to ask the storage again after a failure.
    pub(super) timer: Option<Sleep>,
    pub(super) stopping: Option<Boxed<()>>,
    /// When the next phase of the end begins.
    pub(super) deadline: Option<Sleep>,
}

impl Awaited {
    pub(super) fn new(pushed: mpsc::Receiver<()>, stopping: Boxed<()>) -> Self {
        Self {
            attempts: FuturesUnordered::new(),
            exchange: None,
            heartbeat: None,
            next_heartbeat: None,
            pushed,
            listening: None,
            purge: None,
            timer: None,
            stopping: Some(stopping),
            deadline: None,
        }
    }

    /// Waits for what happens next.
    pub(super) async fn turn(&mut self) -> Turn {
        poll_fn(|cx| self.poll_turn(cx)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let turn = if take(&mut self.stopping, cx).is_some() {
            Turn::Stop
        } else if take(&mut self.deadline, cx).is_some() {
            Turn::DeadlineOver
        } else if let Some(answer) = take(&mut self.heartbeat, cx) {
            Turn::HeartbeatAnswered(answer)
        } else if take(&mut self.next_heartbeat, cx).is_some() {
            Turn::HeartbeatDue
        } else if let Some(exchanged) = take(&mut self.exchange, cx) {
            Turn::Exchanged(exchanged)
        } else if let Poll::Ready(Some(ending)) = self.attempts.poll_next_unpin(cx) {
            Turn::Ended(ending)
        } else if let Poll::Ready(Some(())) = self.pushed.poll_recv(cx) {
            Turn::Pushed
        } else if take(&mut self.listening, cx).is_some() {
            Turn::ListenEnded
        } else if take(&mut self.purge, cx).is_some() {
            Turn::Purged
        } else if take(&mut self.timer, cx).is_some() {
            Turn::TimerDue
        } else {
            return Poll::Pending;
        };
        Poll::Ready(turn)
    }

    /// Returns an attempt that has ended already.
    pub(super) fn ready(&mut self) -> Option<Ending> {
        match self.attempts.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ending) => ending,
            Poll::Pending => None,
        }
    }
}
