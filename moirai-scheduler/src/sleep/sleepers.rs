//! How workers sleep and wake: nothing is lost, and nobody wakes for nothing.
//!
//! [`Sleepers`] knows no scheduler. It is told when work was made visible ([`notify`](Sleepers::notify)), and is given the
//! means to look for some when a worker has none ([`next`](Sleepers::next)). It works around any scheduler that keeps
//! the contract of [`moirai_core::scheduler`], rules 2 and 4 above all.
//!
//! # Terms
//!
//! A worker that has work, or looks for it of its own accord, is *busy*. One that [`next`](Sleepers::next) makes look
//! is *searching*; at most half of the workers are, but one may always be, and those that are called for what they alone find (rule 9)
//! come on top. One that has announced that it will sleep is
//! *sleeping*. One word (`sleep/counts.rs`) holds how many are searching, how many are sleeping, and what the searchers
//! *owe*: nothing, one look, or more.
//! Who sleeps is in a list under a lock. A *producer* is whoever pushes, worker or not.
//!
//! # The protocol
//!
//! 1. A producer pushes, makes a fence, and looks at the word. Somebody searches: it adds one look to what is
//!    owed, unless that is more than one already, and is done. Nobody sleeps: it is done. Otherwise it *calls* a worker.
//! 2. Calling is done under the lock. It looks at the word again, as in rule 1; then it counts one worker as searching
//!    instead of sleeping, takes it from the list, leaves word for it whose call it was, and then, without the lock,
//!    unparks it.
//! 3. A worker without work becomes a searcher if it may, makes a fence, and looks. If it finds nothing it *lingers*: for some
//!    microseconds it watches the word, and looks a second time if it sees that something is owed. If that is one look,
//!    and it is the only searcher, then this is the look, and it takes the debt off the word first. It watches nothing
//!    else, so whoever is busy does not notice it. Whether it was a searcher or not: if it has nothing, it announces
//!    itself. That is, under the lock, it enters the list and is counted as sleeping and no longer as searching, in one
//!    change of the word. It makes a fence and looks *once more*. Only if there is nothing now does it park, until there
//!    is word for it.
//! 4. A worker that is announced and finds work, or has to stop, takes itself off the list. If it is not there any
//!    more, then it was called, counts as searching, and goes on as a searcher.
//! 5. The last searcher pays what is owed: when the number of searchers goes to zero, the debt is cleared in the same
//!    change. If it found work, and something was owed, it calls another, *in a chain*. A worker that was called in a
//!    chain and finds work owes another call in a chain whether the word says so or not; if others search still, it makes
//!    the debt more than one look for them. If the last searcher found nothing and announces itself, it keeps the debt in mind until it has
//!    looked once more: if it finds something then, it pays.
//! 6. A worker that was called and has to stop, or to unwind, instead of looking, owes a call in a chain, too.
//! 7. For a stop, whoever asks for it makes that visible first; then, under the lock, it takes all from the list, and
//!    unparks them. A worker asks whether to stop before each look.
//! 8. A worker that waits for something else than work, and holds its seat, [rests](Sleepers::rest): it announces itself, but
//!    as the last to be called, and looks whether there is work. If there is, it withdraws, and hands its seat on to a
//!    thread that will look. Otherwise it sleeps until what it waits for happens, or it is called. If it is called it passes the
//!    call on (rule 6), and hands its seat on.
//!
//! 9. A push that only one worker can find is told to that one. The producer makes its fence and looks at the word. If somebody sleeps
//!    it takes the lock, and if the worker is in the list, calls it: whoever searches. Otherwise that worker is busy, or searches,
//!    and somebody searching is owed a look, so that the worker does not linger over its own work.
//!
//! # The argument
//!
//! **A. Who announces itself too late to be seen, sees.** A producer P that finds nobody asleep, and a worker W that
//! announces itself. One of their two fences is first. If it is P's, then W's last look, which is after its fence,
//! finds what P pushed, or somebody else got it (rule 2 of the contract; rule 4 for what a thief carries just then). If
//! it is W's, then P's look at the word, which is after its own, reads W's announcement or a later value. So if P found
//! nobody asleep, W has either withdrawn, or looked in time.
//!
//! **B. Who leaves it to a searcher may.** P finds a searcher. Each of them ends its search by a change of the word
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
//! **C. Who calls, wakes.** A worker taken from the list finds word in its place before it parks, or is unparked after
//! the word was left. It looks once more before it sleeps again, as under B, and the call is not lost if it does
//! something else instead (rules 4 and 6).
//!
//! **D. So no wake-up is lost (P11):** when all is quiet, and somebody sleeps, then there is no work that the contract
//! lets a worker find. For a worker's last look found nothing, and what was pushed later met with A, B or C. It would
//! not be enough that the work is run *some time*: if a worker sleeps, work must not wait for another to become free.
//! Each push that met with C brought a look of its own, after the push; and a look that finds another task than the one
//! it was called for leaves that one to the look which the other task brought. Pushes that met with B share
//! a debt, except for a single one that a lingering searcher takes. That is what chains are for: a chain ends only when one of its workers found nothing, so that nothing waited, or
//! when nobody slept.
//!
//! **E. A burst wakes everyone**, one after the other, each waking the next on its way to its own task; the producer
//! pays for one call. And **one push wakes one worker**, or none if one lingers: without a second push during its search nothing
//! is left owed.
//! (Unless the call went to a worker in its last look: it cannot know whether what it found is what it was called for,
//! so it calls another.)
//!
//! It rests as it would sleep, so A and C hold for it: a push finds it announced, or is found by its look; and then, or when it
//! is called, a thread that was not there before sits down in its seat, and looks, after the push. That one more worker may be called
//! than there is work for is the price of not knowing whether the new thread has looked.
//!
//! **F. A stop reaches everyone.** If W announces itself before the one who stops has the lock, it is in the list, and
//! woken. If after, then the lock makes the stop visible to its question before its last look.
//!
//! **G. Idle costs nothing (P12).** Nobody parks with a time limit, and nobody is unparked but by rules 2 and 7. (A
//! token that arrives after its worker withdrew makes one later sleep start over.)
//!
//! **H. Batches.** A worker that steals a batch makes tasks visible in a new place, without a call. It need not: the
//! push of each of them met with A, B or C, and nobody's last look misses a task because a thief carries it; a
//! scheduler's rule 4 forbids that. How [`WorkStealing`](crate::WorkStealing) keeps it is written in
//! `work_stealing/moves.rs`.
//!
//! **I. What only one worker finds** (rule 9): A holds of that worker, with the list under the lock in the place of the word. If it
//! is not in the list when the producer looks, then it announces itself later, and the lock makes the push visible to its last look;
//! or it was taken off before, and then it looks after the push, or is busy, and looks before it announces itself again. If it is in
//! the list, it is called. The debt is for promptness alone: a look for which there is nothing to find does no harm.
//!
//! The searching state is from Go's scheduler by way of tokio's, the announcement from rayon's. The debt is
//! ours: tokio's last searcher always wakes another, so that each single task from outside wakes two workers.

