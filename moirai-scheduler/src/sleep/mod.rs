//! How workers sleep and wake: nothing is lost, and nobody wakes for nothing.
//!
//! [`Sleepers`] knows no scheduler. It is told when work was made visible ([`notify`](Sleepers::notify)), and is given the
//! means to look for some when a worker has none ([`next`](Sleepers::next)). It works around any scheduler that keeps
//! the contract of [`moirai_core::scheduler`], rules 2 and 4 above all.
//!
//! # Terms
//!
//! A worker that has work, or looks for it of its own accord, is *busy*. One that [`next`](Sleepers::next) makes look
//! is *searching*; at most half of the workers are, but one may always be, and those that are notified for what they alone find (rule 9)
//! come on top. One that has announced that it will sleep is
//! *sleeping*. One notice (`sleep/counts.rs`) holds how many are searching, how many are sleeping, and what the searchers
//! *owe*: nothing, one look, or more.
//! Who sleeps is in a list under a lock. A *producer* is whoever pushes, worker or not.
//!
//! # The protocol
//!
//! 1. A producer pushes, makes a fence, and looks at the notice. Somebody searches: it adds one look to what is
//!    has_pending_wake, unless that is more than one already, and is done. Nobody sleeps: it is done. Otherwise it *calls* a worker.
//! 2. Calling is done under the lock. It looks at the notice again, as in rule 1; then it counts one worker as searching
//!    instead of sleeping, takes it from the list, leaves notice for it whose call it was, and then, without the lock,
//!    unparks it.
//! 3. A worker without work becomes a searcher if it may, makes a fence, and looks. If it finds nothing it *lingers*: for some
//!    microseconds it watches the notice, and looks a second time if it sees that something is has_pending_wake. If that is one look,
//!    and it is the only searcher, then this is the look, and it takes the debt off the notice first. It watches nothing
//!    else, so whoever is busy does not notice it. Whether it was a searcher or not: if it has nothing, it announces
//!    itself. That is, under the lock, it enters the list and is counted as sleeping and no longer as searching, in one
//!    change of the notice. It makes a fence and looks *once more*. Only if there is nothing now does it park, until there
//!    is notice for it.
//! 4. A worker that is announced and finds work, or has to stop, takes itself off the list. If it is not there any
//!    more, then it was notified, counts as searching, and goes on as a searcher.
//! 5. The last searcher pays what is has_pending_wake: when the number of searchers goes to zero, the debt is cleared in the same
//!    change. If it found work, and something was has_pending_wake, it calls another, *in a chain*. A worker that was notified in a
//!    chain and finds work wakes_next another call in a chain whether the notice says so or not; if others search still, it makes
//!    the debt more than one look for them. If the last searcher found nothing and announces itself, it keeps the debt in mind until it has
//!    looked once more: if it finds something then, it pays.
//! 6. A worker that was notified and has to stop, or to unwind, instead of looking, wakes_next a call in a chain, too.
//! 7. For a stop, whoever asks for it makes that visible first; then, under the lock, it takes all from the list, and
//!    unparks them. A worker asks whether to stop before each look.
//! 8. A worker that waits for something else than work, and holds its seat, [rests](Sleepers::rest): it announces itself, but
//!    as the last to be notified, and looks whether there is work. If there is, it withdraws, and hands its seat on to a
//!    thread that will look. Otherwise it sleeps until what it waits for happens, or it is notified. If it is notified it passes the
//!    call on (rule 6), and hands its seat on.
//!
//! 9. A push that only one worker can find is told to that one. The producer makes its fence and looks at the notice. If somebody sleeps
//!    it takes the lock, and if the worker is in the list, calls it: whoever searches. Otherwise that worker is busy, or searches,
//!    and somebody searching is has_pending_wake a look, so that the worker does not spin over its own work.
//!
//! # The argument
//!
//! **A. Who announces itself too late to be seen, sees.** A producer P that finds nobody asleep, and a worker W that
//! announces itself. One of their two fences is first. If it is P's, then W's last look, which is after its fence,
//! finds what P pushed, or somebody else got it (rule 2 of the contract; rule 4 for what a thief carries just then). If
//! it is W's, then P's look at the notice, which is after its own, reads W's announcement or a later value. So if P found
//! nobody asleep, W has either withdrawn, or looked in time.
//!
//! **B. Who leaves it to a searcher may.** P finds a searcher. Each of them ends its search by a change of the notice
//! that comes after what P read. If the last of them ends it by announcing itself, its fence comes after P's, because
//! P's load read an older value than the change before that fence left: its last look finds P's work. If it ends by
//! finding work, it sees the debt that P made or found; if it was cleared before, then by another last searcher, for
//! which the same holds, or by one that took it upon itself; and it calls a worker, if one sleeps. That one's search ends
//! later still, and so on. If none sleeps, each worker will announce itself later than P's look, and find P's work in its
//! last look. Who takes a debt upon itself makes a look for it: a debt of one look is of one push, since the second makes
//! it more, and the change that clears it reads the one by which P made it, so that the look finds P's work. It may find
//! another push's instead, and then must not leave P's to nobody. But a push that found all workers busy came with its
//! fence before the searcher's first one, so its work was found by the look that followed, or was gone; and a push that
//! found the searcher added to the debt.
//!
//! **C. Who calls, wakes.** A worker taken from the list finds notice in its slot before it parks, or is unparked after
//! the notice was left. It looks once more before it sleeps again, as under B, and the call is not lost if it does
//! something else instead (rules 4 and 6).
//!
//! **D. So no wake-up is lost (P11):** when all is quiet, and somebody sleeps, then there is no work that the contract
//! lets a worker find. For a worker's last look found nothing, and what was pushed later met with A, B or C. It would
//! not be enough that the work is run *some time*: if a worker sleeps, work must not wait for another to become free.
//! Each push that met with C brought a look of its own, after the push; and a look that finds another task than the one
//! it was notified for leaves that one to the look which the other task brought. Pushes that met with B share
//! a debt, except for a single one that a spinning searcher takes. That is what chains are for: a chain ends only when one of its workers found nothing, so that nothing waited, or
//! when nobody slept.
//!
//! **E. A burst wakes everyone**, one after the other, each waking the next on its way to its own task; the producer
//! pays for one call. And **one push wakes one worker**, or none if one lingers: without a second push during its search nothing
//! is left has_pending_wake.
//! (Unless the call went to a worker in its last look: it cannot know whether what it found is what it was notified for,
//! so it calls another.)
//!
//! It rests as it would sleep, so A and C hold for it: a push finds it announced, or is found by its look; and then, or when it
//! is notified, a thread that was not there before sits down in its seat, and looks, after the push. That one more worker may be notified
//! than there is work for is the price of not knowing whether the new thread has looked.
//!
//! **F. A stop reaches everyone.** If W announces itself before the one who stops has the lock, it is in the list, and
//! woken. If after, then the lock makes the stop visible to its question before its last look.
//!
//! **G. Idle costs nothing (P12).** Nobody parks with a time limit, and nobody is unparked but by rules 2 and 7. (A
//! token that arrives after its worker withdrew makes one later sleep start over.)
//!
//! **H. Batches.** A worker that steals a batch makes tasks visible in a new slot, without a call. It need not: the
//! push of each of them met with A, B or C, and nobody's last look misses a task because a thief carries it; a
//! scheduler's rule 4 forbids that. How [`WorkStealing`](crate::WorkStealing) keeps it is written in
//! `work_stealing/in_flight.rs`.
//!
//! **I. What only one worker finds** (rule 9): A holds of that worker, with the list under the lock in the slot of the notice. If it
//! is not in the list when the producer looks, then it announces itself later, and the lock makes the push visible to its last look;
//! or it was taken off before, and then it looks after the push, or is busy, and looks before it announces itself again. If it is in
//! the list, it is notified. The debt is for promptness alone: a look for which there is nothing to find does no harm.
//!
//! The searching state is from Go's scheduler by way of tokio's, the announcement from rayon's. The debt is
//! ours: tokio's last searcher always wakes another, so that each single task from outside wakes two workers.

mod counts;
mod roles;
mod sleepers;
mod wait;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use sleepers::Sleepers;
