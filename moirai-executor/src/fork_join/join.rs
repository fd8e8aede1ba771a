//! `join`: it pushes the second closure as a job, publishes jobs that idle workers want, and takes its job back (rules 1 to 5 of
//! the [module](super)).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use super::frame::CurrentFrame;
use super::host::{Host, Invitation};
use super::local_jobs::LocalJobs;
use super::stack_job::{JobHeader, StackJob};
use super::wait::wait_until_done;
use crate::panics::{AbortOnUnwind, spans};

/// Calls both closures, perhaps in parallel, and returns both results. The thread must be inside of fork-join work.
#[inline]
pub(crate) fn join<A, B, RA, RB>(local_jobs: &LocalJobs, host: &impl Host, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    if local_jobs.frame().is_stopping() {
        return local_jobs.frame().run_despite_cancel(|| join(local_jobs, host, a, b));
    }
    if host.inherits_spans() {
        return join_in_span(local_jobs, host, a, b);
    }
    join_as_is(local_jobs, host, a, b)
}

/// Calls both closures inside of the current span, on whatever thread they run.
#[cold]
#[inline(never)]
fn join_in_span<A, B, RA, RB>(local_jobs: &LocalJobs, host: &impl Host, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    spans::lend(spans::current(), |span| join_as_is(local_jobs, host, a, || spans::within(span, b)))
}

/// Calls both closures, each in the span that its thread is in.
#[inline]
fn join_as_is<A, B, RA, RB>(local_jobs: &LocalJobs, host: &impl Host, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    let job = StackJob::new(local_jobs.frame().get(), b);
    let header = job.header();
    let guard = AbortOnUnwind;
    // SAFETY: `recover` removes the job below, and the guard sees to it that nothing unwinds before (rule 4). The pointer is made
    // from the whole job, and not from its header, because the thread that runs it needs the rest as well.
    unsafe { local_jobs.push((&raw const job).cast()) };
    if local_jobs.has_too_few_public()
        || (!local_jobs.has_slot() && host.shared_jobs().wants_jobs())
    {
        publish(local_jobs, host);
    }
    let first = catch_unwind(AssertUnwindSafe(a));
    let back = recover(local_jobs, host, header);
    guard.disarm();
    match first {
        Ok(ra) if back => {
            // SAFETY: the job is the owner's again, and was not run.
            let b = unsafe { job.take_closure() };
            (ra, b())
        }
        first => finish_slow(local_jobs.frame(), first, &job, back),
    }
}

/// Ends a `join` in the rare cases: the second closure ran elsewhere, or the first has panicked.
#[cold]
fn finish_slow<B, RA, RB>(
    at: &CurrentFrame,
    first: thread::Result<RA>,
    job: &StackJob<B, RB>,
    back: bool,
) -> (RA, RB)
where
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    let result = if back {
        // SAFETY: the job is the owner's again, and was not run.
        let b = unsafe { job.take_closure() };
        catch_unwind(AssertUnwindSafe(b))
    } else {
        // SAFETY: `recover` has seen that the job is done, and this is the only place that takes its result.
        unsafe { job.take_result() }
    };
    match (first, result) {
        (Ok(ra), Ok(rb)) => (ra, rb),
        (Ok(ra), Err(payload)) => {
            at.drop_left(ra);
            resume_unwind(payload)
        }
        (Err(payload), rest) => {
            at.drop_left(rest);
            resume_unwind(payload)
        }
    }
}

/// Removes the newest job from the list. Returns `true` if the caller must run it, and `false` if another thread has run it.
#[inline]
fn recover(local_jobs: &LocalJobs, host: &impl Host, job: &JobHeader) -> bool {
    debug_assert!(ptr::eq(local_jobs.newest(), job), "jobs are taken back in reverse order");
    if job.is_private() {
        local_jobs.remove_private(job);
        return true;
    }
    recover_public(local_jobs, host, job)
}

#[cold]
#[inline(never)]
fn recover_public(local_jobs: &LocalJobs, host: &impl Host, job: &JobHeader) -> bool {
    match local_jobs.take_back_from_slot(job, host) {
        Some(true) => {
            local_jobs.remove_public(job);
            #[cfg(moirai_loom)]
            job.retire();
            true
        }
        Some(false) => wait_for_thief(local_jobs, host, job),
        None => recover_listed(local_jobs, host, job),
    }
}

#[inline(never)]
fn recover_listed(local_jobs: &LocalJobs, host: &impl Host, job: &JobHeader) -> bool {
    if !host.shared_jobs().take_back(job, host.idle()) {
        return wait_for_thief(local_jobs, host, job);
    }
    local_jobs.remove_public(job);
    #[cfg(moirai_loom)]
    job.retire();
    true
}

/// Waits until the thief of the newest job has run it, and removes it from the list. Returns `false`.
#[cold]
#[inline(never)]
fn wait_for_thief(local_jobs: &LocalJobs, host: &impl Host, job: &JobHeader) -> bool {
    let (now, long) = host.ticks();
    local_jobs.begin(now, long);
    wait_until_done(local_jobs, host, job);
    local_jobs.remove_public(job);
    #[cfg(moirai_loom)]
    job.retire();
    false
}

/// Publishes the thread's outermost job in its slot (rule 13), or others by the lock.
#[cold]
#[inline(never)]
fn publish(local_jobs: &LocalJobs, host: &impl Host) {
    if local_jobs.put_in_slot(host) {
        host.invite(Invitation::IfFree);
    } else {
        publish_in_list(local_jobs, host);
    }
}

/// Publishes private jobs, oldest first, until the shared jobs have enough (rule 5).
#[cold]
#[inline(never)]
fn publish_in_list(local_jobs: &LocalJobs, host: &impl Host) {
    let at_least = usize::from(local_jobs.has_too_few_public());
    local_jobs.spend_extra();
    let published =
        host.shared_jobs().publish(host.idle(), at_least, || local_jobs.oldest_private_is_public());
    if host.simulated_choice(2) == Some(1) {
        // Runs the second closure first, as if a thief had come at once. That is safe here: nothing of the first has run, and
        // the caller waits for both.
        // SAFETY: the newest job is in the calling frame.
        let newest = unsafe { &*local_jobs.newest() };
        if let Some(stolen) = host.shared_jobs().take_job(newest, host.idle()) {
            local_jobs.run(stolen, host);
        }
    } else if published {
        host.invite(Invitation::IfFree);
    }
}