use std::fmt;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_sync::{Parker, Unparker};

use super::counts::{self, Counts};
use super::roles::{Search, Turn};

/// How long a searcher that found nothing watches the word before it announces itself, letting other threads run between two
/// looks. A few times as long as it takes to wake a thread: a task that comes within that time is run without a sleep and a
/// wake-up. It is a time and not a number of looks, so that who shares his core with others, and is let run seldom, soon sleeps.
const LINGER: Duration = Duration::from_micros(40);

/// The workers that have nothing to do. See the [module](self) for the protocol.
pub struct Sleepers {
    pub(super) counts: CachePadded<Counts>,
    /// How many may search at once.
    pub(super) search_limit: usize,
    /// Who sleeps; the last to come is the first to be called, while its cache is warm. As long as the counts say,
    /// whenever the lock is free.
    pub(super) list: Mutex<Vec<usize>>,
    pub(super) places: Box<[CachePadded<Place>]>,
}

/// Where a worker sleeps.
pub(super) struct Place {
    /// Why it was taken from the list; one of the constants of [`word`]. Written under the lock of the list.
    pub(super) word: AtomicU8,
    /// Locked by the worker while it parks, and by nobody else.
    pub(super) parker: Mutex<Parker>,
    pub(super) unparker: Unparker,
}

/// What a searcher has seen that lingered.
enum Lingered {
    /// Nothing is owed.
    InVain,
    /// One look was owed, and is now its own to make.
    TookDebt,
    /// Something is owed, by all who search.
    SawDebt,
    /// There is something for which it was invited.
    Invited,
}

