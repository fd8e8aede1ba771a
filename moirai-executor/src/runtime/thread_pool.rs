//! Threads that are started when there is a job for them, and end when there has been none for a while.
//!
//! One type serves twice: the jobs of the blocking pool are blocking tasks, and those of the spare threads are the cores of workers
//! that are about to block. One lock protects everything, because neither is a hot path. The race between a core's former holder,
//! which wants it back, and a spare thread, which is about to take it, is decided by which of the two finds it in the queue.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard};

use crate::panics::log;

#[cfg(all(test, moirai_loom))]
mod loom;

/// Why a job was not accepted.
#[derive(Debug)]
pub(crate) enum Refused<J> {
    /// Every thread is busy, and the queue is full.
    Full(J),
    /// The pool is closed, or the thread that the job would wait for cannot be started.
    Never(J),
}

/// The limits of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolLimits {
    pub(crate) threads: usize,
    /// How many jobs may wait while every thread is busy. With zero, jobs are accepted also once the pool is closed; its threads
    /// then end when there are no more.
    pub(crate) queue: usize,
    pub(crate) keep_alive: Duration,
}

/// Jobs, and the threads that run them.
#[derive(Debug)]
pub(crate) struct ThreadPool<J> {
    limits: PoolLimits,
    state: Mutex<PoolState<J>>,
    /// Notified when a job is queued or the pool is closed.
    work: Condvar,
    /// Notified when a thread has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct PoolState<J> {
    /// Queued jobs, each with its number.
    queue: VecDeque<(u64, J)>,
    submitted: u64,
    threads: usize,
    /// Threads that wait in `next`.
    idle: usize,
    /// Threads whose jobs wait for other jobs; see [`waits`](ThreadPool::waits).
    waiting: usize,
    /// The number of threads started so far, which numbers their names.
    started: usize,
    closed: bool,
}

impl<J> ThreadPool<J> {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            state: Mutex::new(PoolState {
                queue: VecDeque::new(),
                submitted: 0,
                threads: 0,
                idle: 0,
                waiting: 0,
                started: 0,
                closed: false,
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Queues a job, and starts a thread for it if none is idle and the limit allows it. `start` is given the thread's number, and
    /// the thread must call [`next`](Self::next) until that returns `None`.
    pub(crate) fn submit(
        &self,
        job: J,
        start: impl FnOnce(usize) -> io::Result<()>,
    ) -> Result<(), Refused<J>> {
        let mut state = self.state.lock();
        if state.closed && self.limits.queue > 0 {
            return Err(Refused::Never(job));
        }
        // Every queued job either has an idle thread that was notified of it, or waits for a busy one.
        if state.idle > state.queue.len() {
            state.push(job);
            self.work.notify_one();
            return Ok(());
        }
        if self.is_full(&state) {
            if state.queue.len() - state.idle >= self.limits.queue {
                return Err(Refused::Full(job));
            }
            state.push(job);
            return Ok(());
        }
        let number = state.push(job);
        let thread = state.add_thread();
        drop(state);
        start(thread).or_else(|error| self.not_started(number, &error))
    }

    /// Returns whether no further thread may be started. Of the threads whose jobs wait, as many as the limit do not count.
    fn is_full(&self, state: &PoolState<J>) -> bool {
        state.threads - state.waiting.min(self.limits.threads) >= self.limits.threads
    }

    /// Notes that the job of the calling thread waits, perhaps for one that is queued: until [`goes_on`](Self::goes_on) is called, the
    /// thread does not count against the limit. If there are more jobs than idle threads, a thread is started for one, as by
    /// [`submit`](Self::submit).
    pub(crate) fn waits(&self, start: impl FnOnce(usize) -> io::Result<()>) {
        let thread = {
            let mut state = self.state.lock();
            state.waiting += 1;
            if state.closed || state.queue.len() <= state.idle || self.is_full(&state) {
                return;
            }
            state.add_thread()
        };
        if let Err(error) = start(thread) {
            let threads = {
                let mut state = self.state.lock();
                self.thread_ended(&mut state);
                state.threads
            };
            log!(warn, %error, threads, "a thread could not be started");
        }
    }

    /// Notes that the job of the calling thread no longer waits.
    pub(crate) fn goes_on(&self) {
        self.state.lock().waiting -= 1;
    }

    /// Handles a job whose thread could not be started.
    fn not_started(&self, number: u64, error: &io::Error) -> Result<(), Refused<J>> {
        let (job, threads) = {
            let mut state = self.state.lock();
            self.thread_ended(&mut state);
            // A job that may wait is left to the other threads. If it is gone already, one of them has taken it.
            let leave = self.limits.queue > 0 && state.threads > 0;
            let place = state.queue.iter().position(|(other, _)| *other == number);
            let job = place.filter(|_| !leave).and_then(|place| state.queue.remove(place));
            (job, state.threads)
        };
        log!(warn, %error, threads, "a thread could not be started");
        job.map_or(Ok(()), |(_, job)| Err(Refused::Never(job)))
    }

    /// Waits for the next job for the calling thread. On `None` the thread must end, and counts as ended.
    pub(crate) fn next(&self) -> Option<J> {
        let mut state = self.state.lock();
        let deadline = Instant::now().checked_add(self.limits.keep_alive);
        loop {
            // There may be too many threads now, because one whose job waited has gone on. Those take the jobs that are left.
            let others = state.threads - 1 - state.waiting.min(self.limits.threads);
            if others >= self.limits.threads && self.limits.queue > 0 {
                self.thread_ended(&mut state);
                if !state.queue.is_empty() {
                    // This thread may be the one that was notified of a job, and another one may be idle.
                    self.work.notify_one();
                }
                return None;
            }
            if let Some((_, job)) = state.queue.pop_front() {
                return Some(job);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if state.closed || left.is_some_and(|left| left.is_zero()) {
                self.thread_ended(&mut state);
                return None;
            }
            state.idle += 1;
            match left {
                Some(left) => {
                    let _ = self.work.wait_for(&mut state, left);
                }
                None => self.work.wait(&mut state),
            }
            state.idle -= 1;
        }
    }

    /// Takes back the first queued job for which `is_it` returns `true`, if no thread has taken it yet.
    pub(crate) fn take_back(&self, is_it: impl Fn(&J) -> bool) -> Option<J> {
        let mut state = self.state.lock();
        let place = state.queue.iter().position(|(_, job)| is_it(job))?;
        state.queue.remove(place).map(|(_, job)| job)
    }

    /// Takes all queued jobs.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = J> + use<J> {
        let queue = std::mem::take(&mut self.state.lock().queue);
        queue.into_iter().map(|(_, job)| job)
    }

    /// Counts a thread that is about to be started by other means than `submit`.
    pub(crate) fn add_thread(&self) {
        self.state.lock().threads += 1;
    }

    /// Uncounts a thread that was counted but could not be started.
    pub(crate) fn remove_thread(&self) {
        let mut state = self.state.lock();
        self.thread_ended(&mut state);
    }

    fn thread_ended(&self, state: &mut MutexGuard<'_, PoolState<J>>) {
        state.threads -= 1;
        self.ended.notify_all();
    }

    /// Closes the pool. It accepts no more jobs, unless its queue limit is zero. Its threads run what is queued, and end.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
    }

    /// Waits until every thread has ended, or until the deadline. Returns whether all have.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.threads > 0 {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let _ = self.ended.wait_for(&mut state, left);
                }
            }
        }
        true
    }
}

