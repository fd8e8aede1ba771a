//! Threads that are started when there is a job for them, and end when there has been none for a while.
//!
//! One type serves twice: the jobs of the blocking pool are blocking tasks, and those of the spare threads are the cores of workers
//! that are about to block. One lock protects everything, because neither is a hot path. The race between a core's former holder,
//! which wants it back, and a spare thread, which is about to take it, is decided by which of the two finds it in the queue.
//!
//! A job waits in the queue only for a thread that is on its way to it, or while as many threads as the limit allows are busy: jobs
//! may wait for each other. A thread that was notified of one job still counts as idle until it has the lock, so an idle thread is
//! relied on only if there are more of them than queued jobs.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use moirai_core::ThreadPoolStats;
use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard, lock_patiently};

use crate::panics::log;

#[cfg(all(test, moirai_loom))]
mod loom;

/// Why a job was not accepted.
#[derive(Debug)]
pub(crate) enum Refused<J> {
    /// Every thread is busy, and the queue is full.
    Full(J),
    /// The pool is closed.
    Closed(J),
    /// There is no thread for the job, and none can be started.
    NoThread(J),
}

impl Refused<()> {
    fn of<J>(self, job: J) -> Refused<J> {
        match self {
            Self::Full(()) => Refused::Full(job),
            Self::Closed(()) => Refused::Closed(job),
            Self::NoThread(()) => Refused::NoThread(job),
        }
    }
}