/// What may be left for a sleeper.
pub(super) mod word {
    /// It was not taken from the list.
    pub(in super::super) const NONE: u8 = 0;
    /// Work was pushed.
    pub(in super::super) const CALLED: u8 = 1;
    /// Work was pushed, and there may be more than one can do: rule 5.
    pub(in super::super) const CHAIN: u8 = 2;
    /// Everyone was woken: rule 7.
    pub(in super::super) const FREED: u8 = 3;
}

impl Sleepers {
    /// The largest number of workers.
    pub const MAX_WORKERS: usize = counts::MAX;

    /// For `workers` workers, all of them busy.
    ///
    /// # Panics
    ///
    /// If there are none, or more than [`MAX_WORKERS`](Self::MAX_WORKERS).
    #[must_use]
    pub fn new(workers: usize) -> Self {
        assert!(
            (1..=Self::MAX_WORKERS).contains(&workers),
            "from 1 to {} workers, not {workers}",
            Self::MAX_WORKERS
        );
        Self {
            counts: CachePadded::new(Counts::new()),
            search_limit: (workers / 2).max(1),
            list: Mutex::new(Vec::with_capacity(workers)),
            places: (0..workers)
                .map(|_| {
                    let parker = Parker::new();
                    CachePadded::new(Place {
                        word: AtomicU8::new(word::NONE),
                        unparker: parker.unparker(),
                        parker: Mutex::new(parker),
                    })
                })
                .collect(),
        }
    }

    /// Says that work was made visible, by the calling thread. Wakes a worker if one sleeps and none is searching.
    ///
    /// Costs a fence and a load if nobody sleeps, and takes a lock only to wake somebody.
    #[inline]
    pub fn notify(&self) {
        let now = self.counts.after_fence();
        if !now.all_busy() && !now.more_owed() {
            self.call_unless_left();
        }
    }

    /// Says that work was made visible that only worker `worker` finds, by the calling thread. Wakes that worker if it sleeps.
    ///
    /// Costs a fence and a load if nobody sleeps, and takes a lock otherwise. Does nothing if there is no such worker.
    #[inline]
    pub fn notify_worker(&self, worker: usize) {
        if self.counts.after_fence().sleeping() > 0 {
            self.call_this(worker);
        } else {
            self.disturb();
        }
    }

    /// Says that work was made visible that its owner will do itself if nobody comes, such as the half of a `join`. Wakes a worker
    /// if one sleeps and none is searching: who is searching sees it.
    #[inline]
    pub fn invite(&self) {
        let now = self.counts.after_fence();
        if now.sleeping() > 0 && now.searching() == 0 {
            self.call(word::CALLED);
        }
    }

    /// Gets worker `worker` its next task when it has none: looks for one by `pop`, and sleeps until there is one.
    /// `None` as soon as `stop` says so.
    ///
    /// `parked` is called each time that the worker is about to park. `invited` is asked, often, while it waits for a push: whether
    /// there is something for which [`invite`](Self::invite) was called.
    ///
    /// The closures may be called in any order and often. `stop` has to say `true` from the moment that
    /// [`wake_all`](Self::wake_all) was called for it; a stop for which nobody called that is seen whenever the worker
    /// wakes. `pop` is to find what the contract says a local queue finds.
    ///
    /// # Panics
    ///
    /// If there is no such worker, and when a closure does. Either leaves the other workers in good order.
    pub fn next<T>(
        &self,
        worker: usize,
        mut pop: impl FnMut() -> Option<T>,
        invited: impl Fn() -> bool,
        stop: impl Fn() -> bool,
        mut parked: impl FnMut(),
    ) -> Option<T> {
        assert!(worker < self.places.len(), "there is no worker {worker}");
        let mut search = Search::start(self);
        loop {
            if stop() {
                return None;
            }
            if let Some(searching) = search.take() {
                // Each debt that it takes is worth another while.
                let mut lingering = true;
                loop {
                    if let Some(task) = pop() {
                        searching.found();
                        return Some(task);
                    }
                    if !lingering {
                        break;
                    }
                    match self.linger(&invited) {
                        Lingered::InVain => break,
                        Lingered::TookDebt | Lingered::Invited => {}
                        Lingered::SawDebt => lingering = false,
                    }
                }
                search = Some(searching);
            }
            let announced = self.announce(worker, Turn::First, search);
            // Rule 3: once more, now that producers can see that we are about to sleep.
            if stop() {
                return None;
            }
            if let Some(task) = pop() {
                announced.found();
                return Some(task);
            }
            parked();
            search = announced.park().or_else(|| Search::start(self));
        }
    }