impl<J> PoolState<J> {
    /// Counts a thread that the caller is about to start, and returns its number.
    fn add_thread(&mut self) -> usize {
        self.threads += 1;
        self.started += 1;
        self.started
    }

    fn push(&mut self, job: J) -> u64 {
        self.submitted += 1;
        self.queue.push_back((self.submitted, job));
        self.submitted
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    fn pool(threads: usize, queue: usize) -> ThreadPool<u32> {
        ThreadPool::new(PoolLimits { threads, queue, keep_alive: Duration::ZERO })
    }

    fn no_thread(_: usize) -> io::Result<()> {
        Err(io::Error::other("no thread"))
    }

    #[test]
    fn a_job_without_a_thread_comes_back_and_no_other_does() {
        let pool = pool(4, 0);
        let first = pool.submit(1, |_| {
            // Another job is submitted while the thread for the first is being started.
            assert!(matches!(pool.submit(2, |_| Ok(())), Ok(())));
            no_thread(0)
        });
        assert!(matches!(first, Err(Refused::Never(1))));
        assert_eq!(pool.next(), Some(2));
    }

    #[test]
    fn a_full_queue_refuses() {
        let pool = pool(1, 1);
        assert!(pool.submit(1, |_| Ok(())).is_ok());
        // The thread for the first job has not come for it yet, so the job counts as waiting.
        assert!(matches!(pool.submit(2, no_thread), Err(Refused::Full(2))));
        assert_eq!(pool.next(), Some(1));
        assert!(pool.submit(3, no_thread).is_ok());
        pool.close();
        assert!(matches!(pool.submit(4, no_thread), Err(Refused::Never(4))));
    }

    #[test]
    fn a_job_is_given_a_thread_while_another_job_waits_up_to_twice_the_limit() {
        let pool = pool(1, 9);
        let started = std::cell::Cell::new(0);
        let start = |_| {
            started.set(started.get() + 1);
            Ok(())
        };
        pool.submit(1, start).unwrap();
        assert_eq!(pool.next(), Some(1));
        pool.submit(2, start).unwrap();
        assert_eq!(started.get(), 1);
        pool.waits(start);
        assert_eq!((started.get(), pool.next()), (2, Some(2)), "a thread for the second");
        pool.submit(3, start).unwrap();
        pool.waits(start);
        assert_eq!(started.get(), 2, "no more than as many again wait");
        pool.goes_on();
        pool.goes_on();
        // The first to look ends, because there is one too many; the second takes the job.
        assert_eq!((pool.next(), pool.next()), (None, Some(3)));
    }

    #[test]
    fn cores_are_taken_also_when_the_pool_is_closed() {
        let pool = pool(1, 0);
        pool.close();
        assert!(pool.submit(1, |_| Ok(())).is_ok());
        assert_eq!((pool.next(), pool.next()), (Some(1), None));
        assert!(pool.wait_ended(None));
    }
}
