//! Models of fork-join: the real code, on a host of two threads.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::shim::thread;
use moirai_scheduler::{Look, Sleepers};
use moirai_sync::Parker;

use super::frame::Frame;
use super::host::{Host, Invitation};
use super::join::join;
use super::latch::{Latch, park_until_set};
use super::local_jobs::LocalJobs;
use super::scope_core::models::{Spawner, scope};
use super::shared_jobs::SharedJobs;
use super::slot_search::SlotSearch;
use super::stack_job::{JobHeader, StackJob};
use super::waking;

mod slot;

/// Checks a model, with a bound on preemptions where all interleavings would take minutes.
///
/// Each bound is large enough for the model to fail for every mutation that it is meant to find.
fn model(preemptions: Option<usize>, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(f);
}

/// A host of two threads. A thief that finds nothing does not sleep: it looks as often as the model says.
struct Pair {
    shared_jobs: SharedJobs,
    /// Whether an owner that sleeps is woken for another reason once, before it hands its core off.
    wakes_early: bool,
}

impl Host for Pair {
    fn shared_jobs(&self) -> &SharedJobs {
        &self.shared_jobs
    }

    fn idle(&self) -> usize {
        1
    }

    fn invite(&self, _: Invitation) {}

    fn notify(&self) {}

    fn park_on_core(&self, latch: &impl Latch) -> bool {
        if !self.wakes_early {
            return false;
        }
        let parker = Parker::new();
        latch.set_waker(parker.unparker());
        latch.clear_waker();
        latch.is_set()
    }

    fn hand_off_and_park(&self, latch: &impl Latch, _: *const ()) {
        park_until_set(latch);
    }
}

fn pair(wakes_early: bool) -> Arc<Pair> {
    Arc::new(Pair { shared_jobs: SharedJobs::new(2), wakes_early })
}

/// Calls `f` as a task does that begins fork-join work.
fn enter_root<R>(f: impl FnOnce(&LocalJobs) -> R) -> R {
    let local_jobs = Box::new(LocalJobs::new());
    local_jobs.pin_in_place();
    local_jobs.frame().within(&Frame::root(None), || f(&local_jobs))
}

/// Starts a thread that looks for a job so many times, and further while there are any.
fn thief(pair: &Arc<Pair>, looks: usize) -> thread::JoinHandle<()> {
    let pair = Arc::clone(pair);
    thread::spawn(move || {
        let local_jobs = Box::new(LocalJobs::new());
        local_jobs.pin_in_place();
        // It leaves no job that it has published itself, because the other thread may sleep.
        let (mut left, mut search) = (looks, SlotSearch::default());
        while left > 0 || pair.shared_jobs.has_jobs() {
            left = left.saturating_sub(1);
            if let Some(stolen) = pair.shared_jobs.take(Look::Full, &mut search, 1) {
                local_jobs.run(stolen, &*pair);
            }
        }
    })
}

/// A count that is not atomic. A closure that runs twice changes the sum, and loom reports one that runs while another does.
struct Tracked(moirai_core::shim::cell::UnsafeCell<usize>);

// SAFETY: loom checks each access.
unsafe impl Sync for Tracked {}

impl Tracked {
    fn new() -> Self {
        Self(moirai_core::shim::cell::UnsafeCell::new(0))
    }

    fn bump(&self) -> usize {
        self.0.with_mut(|count| {
            // SAFETY: loom checks that the access is exclusive.
            let count = unsafe { &mut *count };
            *count += 1;
            *count
        })
    }
}

#[test]
fn loom_fork_publish_against_take_back() {
    model(Some(3), || take_back_against_a_thief(&pair(false), false));
}

/// Forks a job while a thief looks for one; in the slot of a worker, or under the lock.
fn take_back_against_a_thief(pair: &Arc<Pair>, in_slot: bool) {
    let thief = thief(pair, 1);
    // They are on the owner's stack, and are accessed again after the join.
    let (first, second) = (Tracked::new(), Tracked::new());
    let results = enter_root(|local_jobs| {
        if in_slot {
            local_jobs.claim_slot(Some(0), &pair.shared_jobs);
        }
        let results = join(local_jobs, &**pair, || first.bump(), || second.bump());
        assert!(local_jobs.is_empty(), "the list names a job whose frame ends");
        local_jobs.release_slot(&pair.shared_jobs);
        results
    });
    assert_eq!(results, (1, 1));
    assert_eq!((first.bump(), second.bump()), (2, 2));
    thief.join().unwrap();
}