    /// Lets a worker sleep until something has happened that it waits for, as one that may be called: rule 8. Says whether that has
    /// happened; if not, there is work, and somebody else has to sit in the worker's seat.
    ///
    /// `has_happened` must say so from before the worker's [`unparker`](Self::unparker) is used for it. `has_work` is to find what
    /// the contract says a local queue finds, and to leave it there. The closures must not panic.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn rest(
        &self,
        worker: usize,
        has_happened: impl Fn() -> bool,
        has_work: impl FnOnce() -> bool,
    ) -> bool {
        assert!(worker < self.places.len(), "there is no worker {worker}");
        let announced = self.announce(worker, Turn::Last, None);
        if has_work() {
            return false;
        }
        announced.park_until(has_happened)
    }

    /// What wakes a worker that rests.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[must_use]
    pub fn unparker(&self, worker: usize) -> Unparker {
        self.places[worker].unparker.clone()
    }

    /// Wakes every worker that sleeps, to ask its `stop`, and to look for work.
    pub fn wake_all(&self) {
        let freed = {
            let mut list = self.list.lock();
            self.counts.withdraw_all();
            for &worker in list.iter() {
                // Ordering: Release pairs with the Acquire load in `Announced::park`.
                self.places[worker].word.store(word::FREED, Ordering::Release);
            }
            std::mem::replace(&mut *list, Vec::with_capacity(self.places.len()))
        };
        for worker in freed {
            self.places[worker].unparker.unpark();
        }
    }

    /// How many workers sleep, or are about to. Nothing may be concluded from it about the queues.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        self.counts.now().sleeping()
    }

    /// How many workers have nothing to do: those that sleep, and those that search. Nothing may be concluded from it about
    /// the queues.
    #[must_use]
    pub fn idle(&self) -> usize {
        let now = self.counts.now();
        now.sleeping() + now.searching()
    }

    /// How many workers are searching. Nothing may be concluded from it about the queues.
    #[must_use]
    pub fn searching(&self) -> usize {
        self.counts.now().searching()
    }

    /// Rule 3: waits a moment for something to be owed.
    fn linger(&self, invited: &impl Fn() -> bool) -> Lingered {
        let start = Instant::now();
        loop {
            if self.counts.now().owed() {
                return if self.counts.take_debt() {
                    Lingered::TookDebt
                } else {
                    Lingered::SawDebt
                };
            }
            if invited() {
                return Lingered::Invited;
            }
            // A model needs one look: the next one sees no more than the one of rule 3 that follows.
            if cfg!(moirai_loom) || start.elapsed() >= LINGER {
                return Lingered::InVain;
            }
            moirai_core::shim::thread::yield_now();
        }
    }

    #[cold]
    fn call_unless_left(&self) {
        if !self.counts.leave_to_searchers() {
            self.call(word::CALLED);
        }
    }

    /// Rule 9.
    #[cold]
    fn call_this(&self, worker: usize) {
        {
            let mut list = self.list.lock();
            let Some(at) = list.iter().rposition(|&other| other == worker) else {
                drop(list);
                return self.disturb();
            };
            list.remove(at);
            self.counts.call_one();
            // Ordering: Release pairs with the Acquire load in `Announced::park`.
            self.places[worker].word.store(word::CALLED, Ordering::Release);
        }
        self.places[worker].unparker.unpark();
    }

    /// Has those who linger look once more: the one whose work was pushed may be among them.
    #[inline]
    fn disturb(&self) {
        if self.counts.now().searching() > 0 {
            let _ = self.counts.leave_to_searchers();
        }
    }

    /// Rule 2.
    pub(super) fn call(&self, word: u8) {
        let called = {
            let mut list = self.list.lock();
            if !self.counts.call() {
                return;
            }
            let Some(worker) = list.pop() else {
                unreachable!("the list is as long as the counts say")
            };
            // Ordering: Release pairs with the Acquire load in `Announced::park`.
            self.places[worker].word.store(word, Ordering::Release);
            worker
        };
        self.places[called].unparker.unpark();
    }
}

impl fmt::Debug for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleepers")
            .field("workers", &self.places.len())
            .field("sleeping", &self.sleeping())
            .field("searching", &self.searching())
            .finish()
    }
}
