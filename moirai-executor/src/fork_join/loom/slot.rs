//! Models of the slots (rule 13).

use std::ptr;

use super::super::job_slot::JobSlot;
use super::*;

#[test]
fn loom_fork_slot_put_against_take_back() {
    model(Some(3), || take_back_against_a_thief(&pair(true), true));
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
            move || slot.take(None).map(|job| job as usize)
        });
        let taken = jobs.each_ref().map(|job| {
            let ticket = slot.put(job.header(), None);
            !slot.take_back(ticket)
        });
        let thief = thief.join().unwrap();
        let addresses = jobs.each_ref().map(|job| ptr::from_ref(job.header()) as usize);
        let expected = addresses.into_iter().zip(taken).find_map(|(job, was)| was.then_some(job));
        assert_eq!(thief, expected, "the thief has the job that the owner lost");
    });
}

#[test]
fn loom_fork_slot_its_next_owner_sees_the_tickets_of_the_last() {
    model(None, || {
        let slot = Arc::new(JobSlot::new());
        let use_slot = |slot: &JobSlot| {
            let frame = Frame::root(None);
            let job = StackJob::new(&raw const frame, || 1);
            slot.claim().then(|| {
                let ticket = slot.put(job.header(), None);
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
            local_jobs.claim_slot(0, &pool.shared_jobs);
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
