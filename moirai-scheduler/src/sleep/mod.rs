//! The protocol by which workers sleep and wake: no wake-up is lost, and no worker wakes for nothing.
//!
//! [`Sleepers`] knows no scheduler. It is told when work has been made visible ([`notify`](Sleepers::notify)), and is given a
//! closure that looks for work when a worker has none ([`next`](Sleepers::next)). It works with any scheduler that keeps the
//! contract of [`moirai_core::scheduler`], rules 2 and 4 above all.
//!
//! # Terms
//!
//! - To *look* is to call the worker's `pop`, which looks for a task everywhere in the scheduler.
//! - A worker that has work, or looks for it outside of [`next`](Sleepers::next), is *busy*. One that looks for it inside of `next`
//!   is *searching*. At most half of the workers search, but one always may, and workers that were notified of what they alone can
//!   find (rule 9) come on top. A worker that has announced that it will sleep is *sleeping*.
//! - A *producer* is a thread that pushes, whether it is a worker or not.
//! - A *pending wake-up* is one that a producer left to the searching workers, instead of waking a worker itself.
//! - The *counts* are one atomic word (`sleep/counts.rs`). It holds how many workers are searching, how many are sleeping, and how
//!   many wake-ups are pending: none, one, or more than one.
//! - The *list* contains the sleeping workers, under a lock. Whoever takes a worker from it leaves a *notice* in that worker's
//!   slot, which tells why.
//!
//! # The protocol
//!
//! 1. A producer pushes, makes a fence, and reads the counts. If a worker is searching, the producer adds one pending wake-up,
//!    unless more than one is pending already, and is done. If no worker is sleeping, it is done. Otherwise it *wakes* a worker.
//! 2. A worker is woken under the lock of the list. The waking thread reads the counts again, as in rule 1. Then it counts one
//!    worker as searching instead of sleeping, takes that worker from the list, leaves it a notice, and unparks it after it has
//!    released the lock.
//! 3. A worker without work becomes a searcher, if the limit allows it, makes a fence, and looks. If it finds nothing it *spins*:
//!    for some microseconds it watches the counts, and looks again when it sees a pending wake-up. If exactly one is pending and
//!    this worker is the only searcher, then this look is the one that the producer wants, and the worker takes the pending wake-up
//!    off the counts before it looks. Looks that are not for a wake-up may be [partial](Look::Partial): they may leave what others were
//!    invited to do. A spinning worker reads nothing but the counts and what its caller passes as `invited`, so it does not disturb
//!    busy workers. If it still has nothing, the worker *announces* itself, whether it was a searcher or not:
//!    under the lock, it enters the list and is counted as sleeping and no longer as searching, in one change of the counts. It
//!    makes a fence and looks *once more*. Only if there is still nothing does it park, until there is a notice for it.
//! 4. An announced worker that finds work, or has to stop, takes itself off the list. If it is no longer there, it was notified in
//!    the meantime: then it counts as searching, and ends that search by rules 5 and 6.
//! 5. The last searcher answers for the pending wake-ups. When the number of searchers drops to zero, they are cleared in the same
//!    change. If that searcher found work, and a wake-up was pending, it wakes another worker, and its notice tells that worker to
//!    *wake the next*, which makes a *chain*. A worker with such a notice that finds work wakes the next worker, whether a wake-up
//!    is pending or not; if others are still searching, it instead sets the pending wake-ups to more than one, for them. A worker
//!    that found nothing and announces itself remembers that it was the last searcher and a wake-up was pending, or that its notice
//!    was to wake the next, until it has looked once more: if it then finds something, it wakes the next worker.
//! 6. A worker that was notified and then stops or unwinds, instead of looking, wakes the next worker, too.
//! 7. A thread that stops the workers first makes that visible; then, under the lock, it takes all workers from the list, and
//!    unparks them. A worker asks whether to stop before it searches, and again before its last look.
//! 8. A worker that waits for something other than work, and holds its core, [rests](Sleepers::rest): it announces itself, but as
//!    the last to be notified, and looks whether there is work. If there is, it withdraws and hands off its core to a thread that
//!    will look. Otherwise it sleeps until the event that it waits for has happened, or until it is notified. If it is notified, it
//!    passes the wake-up on (rule 6) and hands off its core.
//! 9. A push that only one worker can find is announced to that worker. The producer makes its fence and reads the counts. If any
//!    worker is sleeping, it takes the lock, and if this worker is in the list, wakes it, no matter how many others are searching.
//!    Otherwise this worker is busy or searching; if any worker is searching, a pending wake-up is added, so that this one does not
//!    spin while its own work waits.
//! 10. A worker may sleep in a *hook*: in the driver of an I/O library, for example. There it can be made to run code: wakers, and
//!     the tasks of that library. So, unlike a worker that is parked, it may push in its sleep, or be busy for a while.
//!     - If a worker pushes in its sleep what it would not need to announce if it were busy, because it would look for that itself
//!       before it sleeps, then it takes itself from the list, leaves itself a notice, and unparks itself, as another thread would
//!       do under rule 9. For what others can find, too, it does the same; if it is no longer in the list, rule 1 holds.
//!     - Before it runs other code, it *suspends* its sleep: it takes itself off the list, and is busy. If it has a notice already,
//!       it keeps that, because its sleep ends at once. Before it goes on sleeping, it *resumes* its sleep: it announces itself
//!       again, and looks once more, as in rule 3. If there is something, it withdraws, and leaves the hook. While it is suspended,
//!       what it makes visible must be visible to others: it may be in that code for long. A stop unparks it, although it is not in
//!       the list.
//!
//! # The argument
//!
//! **A. A worker that announces itself too late for a producer to see it sees the producer's work.** Consider a producer P that
//! finds no worker sleeping, and a worker W that announces itself. One of their two fences comes first. If it is P's, then W's last
//! look, which follows W's fence, finds what P pushed, or another thread has taken that (rule 2 of the contract; rule 4 for what a
//! thief is moving at the moment). If it is W's, then P's read of the counts, which follows P's fence, returns W's announcement or
//! a later value. So if P found no worker sleeping, W has either withdrawn or looked in time.
//!
//! **B. A producer that finds a searcher may leave its work to it.** Each of the searchers ends its search by a change of the
//! counts that comes after the value that P read. If the last of them ends it by announcing itself, then its fence comes after P's,
//! because P's load read an older value than the one that the change before that fence left: its last look finds P's work. If the
//! last one ends it by finding work, it sees the pending wake-up that P added or found there. (If that was cleared before, then by
//! another last searcher, for which the same holds, or by a searcher that took it.) So it wakes a worker, if one sleeps. The search
//! of that worker ends later still, and so on. If none sleeps, each worker will announce itself after P's load, and finds P's work
//! in its last look.
//!
//! A searcher that takes a pending wake-up makes a look for it. A single pending wake-up stands for a single push, since a second
//! push makes it more than one; and the change that clears it reads the change by which P added it, so the look finds P's work. The
//! look may return the task of another push, and then P's task must not be left to no worker. But if that other push found all
//! workers busy, its fence came before the searcher's first one, and its task was found by the look that followed, or was gone. And
//! if it found the searcher, it added to the pending wake-ups.
//!
//! **C. A worker that is notified wakes.** A worker that was taken from the list finds a notice in its slot before it parks, or is
//! unparked after the notice was stored. It looks once more before it sleeps again, as under B, and the wake-up is not lost if it
//! does something else instead (rules 4 and 6).
//!
//! **D. So no wake-up is lost (P11):** when all is quiet and a worker sleeps, there is no work that the contract lets a worker
//! find. For the worker's last look found nothing, and for whatever was pushed later A, B or C holds. It would not be enough that
//! the work is run *eventually*: while a worker sleeps, work must not wait for another worker to become free. Each push under C
//! brought a look of its own, after the push; and a look that finds a different task from the one that it was notified of leaves
//! that one to the look which the different task brought. Pushes under B share a pending wake-up, except for a single one that a
//! spinning searcher takes. This is what chains are for: a chain ends only when one of its workers found nothing, so that nothing
//! waited, or when no worker slept.
//!
//! **E. A burst wakes every worker**, one after the other, each waking the next on its way to its own task; the producer pays for
//! one wake-up. And **one push wakes one worker**, or none if one is spinning: without a second push during its search, no wake-up
//! stays pending. (There is one exception: a worker that is notified during its last look cannot know whether what it found is what
//! it was notified of, so it wakes another.)
//!
//! A resting worker announces itself as one that is about to sleep does, so A and C hold for it: a push finds it announced, or its
//! look finds the push. When its look finds something, or when it is notified, a thread that was not there before takes its core,
//! and looks, after the push. One more worker may be notified than there is work for: that is the price of not knowing whether the
//! new thread has looked.
//!
//! **F. A stop reaches every worker.** If W announces itself before the stopping thread has the lock, W is in the list, and is
//! woken. If W announces itself after that, the lock makes the stop visible to W when it asks before its last look.
//!
//! **G. Idle workers cost nothing (P12).** No worker parks with a time limit, and none is unparked except by rules 2, 7 and 9, and
//! by the event that a resting worker waits for. (A token that reaches a parker after its worker withdrew makes one later sleep
//! start over.)
//!
//! **H. Batches.** A worker that steals a batch makes tasks visible in a new place, without notifying anyone. It need not: A, B or
//! C held for the push of each of them, and no worker's last look misses a task because a thief is moving it, which rule 4 of the
//! contract forbids. How [`WorkStealing`](crate::WorkStealing) keeps that rule is written in `work_stealing/in_flight.rs`.
//!
//! **I. Work that only one worker finds** (rule 9). A holds for that worker, with the list under its lock in the place of the
//! counts. If the worker is not in the list when the producer looks for it there, then one possibility is that it announces itself
//! later, and the lock makes the push visible to its last look. The other is that it was taken off before: then it looks after the
//! push, or is busy, and looks before it announces itself again. If it is in the list, it is notified. The pending wake-up serves
//! promptness alone: a look for which there is nothing to find does no harm.
//!
//! **J. Sleeping in a hook** (rule 10). The token of the hook is that of the parker: it is left after the notice, and is not lost.
//! A worker that pushes in its sleep has a notice when `park` returns to it, so it looks, after the push. If it has left the list
//! by then, it was notified before, and A to C hold for others as for any push; or its sleep is suspended. Then it is busy, as any
//! other producer. A suspended sleep that resumes is announced as any other, so A holds for it.
//!
//! The searching state is from Go's scheduler by way of tokio's, the announcement from rayon's. The pending wake-ups are our own:
//! tokio's last searcher always wakes another, so that each single task from outside wakes two workers.

mod counts;
mod hooked;
mod roles;
mod sleepers;
mod wait;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use hooked::HookedSleep;
pub use sleepers::Sleepers;
pub use wait::Look;
