//! Models of the slots (rule 13).

use std::ptr;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::Relaxed;

use super::super::job_slot::{JobSlot, Only, Ticket};
use super::*;

#[test]
fn loom_fork_slot_put_against_take_back() {
    model(Some(3), || take_back_against_a_thief(&pair(true), true));
}

/// Puts a job into a slot, from which the last one was taken out, by one of two threads.
fn put(slot: &JobSlot, job: &JobHeader, frame: &Frame) -> Ticket {
    let ticket = slot.next_ticket().expect("the slot is free");
    slot.put(ticket, job, frame);
    ticket
}

#[test]
fn loom_fork_slot_a_ticket_of_an_earlier_job_takes_nothing() {
    // A slot by itself. The jobs are at two addresses, and the state of one that was taken back must not change.
    model(None, || {
        let slot = Arc::new(JobSlot::new());
        assert!(slot.claim());
        let frame = Frame::root(None);
        let jobs = [1, 2].map(|number| StackJob::new(&raw const frame, move || number));
        let thief = thread::spawn({
            let slot = Arc::clone(&slot);
            move || slot.take(Only::Any).map(|job| job as usize)
        });
        let taken = jobs.each_ref().map(|job| {
            let ticket = put(&slot, job.header(), &frame);
            !slot.take_back(ticket)
        });
        let thief = thief.join().unwrap();
        let addresses = jobs.each_ref().map(|job| ptr::from_ref(job.header()) as usize);
        let expected = addresses.into_iter().zip(taken).find_map(|(job, was)| was.then_some(job));
        assert_eq!(thief, expected, "the thief has the job that the owner lost");
    });
}

#[test]
fn loom_fork_slot_a_wait_takes_nothing_that_is_not_below() {
    // A slot by itself. One job is below what the other thread waits for, and the two others are not.
    model(None, || {
        let slot = Arc::new(JobSlot::new());
        assert!(slot.claim());
        let wait = Box::new(0);
        let wait_address = ptr::from_ref(&*wait) as usize;
        let root = Frame::root(None);
        // SAFETY: the parents live as long.
        let child = unsafe { Frame::child_of(&raw const root, ptr::from_ref(&*wait).cast()) };
        // SAFETY: as above.
        let grandchild = unsafe { Frame::child_of(&raw const child, ptr::from_ref(&root).cast()) };
        let below = StackJob::new(&raw const grandchild, || 1);
        // SAFETY: as above.
        let sibling = unsafe { Frame::child_of(&raw const root, ptr::from_ref(&root).cast()) };
        let unrelated = [&root, &sibling].map(|frame| StackJob::new(&raw const *frame, || 2));
        let waiter = thread::spawn({
            let slot = Arc::clone(&slot);
            move || slot.take(Only::Below(wait_address as *const ())).map(|job| job as usize)
        });
        let is_taken = |job, frame| {
            let ticket = put(&slot, job, frame);
            !slot.take_back(ticket)
        };
        let taken = is_taken(below.header(), &grandchild);
        for (job, frame) in unrelated.iter().zip([&root, &sibling]) {
            assert!(!is_taken(job.header(), frame), "it is not below what is waited for");
        }
        let expected = taken.then_some(ptr::from_ref(below.header()) as usize);
        assert_eq!(waiter.join().unwrap(), expected, "the job below was taken once");
    });
}

loom::thread_local! {
    /// The local jobs of the thread.
    static LOCAL_JOBS: std::cell::Cell<*const LocalJobs> = std::cell::Cell::new(ptr::null());
}

/// Calls `f` with the local jobs of the thread, which has claimed a slot of `pair`.
fn with_slot<R>(pair: &Pair, slot: usize, f: impl FnOnce(&LocalJobs) -> R) -> R {
    let local_jobs = Box::new(LocalJobs::new());
    local_jobs.pin_in_place();
    local_jobs.claim_slot(Some(slot), &pair.shared_jobs);
    LOCAL_JOBS.with(|current| current.set(&raw const *local_jobs));
    let result = f(&local_jobs);
    assert!(local_jobs.is_empty(), "the list names a job whose frame ends");
    local_jobs.release_slot(&pair.shared_jobs);
    result
}

/// Calls `join` on the local jobs of the calling thread.
fn join_here<RA, RB: Send>(
    pair: &Pair,
    a: impl FnOnce() -> RA,
    b: impl FnOnce() -> RB + Send,
) -> (RA, RB) {
    // SAFETY: they are alive while the thread is inside of `with_slot`.
    let local_jobs = LOCAL_JOBS.with(|current| unsafe { &*current.get() });
    join(local_jobs, pair, a, b)
}

/// Starts a thread with a slot of its own, which looks for a job so many times, and further while there are any.
fn thief_with_slot(pair: &Arc<Pair>, looks: usize) -> thread::JoinHandle<()> {
    let pair = Arc::clone(pair);
    thread::spawn(move || {
        with_slot(&pair, 1, |local_jobs| {
            let (mut left, mut search) = (looks, SlotSearch::default());
            while left > 0 || pair.shared_jobs.has_jobs() {
                left = left.saturating_sub(1);
                if let Some(stolen) = pair.shared_jobs.take(Look::Full, &mut search, 1) {
                    local_jobs.run(stolen, &*pair);
                }
            }
        });
    })
}

