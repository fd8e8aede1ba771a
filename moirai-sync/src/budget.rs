//! A budget for each poll of a task, so that one that always finds something ready cannot hold its worker.
//!
//! A future that is ready every time it is polled, such as a receiver whose channel never runs dry, never gives its thread
//! back: `.await` on it is no point at which others get their turn. So the executor grants each poll of an async task a
//! budget of [`GRANT`] steps. A future of this workspace that is about to be ready takes one step; when there is none left
//! it wakes its task and is pending instead, and the task goes to the end of the queue. Tokio calls this coop.
//!
//! Other futures take no part by themselves: await [`consume`] in a loop around them, or wrap them by [`budgeted`].
//!
//! Outside of a task, inside parallel and blocking tasks, and inside [`unconstrained`], nothing is counted. Who goes on polling
//! after the budget is used up, because he blocks on a future inside of his own poll, is refused [`PATIENCE`] times and
//! then granted another: the budget is for fairness, and must not end in a thread that spins for ever.
//!
//! ```
//! use futures_lite::future;
//! use moirai_sync::{Event, budget};
//!
//! # future::block_on(async {
//! let event = Event::new();
//! event.set();
//! // What an executor does around each poll of a task:
//! let mut steps = 0;
//! budget::grant(|| {
//!     while budget::has_remaining() {
//!         future::block_on(event.wait());
//!         steps += 1;
//!     }
//! });
//! assert_eq!(steps, budget::GRANT);
//! # });
//! ```

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

/// How many steps a poll of a task may take.
pub const GRANT: u32 = 128;

/// How often a poll that goes on regardless is refused before it is granted another budget.
pub const PATIENCE: u32 = 64;

/// What is left of the budget.
#[derive(Clone, Copy)]
struct Budget {
    /// `None`: nothing is counted.
    steps: Option<u32>,
    refusals: u32,
}

const UNLIMITED: Budget = Budget { steps: None, refusals: 0 };
const FULL: Budget = Budget { steps: Some(GRANT), refusals: 0 };

thread_local! {
    static BUDGET: Cell<Budget> = const { Cell::new(UNLIMITED) };
}

/// Puts back what was there.
struct Restore(Budget);

impl Drop for Restore {
    fn drop(&mut self) {
        BUDGET.set(self.0);
    }
}

#[inline]
fn with<R>(budget: Budget, f: impl FnOnce() -> R) -> R {
    // The threads of a model share what is the thread's own, which would make its runs differ.
    if cfg!(moirai_loom) {
        return f();
    }
    let _restore = Restore(BUDGET.replace(budget));
    f()
}

/// Calls `f`, one poll of a task, with a full budget. For executors.
#[inline]
pub fn grant<R>(f: impl FnOnce() -> R) -> R {
    with(FULL, f)
}

/// Calls `f` without a budget. For executors.
#[inline]
pub fn unlimited<R>(f: impl FnOnce() -> R) -> R {
    with(UNLIMITED, f)
}

/// Whether a step can be taken.
#[must_use]
pub fn has_remaining() -> bool {
    BUDGET.get().steps != Some(0)
}

/// Calls `f` if there is a step left, and takes it if `f` is ready. Without one the task is woken, and pending.
///
/// For who writes futures of their own.
pub fn poll<T>(context: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    if !may_go_on() {
        context.waker().wake_by_ref();
        return Poll::Pending;
    }
    let polled = f(context);
    if polled.is_ready() {
        let budget = BUDGET.get();
        if let Some(steps) = budget.steps {
            BUDGET.set(Budget { steps: Some(steps.saturating_sub(1)), ..budget });
        }
    }
    polled
}

fn may_go_on() -> bool {
    let budget = BUDGET.get();
    if budget.steps != Some(0) {
        return true;
    }
    if budget.refusals == PATIENCE {
        BUDGET.set(FULL);
        return true;
    }
    BUDGET.set(Budget { refusals: budget.refusals + 1, ..budget });
    false
}

/// Takes a step: returns at once while there is one left, else gives way to other tasks.
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let mut foreign = std::iter::repeat(1).take(3);
/// while let Some(_item) = foreign.next() {
///     moirai_sync::budget::consume().await;
/// }
/// # });
/// ```
pub async fn consume() {
    poll_fn(|context| poll(context, |_| Poll::Ready(()))).await;
}

/// Has a future take a step each time that it is ready: for futures of other crates, such as a channel's `recv()`.
///
/// ```
/// # futures_lite::future::block_on(async {
/// # let foreign = std::future::ready(3);
/// assert_eq!(moirai_sync::budget::budgeted(foreign).await, 3);
/// # });
/// ```
pub async fn budgeted<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| poll(context, |context| future.as_mut().poll(context))).await
}

/// Runs a future without a budget: for one that must be done before others get their turn.
pub async fn unconstrained<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| unlimited(|| future.as_mut().poll(context))).await
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use std::task::Waker;

    fn ready_once(context: &mut Context<'_>) -> bool {
        poll(context, |_| Poll::Ready(())).is_ready()
    }

    fn steps(context: &mut Context<'_>) -> u32 {
        (0..).take_while(|_| ready_once(context)).count().try_into().unwrap()
    }

    #[test]
    fn a_poll_gets_its_grant_and_is_pending_then() {
        let context = &mut Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert_eq!(grant(|| steps(context)), GRANT);
        }
        assert!((0..10 * GRANT).all(|_| ready_once(context)), "no task, no budget");
    }

    #[test]
    fn what_is_pending_takes_nothing() {
        let context = &mut Context::from_waker(Waker::noop());
        grant(|| {
            for _ in 0..10 * GRANT {
                assert!(poll(context, |_| Poll::<()>::Pending).is_pending());
            }
            assert_eq!(steps(context), GRANT);
        });
    }

    #[test]
    fn who_polls_on_regardless_is_let_through_in_the_end() {
        let context = &mut Context::from_waker(Waker::noop());
        grant(|| {
            assert_eq!(steps(context), GRANT);
            let refused = (0..).take_while(|_| !ready_once(context)).count();
            assert_eq!(refused, PATIENCE as usize - 1, "one was counted in `steps`");
        });
    }

    #[test]
    fn grants_nest_and_survive_a_panic() {
        let context = &mut Context::from_waker(Waker::noop());
        grant(|| {
            assert!(ready_once(context));
            assert_eq!(grant(|| steps(context)), GRANT);
            let _ = std::panic::catch_unwind(|| grant(|| std::panic::resume_unwind(Box::new(()))));
            unlimited(|| assert!((0..10 * GRANT).all(|_| ready_once(context))));
            assert_eq!(steps(context), GRANT - 1);
        });
        let mut endless = pin!(unconstrained(async {
            for _ in 0..10 * GRANT {
                consume().await;
            }
        }));
        grant(|| assert!(endless.as_mut().poll(context).is_ready()));
    }
}