/// How long a thread that should end waits at a time for jobs for which places are reserved.
const SOON: Duration = Duration::from_millis(10);

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
    queue: VecDeque<J>,
    /// Places that were reserved for jobs that are about to be queued.
    reserved: usize,
    threads: usize,
    /// Threads that `next` has told to end, and that have not called [`ended`](ThreadPool::ended) yet.
    ending: usize,
    /// Whether a thread could not be started for a job that waits for another one now.
    thread_missing: bool,
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
                reserved: 0,
                threads: 0,
                ending: 0,
                thread_missing: false,
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
        match self.reserve(start) {
            Ok(_) => self.submit_reserved(job).map_err(Refused::Closed),
            Err(refused) => Err(refused.of(job)),
        }
    }

    /// Reserves a place for a job, and starts a thread for it as [`submit`](Self::submit) does. The caller must call
    /// [`submit_reserved`](Self::submit_reserved) or [`give_up_reservation`](Self::give_up_reservation) soon.
    ///
    /// If no thread can be started, the job is refused, unless it may wait for another thread. Then the result is `true`: the caller
    /// must see to it that [`start_missing`](Self::start_missing) is called.
    pub(crate) fn reserve(
        &self,
        start: impl FnOnce(usize) -> io::Result<()>,
    ) -> Result<bool, Refused<()>> {
        let mut state = lock_patiently(&self.state);
        if state.closed && self.limits.queue > 0 {
            return Err(Refused::Closed(()));
        }
        let jobs = state.queue.len() + state.reserved;
        // Every job either has an idle thread that is notified of it, or waits for a busy one.
        if state.idle > jobs {
            state.reserved += 1;
            return Ok(false);
        }
        if self.is_full(&state) {
            if jobs - state.idle >= self.limits.queue {
                return Err(Refused::Full(()));
            }
            state.reserved += 1;
            return Ok(false);
        }
        state.reserved += 1;
        let thread = state.add_thread();
        drop(state);
        let Err(error) = start(thread) else { return Ok(false) };
        if self.not_started(&error) {
            return Ok(true);
        }
        self.give_up_reservation();
        Err(Refused::NoThread(()))
    }

    /// Queues a job for which a place was reserved. It comes back if the pool has been closed meanwhile.
    pub(crate) fn submit_reserved(&self, job: J) -> Result<(), J> {
        let mut state = lock_patiently(&self.state);
        state.reserved -= 1;
        if state.closed && self.limits.queue > 0 {
            drop(state);
            // A thread may have waited for this job before it ends.
            self.work.notify_all();
            return Err(job);
        }
        state.queue.push_back(job);
        self.work.notify_one();
        Ok(())
    }

    /// Gives up a place that was reserved.
    pub(crate) fn give_up_reservation(&self) {
        lock_patiently(&self.state).reserved -= 1;
        // A thread may have waited for the job before it ends.
        self.work.notify_all();
    }

    /// Returns whether no further thread may be started. Of the threads whose jobs wait, as many as the limit do not count.
    fn is_full(&self, state: &PoolState<J>) -> bool {
        state.threads - state.waiting.min(self.limits.threads) >= self.limits.threads
    }

    /// Counts a thread if there are more jobs than idle threads and the limit allows it. Returns its number; the caller starts it.
    fn thread_for_waiting(&self, state: &mut PoolState<J>) -> Option<usize> {
        let enough = state.closed || state.queue.len() <= state.idle || self.is_full(state);
        (!enough).then(|| state.add_thread())
    }

    /// Notes that the job of the calling thread waits, perhaps for one that is queued: until [`goes_on`](Self::goes_on) is called, the
    /// thread does not count against the limit. If there are more jobs than idle threads, a thread is started for one, as by
    /// [`submit`](Self::submit). Returns whether one could not be started, as [`reserve`](Self::reserve) does.
    pub(crate) fn waits(&self, start: impl FnOnce(usize) -> io::Result<()>) -> bool {
        let thread = {
            let mut state = lock_patiently(&self.state);
            state.waiting += 1;
            let Some(thread) = self.thread_for_waiting(&mut state) else {
                return false;
            };
            thread
        };
        start(thread).is_err_and(|error| self.not_started(&error))
    }

    /// Notes that the job of the calling thread no longer waits.
    pub(crate) fn goes_on(&self) {
        lock_patiently(&self.state).waiting -= 1;
    }

    /// Handles a thread that was counted and could not be started. Returns whether its job may wait for another thread; then it is
    /// noted that one is missing.
    fn not_started(&self, error: &io::Error) -> bool {
        let (threads, waits) = {
            let mut state = lock_patiently(&self.state);
            self.thread_ended(&mut state);
            let waits = state.threads > 0 && self.limits.queue > 0;
            state.thread_missing |= waits;
            (state.threads, waits)
        };
        log!(warn, %error, threads, "a thread could not be started");
        waits
    }

    /// Returns whether a thread could not be started, so that a job may wait although the limit allows for another thread.
    pub(crate) fn is_thread_missing(&self) -> bool {
        lock_patiently(&self.state).thread_missing
    }

    /// Tries again to start a thread for a job that waits because one is missing.
    pub(crate) fn start_missing(&self, start: impl FnOnce(usize) -> io::Result<()>) {
        let thread = {
            let mut state = lock_patiently(&self.state);
            if !state.thread_missing {
                return;
            }
            let Some(thread) = self.thread_for_waiting(&mut state) else {
                state.thread_missing = false;
                return;
            };
            thread
        };
        // If there is one now, another may still be missing: the next call finds out. A failure is not logged again, because there may
        // be many in a row.
        if start(thread).is_err() {
            self.thread_ended(&mut lock_patiently(&self.state));
        }
    }

    /// Waits for the next job for the calling thread. On `None` the thread must end. It does not count against the limit any more, and
    /// must call [`ended`](Self::ended) when nobody has to wait for it any more.
    pub(crate) fn next(&self) -> Option<J> {
        let mut state = lock_patiently(&self.state);
        let deadline = Instant::now().checked_add(self.limits.keep_alive);
        loop {
            // There may be too many threads now, because one whose job waited has gone on. Those take the jobs that are left.
            let others = state.threads - 1 - state.waiting.min(self.limits.threads);
            if others >= self.limits.threads && self.limits.queue > 0 {
                state.end_thread();
                if !state.queue.is_empty() {
                    // This thread may be the one that was notified of a job, and another one may be idle.
                    self.work.notify_one();
                }
                return None;
            }
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_over = state.closed || left.is_some_and(|left| left.is_zero());
            if is_over && state.reserved == 0 {
                state.end_thread();
                return None;
            }
            state.idle += 1;
            // A thread whose time is over waits for a job that is about to be queued. Another thread may be notified of it, so this
            // one looks again soon.
            match if is_over { Some(SOON) } else { left } {
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
        let mut state = lock_patiently(&self.state);
        let place = state.queue.iter().position(is_it)?;
        state.queue.remove(place)
    }

    /// Takes all queued jobs.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = J> + use<J> {
        std::mem::take(&mut lock_patiently(&self.state).queue).into_iter()
    }

    /// Returns the number of threads, and of what they have to do.
    pub(crate) fn stats(&self) -> ThreadPoolStats {
        let state = lock_patiently(&self.state);
        ThreadPoolStats::new(state.threads, state.idle, state.queue.len(), self.limits.threads)
    }

    /// Calls `f` with each job that waits for a thread. The lock is held meanwhile.
    pub(crate) fn each_queued(&self, f: impl FnMut(&J)) {
        lock_patiently(&self.state).queue.iter().for_each(f);
    }

    /// Counts a thread that is about to be started by other means than `submit`.
    pub(crate) fn add_thread(&self) {
        lock_patiently(&self.state).threads += 1;
    }

    /// Uncounts a thread that was counted but could not be started.
    pub(crate) fn remove_thread(&self) {
        let mut state = lock_patiently(&self.state);
        self.thread_ended(&mut state);
    }

    /// Notes that the calling thread, which [`next`](Self::next) has told to end, has nothing left to do.
    pub(crate) fn ended(&self) {
        lock_patiently(&self.state).ending -= 1;
        self.ended.notify_all();
    }

    fn thread_ended(&self, state: &mut MutexGuard<'_, PoolState<J>>) {
        state.threads -= 1;
        self.ended.notify_all();
    }

    /// Closes the pool. It accepts no more jobs, unless its queue limit is zero. Its threads run what is queued, and end.
    pub(crate) fn close(&self) {
        lock_patiently(&self.state).closed = true;
        self.work.notify_all();
    }

    /// Waits until every thread has ended, or until the deadline. Returns whether all have.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        let mut state = lock_patiently(&self.state);
        while state.threads + state.ending > 0 {
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

    /// Counts a thread as one that is about to end.
    fn end_thread(&mut self) {
        self.threads -= 1;
        self.ending += 1;
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
            assert!(pool.submit(2, |_| Ok(())).is_ok());
            no_thread(0)
        });
        assert!(matches!(first, Err(Refused::NoThread(1))));
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
        assert!(matches!(pool.submit(4, no_thread), Err(Refused::Closed(4))));
    }

    #[test]
    fn without_any_thread_a_job_is_refused() {
        let pool = pool(4, 9);
        assert!(matches!(pool.submit(1, no_thread), Err(Refused::NoThread(1))));
        assert!(pool.take_back(|_| true).is_none());
        assert!(pool.submit(2, |_| Ok(())).is_ok());
    }

    #[test]
    fn a_thread_that_is_missing_is_started_later() {
        let pool = pool(4, 9);
        pool.submit(1, |_| Ok(())).unwrap();
        assert_eq!(pool.next(), Some(1));
        // The first thread is busy, and may be for ever.
        pool.submit(2, no_thread).unwrap();
        assert!(pool.is_thread_missing());
        pool.start_missing(no_thread);
        assert!(pool.is_thread_missing());
        let mut started = 0;
        pool.start_missing(|_| {
            started += 1;
            Ok(())
        });
        assert_eq!((started, pool.next()), (1, Some(2)), "a thread for the second job");
        pool.start_missing(|_| unreachable!("no job waits"));
        assert!(!pool.is_thread_missing());
    }

    #[test]
    fn a_thread_does_not_end_before_the_job_for_which_it_was_started() {
        let pool = pool(2, 1);
        pool.reserve(|_| Ok(())).unwrap();
        pool.add_thread();
        std::thread::scope(|scope| {
            // Their keep-alive time is zero.
            let threads = [(); 2].map(|()| scope.spawn(|| pool.next()));
            while pool.state.lock().idle < 2 {
                std::thread::yield_now();
            }
            pool.submit_reserved(1).unwrap();
            let mut jobs = threads.map(|thread| thread.join().unwrap());
            jobs.sort();
            assert_eq!(jobs, [None, Some(1)], "one runs the job, and the other ends");
        });
        pool.reserve(no_thread).unwrap();
        pool.give_up_reservation();
        assert_eq!(pool.next(), None);
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
        assert!(!pool.wait_ended(Some(Instant::now())), "it has not said that it has ended");
        pool.ended();
        assert!(pool.wait_ended(None));
    }
}