#[test]
fn loom_fork_slot_another_job_after_one_was_taken() {
    model(Some(2), || {
        let pair = pair(false);
        let thief = thief_with_slot(&pair, 2);
        let leaves = [Tracked::new(), Tracked::new(), Tracked::new()];
        let sums = with_slot(&pair, 0, |local_jobs| {
            local_jobs.frame().within(&Frame::root(None), || {
                let inner = || join_here(&pair, || leaves[0].bump(), || leaves[1].bump());
                join(local_jobs, &*pair, inner, || leaves[2].bump())
            })
        });
        assert_eq!(sums, ((1, 1), 1));
        assert!(leaves.iter().all(|leaf| leaf.bump() == 2));
        thief.join().unwrap();
    });
}

#[test]
fn loom_fork_slot_a_wait_runs_descendants() {
    static BY_OWNER: Count = Count::new(0);
    loom::thread_local! {
        static IS_OWNER: std::cell::Cell<bool> = std::cell::Cell::new(false);
    }
    let is_owner = || IS_OWNER.with(std::cell::Cell::get);
    model(Some(2), move || {
        let pair = pair(false);
        let thief = thief_with_slot(&pair, 1);
        let leaves = [Tracked::new(), Tracked::new()];
        IS_OWNER.with(|owner| owner.set(true));
        let sums = with_slot(&pair, 0, |local_jobs| {
            local_jobs.frame().within(&Frame::root(None), || {
                let stolen = || {
                    let second = || {
                        let by_owner = is_owner();
                        (by_owner, leaves[1].bump())
                    };
                    let (first, (by_owner, second)) = join_here(&pair, || leaves[0].bump(), second);
                    if by_owner && !is_owner() {
                        BY_OWNER.fetch_add(1, Relaxed);
                    }
                    (first, second)
                };
                join(local_jobs, &*pair, || (), stolen)
            })
        });
        assert_eq!(sums, ((), (1, 1)));
        assert!(leaves.iter().all(|leaf| leaf.bump() == 2));
        thief.join().unwrap();
    });
    assert!(BY_OWNER.load(Relaxed) > 0, "the owner never took a part of what it waited for");
}

#[test]
fn loom_fork_slot_its_next_owner_sees_the_tickets_of_the_last() {
    model(None, || {
        let slot = Arc::new(JobSlot::new());
        let use_slot = |slot: &JobSlot| {
            let frame = Frame::root(None);
            let job = StackJob::new(&raw const frame, || 1);
            slot.claim().then(|| {
                let ticket = put(slot, job.header(), &frame);
                assert!(slot.take_back(ticket), "no thief is there");
                slot.release();
                ticket
            })
        };
        let other = thread::spawn({
            let slot = Arc::clone(&slot);
            move || use_slot(&slot)
        });
        let mine = use_slot(&slot);
        let other = other.join().unwrap();
        assert!(mine.is_some() || other.is_some(), "a slot that nobody has is free");
        assert!(mine != other, "no two publications have the same ticket");
    });
}

#[test]
fn loom_fork_slot_a_worker_that_falls_asleep_sees_the_job() {
    model(Some(2), || {
        let (pool, worker) = Pool::start();
        let ran = Parker::new();
        let runs = ran.unparker();
        call(&pool, false, |local_jobs| {
            local_jobs.claim_slot(Some(0), &pool.shared_jobs);
            // The first closure waits for the second, so only the worker can run that.
            join(local_jobs, &*pool, || ran.park(), || runs.unpark());
            local_jobs.release_slot(&pool.shared_jobs);
        });
        pool.stop();
        worker.join().unwrap();
    });
}

#[test]
fn loom_fork_slot_an_owner_that_sleeps_against_the_thief() {
    // A job by itself that was put into the slot and taken from there, so that all interleavings can be checked.
    model(None, || sleep_against_the_thief(false));
    model(None, || sleep_against_the_thief(true));
}

fn sleep_against_the_thief(wakes_early: bool) {
    let frame = Frame::root(None);
    let second = Box::new(StackJob::new(&raw const frame, || 1));
    let header = second.header();
    header.put_in_slot();
    let thief = thread::spawn({
        let job = Sent(&raw const *header);
        move || {
            let job = job;
            // SAFETY: the owner waits for the end of the job.
            unsafe { &*job.0 }.taken_from_slot();
            let local_jobs = Box::new(LocalJobs::new());
            local_jobs.pin_in_place();
            // SAFETY: the job was taken for this thread.
            unsafe { JobHeader::run(job.0, local_jobs.frame()) };
        }
    });
    if wakes_early {
        let parker = Parker::new();
        header.set_waker(parker.unparker());
        header.clear_waker();
    }
    if !header.is_done() {
        park_until_set(header);
    }
    header.retire();
    // SAFETY: the job is done.
    assert_eq!(unsafe { second.take_result() }.unwrap(), 1);
    thief.join().unwrap();
}