/// A pointer that may be sent to a thread of a model.
struct Sent<T>(*const T);

// SAFETY: the job it points to is used by the rules of the module, which the models check.
unsafe impl<T> Send for Sent<T> {}

#[test]
fn loom_fork_an_owner_that_wakes_for_another_reason_against_the_thief() {
    // A job by itself, already taken, so that all interleavings can be checked.
    model(None, || {
        let frame = Frame::root(None);
        let second = Box::new(StackJob::new(&raw const frame, || 1));
        let header = second.header();
        header.taken();
        let thief = thread::spawn({
            let job = Sent(&raw const *header);
            move || {
                let job = job;
                let local_jobs = Box::new(LocalJobs::new());
                local_jobs.pin_in_place();
                // SAFETY: the job was taken for this thread.
                unsafe { JobHeader::run(job.0, local_jobs.frame()) };
            }
        });
        let parker = Parker::new();
        header.set_waker(parker.unparker());
        header.clear_waker();
        if !header.is_done() {
            park_until_set(header);
        }
        header.retire();
        // SAFETY: the job is done.
        assert_eq!(unsafe { second.take_result() }.unwrap(), 1);
        thief.join().unwrap();
    });
}

#[test]
fn loom_fork_panics_in_both_closures() {
    model(Some(2), || {
        let pair = pair(false);
        let thief = thief(&pair, 1);
        let ended = Tracked::new();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            enter_root(|local_jobs| {
                join(
                    local_jobs,
                    &*pair,
                    || resume_unwind(Box::new(1)),
                    || -> () {
                        ended.bump();
                        resume_unwind(Box::new(2))
                    },
                )
            })
        }));
        let payload = caught.map(|((), ())| ()).unwrap_err();
        assert_eq!((payload.downcast_ref(), ended.bump()), (Some(&1), 2));
        thief.join().unwrap();
    });
}

#[test]
fn loom_fork_nested_joins_and_a_wait_that_runs_descendants() {
    model(Some(1), || {
        let pair = pair(false);
        let thief = thief(&pair, 2);
        let leaves = [Tracked::new(), Tracked::new(), Tracked::new(), Tracked::new()];
        let inner = |leaves: &[Tracked]| {
            // The thief has local jobs of its own; the owner has another set here, because a closure is not given any.
            enter_root(|local_jobs| {
                join(local_jobs, &*pair, || leaves[0].bump(), || leaves[1].bump())
            })
        };
        let sums = enter_root(|local_jobs| {
            join(local_jobs, &*pair, || inner(&leaves[..2]), || inner(&leaves[2..]))
        });
        assert_eq!(sums, ((1, 1), (1, 1)));
        assert!(leaves.iter().all(|leaf| leaf.bump() == 2));
        thief.join().unwrap();
    });
}

loom::thread_local! {
    static WAITS: std::cell::Cell<bool> = std::cell::Cell::new(false);
}

#[test]
fn loom_fork_a_wait_takes_nothing_that_is_not_below() {
    model(Some(2), || {
        let pair = pair(false);
        let thief = thief(&pair, 1);
        // The jobs of another call are in the same shared jobs.
        let other = thread::spawn({
            let pair = Arc::clone(&pair);
            move || {
                let unrelated = || assert!(!WAITS.with(std::cell::Cell::get));
                enter_root(|local_jobs| join(local_jobs, &*pair, || (), unrelated));
            }
        });
        WAITS.with(|waits| waits.set(true));
        enter_root(|local_jobs| join(local_jobs, &*pair, || (), || ()));
        WAITS.with(|waits| waits.set(false));
        other.join().unwrap();
        thief.join().unwrap();
    });
}

