//! A budget for each poll of a task, so that a task which always finds something ready cannot keep its worker.
//!
//! A future that is ready each time it is polled, such as a receiver whose channel never runs empty, never yields its thread: at
//! its `.await` no other task gets its turn, nor does a timeout around it. So the executor grants each poll of an async task a
//! budget of [`GRANT`] steps, and [`block_on`](crate::block_on()) each poll of its future. A future of this workspace that is about to be ready takes one step. When no step is left, it wakes its task and is pending
//! instead, and the task goes to the end of the queue. Tokio calls this coop.
//!
//! Other futures take no steps by themselves: await [`consume`] in a loop around them, or wrap them in [`budgeted`].
//!
//! Nothing is counted outside of these, inside of parallel and blocking tasks, and inside of [`unconstrained`]. A caller that goes
//! on polling after the budget is used up, because it blocks on a future inside of its own poll, is refused [`MAX_REFUSALS`] times and
//! is then granted another budget: the budget is there for fairness, and must not make a thread spin forever.
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

/// The number of steps that one poll of a task may take.
pub const GRANT: u32 = 128;

/// The number of times that a poll which goes on regardless is refused before it is granted another budget.
pub const MAX_REFUSALS: u32 = 64;

/// The old name of [`MAX_REFUSALS`].
#[deprecated(since = "0.1.0", note = "use `MAX_REFUSALS`")]
pub const PATIENCE: u32 = MAX_REFUSALS;

/// What is left of a thread's budget.
#[derive(Clone, Copy)]
struct Budget {
    /// `None` if nothing is counted.
    steps: Option<u32>,
    refusals: u32,
}

const UNLIMITED: Budget = Budget { steps: None, refusals: 0 };
const FULL: Budget = Budget { steps: Some(GRANT), refusals: 0 };

thread_local! {
    static BUDGET: Cell<Budget> = const { Cell::new(UNLIMITED) };
}

/// Restores an earlier budget when it is dropped.
struct Restore(Budget);

impl Drop for Restore {
    fn drop(&mut self) {
        BUDGET.set(self.0);
    }
}

#[inline]
fn with<R>(budget: Budget, f: impl FnOnce() -> R) -> R {
    // The threads of a model share one thread-local, which would make the runs of the model differ.
    if cfg!(moirai_loom) {
        return f();
    }
    let _restore = Restore(BUDGET.replace(budget));
    f()
}

/// Calls `f`, which is one poll of a task, with a full budget. For executors.
#[inline]
pub fn grant<R>(f: impl FnOnce() -> R) -> R {
    with(FULL, f)
}

/// Calls `f` without a budget, so that nothing is counted. For executors.
#[inline]
pub fn unlimited<R>(f: impl FnOnce() -> R) -> R {
    with(UNLIMITED, f)
}

/// Returns `true` if a step can be taken, or nothing is counted.
#[must_use]
pub fn has_remaining() -> bool {
    BUDGET.get().steps != Some(0)
}

/// Calls `f` if a step is left, and takes the step if `f` is ready. If no step is left, wakes the task and returns `Pending`.
///
/// It is for futures that take part in the budget: they wrap the body of their `poll` in it.
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
    if budget.refusals == MAX_REFUSALS {
        BUDGET.set(FULL);
        return true;
    }
    BUDGET.set(Budget { refusals: budget.refusals + 1, ..budget });
    false
}

/// Takes one step: returns at once if one is left, and otherwise lets other tasks run first.
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

/// Runs a future that takes a step each time it is ready. It is for futures of other crates, such as a channel's `recv()`.
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

/// Runs a future without a budget. It is for a future that must be done before other tasks get their turn.
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
    fn a_pending_poll_takes_no_step() {
        let context = &mut Context::from_waker(Waker::noop());
        grant(|| {
            for _ in 0..10 * GRANT {
                assert!(poll(context, |_| Poll::<()>::Pending).is_pending());
            }
            assert_eq!(steps(context), GRANT);
        });
    }

    #[test]
    fn a_poll_that_goes_on_regardless_gets_another_budget() {
        let context = &mut Context::from_waker(Waker::noop());
        grant(|| {
            assert_eq!(steps(context), GRANT);
            let refused = (0..).take_while(|_| !ready_once(context)).count();
            assert_eq!(refused, MAX_REFUSALS as usize - 1, "one was counted in `steps`");
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