#[test]
fn loom_fork_scope_ends_after_its_jobs() {
    model(Some(3), || {
        let pair = pair(true);
        let thief = thief(&pair, 1);
        let (first, second) = (Arc::new(Tracked::new()), Arc::new(Tracked::new()));
        enter_root(|local_jobs| {
            scope(local_jobs, &*pair, |s: Spawner<'_, Pair>| {
                for cell in [&first, &second] {
                    let cell = Arc::clone(cell);
                    s.spawn(local_jobs, move |_| {
                        cell.bump();
                    });
                }
            });
        });
        assert_eq!((first.bump(), second.bump()), (2, 2));
        thief.join().unwrap();
    });
}

#[test]
fn loom_fork_a_stolen_job_spawns_another() {
    model(Some(2), || {
        let pair = pair(false);
        let thief = thief(&pair, 2);
        let cell = Arc::new(Tracked::new());
        enter_root(|local_jobs| {
            scope(local_jobs, &*pair, |s: Spawner<'_, Pair>| {
                let cell = Arc::clone(&cell);
                s.spawn(local_jobs, move |s| {
                    // These are not the local jobs of the scope's thread, so the job is public at once.
                    s.spawn(std::ptr::null(), move |_| {
                        cell.bump();
                    });
                });
            });
        });
        assert_eq!(cell.bump(), 2);
        thief.join().unwrap();
    });
}

#[test]
fn loom_fork_a_look_without_success_is_repeated_after_a_publication() {
    model(None, || {
        let shared_jobs = Arc::new(SharedJobs::new(1));
        let root = Frame::root(None);
        // The wait is for jobs below `frame`. The first job is not: because of it the first look takes the lock.
        let identity = (&raw const root).cast();
        // SAFETY: `root` is dropped after `frame`.
        let frame = Box::new(unsafe { Frame::child_of(&raw const root, identity) });
        let unrelated = Box::new(StackJob::new(&raw const root, || ()));
        let descendant = Box::new(StackJob::new(&raw const *frame, || ()));
        let publish = |shared_jobs: &SharedJobs, job: Sent<JobHeader>| {
            let mut job = Some(job.0);
            assert!(shared_jobs.publish(1, 1, || job.take()));
        };
        publish(&shared_jobs, Sent(unrelated.header()));
        let publisher = thread::spawn({
            let (shared_jobs, job) =
                (Arc::clone(&shared_jobs), Sent((&raw const *descendant).cast()));
            move || publish(&shared_jobs, job)
        });
        let mut seen = None;
        let mut found = shared_jobs.take_descendant(identity, 1, &mut seen).is_some();
        publisher.join().unwrap();
        // However the first look and the publication fell together, a second look finds what the first has not.
        found |= shared_jobs.take_descendant(identity, 1, &mut seen).is_some();
        assert!(found, "a job was overlooked");
    });
}

/// A host with one worker, which sleeps by the real protocol (rules 5, 7 and 8).
struct Pool {
    shared_jobs: SharedJobs,
    sleepers: Sleepers,
    stopped: AtomicBool,
}

impl Host for Pool {
    fn shared_jobs(&self) -> &SharedJobs {
        &self.shared_jobs
    }

    fn idle(&self) -> usize {
        self.sleepers.idle()
    }

    fn invite(&self, invitation: Invitation) {
        waking::invite(&self.shared_jobs, &self.sleepers, invitation);
    }

    fn notify(&self) {
        self.sleepers.notify();
    }

    fn park_on_core(&self, _: &impl Latch) -> bool {
        false
    }

    fn hand_off_and_park(&self, latch: &impl Latch, _: *const ()) {
        park_until_set(latch);
    }
}

impl Pool {
    /// Starts the worker, which runs jobs until it is stopped.
    fn start() -> (Arc<Self>, thread::JoinHandle<()>) {
        let pool = Arc::new(Self {
            shared_jobs: SharedJobs::new(1),
            sleepers: Sleepers::new(1),
            stopped: AtomicBool::new(false),
        });
        let worker = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let local_jobs = Box::new(LocalJobs::new());
                local_jobs.pin_in_place();
                let search = RefCell::new(SlotSearch::default());
                // Ordering: Relaxed: the lock in `wake_all` orders it.
                while let Some(stolen) = pool.sleepers.next(
                    0,
                    |look| {
                        let idle = pool.sleepers.idle();
                        pool.shared_jobs.take(look, &mut search.borrow_mut(), idle)
                    },
                    || pool.shared_jobs.has_lasting_job(&mut search.borrow_mut()),
                    || pool.stopped.load(Ordering::Relaxed),
                    || (),
                ) {
                    local_jobs.run(stolen, &*pool);
                }
            }
        });
        (pool, worker)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.sleepers.wake_all();
    }
}

/// Calls `f` as a thread that holds no core, or that does, begins fork-join work.
fn call<R>(pool: &Pool, is_external: bool, f: impl FnOnce(&LocalJobs) -> R) -> R {
    let local_jobs = Box::new(LocalJobs::new());
    local_jobs.pin_in_place();
    let frame = Frame::root(None);
    if is_external {
        local_jobs.enter_external(pool, &frame, || f(&local_jobs))
    } else {
        local_jobs.frame().within(&frame, || f(&local_jobs))
    }
}

#[test]
fn loom_fork_a_job_is_not_left_because_of_an_external_thread_that_leaves() {
    model(Some(1), || {
        let (pool, worker) = Pool::start();
        let publisher = call(&pool, true, |_| {
            thread::spawn({
                let pool = Arc::clone(&pool);
                move || {
                    let ran = Parker::new();
                    let runs = ran.unparker();
                    // The first closure waits for the second, so only the worker can run that.
                    call(&pool, false, |local_jobs| {
                        join(local_jobs, &*pool, || ran.park(), || runs.unpark());
                    });
                }
            })
        });
        publisher.join().unwrap();
        pool.stop();
        worker.join().unwrap();
    });
}

#[test]
fn loom_fork_a_job_in_another_threads_scope_is_run_although_an_external_thread_waits_for_it() {
    model(Some(2), || {
        let (pool, worker) = Pool::start();
        call(&pool, false, |local_jobs| {
            scope(local_jobs, &*pool, |s: Spawner<'_, Pool>| {
                let spawner = Sent((&raw const s).cast::<()>());
                let external = thread::spawn({
                    let pool = Arc::clone(&pool);
                    move || {
                        let spawner = spawner;
                        let ran = Parker::new();
                        let runs = ran.unparker();
                        call(&pool, true, |local_jobs| {
                            // SAFETY: the scope's closure waits for this thread, and so keeps its argument.
                            let s = unsafe { &*spawner.0.cast::<Spawner<'_, Pool>>() };
                            s.spawn(local_jobs, move |_| runs.unpark());
                            ran.park();
                        });
                    }
                });
                external.join().unwrap();
            });
        });
        pool.stop();
        worker.join().unwrap();
    });
}

#[test]
fn loom_fork_a_scope_whose_closure_blocks_has_its_private_jobs_run() {
    model(Some(2), || {
        let (pool, worker) = Pool::start();
        let ran = Parker::new();
        let count = Arc::new(AtomicUsize::new(0));
        call(&pool, false, |local_jobs| {
            scope(local_jobs, &*pool, |s: Spawner<'_, Pool>| {
                for _ in 0..2 {
                    let (count, runs) = (Arc::clone(&count), ran.unparker());
                    s.spawn(local_jobs, move |_| {
                        count.fetch_add(1, Ordering::Relaxed);
                        runs.unpark();
                    });
                }
                // Only the worker can run them now.
                while count.load(Ordering::Relaxed) < 2 {
                    ran.park();
                }
            });
        });
        pool.stop();
        worker.join().unwrap();
    });
}

#[test]
fn loom_fork_an_announced_block_ends_though_it_waits_for_a_private_half() {
    model(Some(1), || {
        let (pool, worker) = Pool::start();
        let ran = Parker::new();
        let runs = ran.unparker();
        call(&pool, false, |local_jobs| {
            let blocks = || {
                let _ = local_jobs.blocks(&*pool);
                ran.park();
            };
            // The inner join's second half is private if the outer one's is public.
            join(local_jobs, &*pool, || join(local_jobs, &*pool, blocks, || runs.unpark()), || ());
        });
        pool.stop();
        worker.join().unwrap();
    });
}
