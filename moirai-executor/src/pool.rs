//! Threads that are started when there is a job for them, and end when there was none for a while.
//!
//! One type serves twice: the jobs of the blocking pool are blocking tasks, those of the reserve pool are the seats of workers
//! that are about to block. Everything is under one lock: neither is a hot path, and the race between a seat's old owner,
//! who wants it back, and a reserve thread, who is about to take it, is settled by who finds it in the queue.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use moirai_core::shim::sync::{Condvar, Mutex, MutexGuard};

/// What `submit` does when every thread is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Queues the job; waits while the queue is full.
    Queue,
    /// Gives the job back.
    Refuse,
}

/// The limits of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) threads: usize,
    pub(crate) queue: usize,
    pub(crate) keep_alive: Duration,
}

/// Jobs, and the threads that do them.
#[derive(Debug)]
pub(crate) struct Pool<J> {
    limits: Limits,
    state: Mutex<State<J>>,
    /// A job is queued, or the pool is closed.
    work: Condvar,
    /// A job was taken from a full queue, or the pool is closed.
    room: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct State<J> {
    queue: VecDeque<J>,
    threads: usize,
    /// Threads in `next`.
    idle: usize,
    /// Callers of `submit` that wait for room.
    waiting: usize,
    /// Numbers the threads, for their names.
    started: usize,
    closed: bool,
}

impl<J> Pool<J> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                threads: 0,
                idle: 0,
                waiting: 0,
                started: 0,
                closed: false,
            }),
            work: Condvar::new(),
            room: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Whether `submit` would have to wait for room now.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state.lock();
        !state.closed && state.queue.len() >= self.limits.queue
    }

    /// Queues a job, and starts a thread for it if none is idle and the limit allows; `start` is given the thread's
    /// number, and the thread must call [`next`](Self::next) until it returns `None`.
    ///
    /// The job comes back if the pool is closed, if it was to be refused when full, or if it would wait for a thread that
    /// cannot be started.
    pub(crate) fn submit(
        &self,
        job: J,
        when_full: WhenFull,
        start: impl FnOnce(usize) -> io::Result<()>,
    ) -> Result<(), J> {
        let mut state = self.state.lock();
        while when_full == WhenFull::Queue
            && !state.closed
            && state.queue.len() >= self.limits.queue
        {
            state.waiting += 1;
            self.room.wait(&mut state);
            state.waiting -= 1;
        }
        if state.closed {
            return Err(job);
        }
        // Each queued job has an idle thread that was told of it, or waits for a busy one.
        if state.idle > state.queue.len() {
            state.queue.push_back(job);
            self.work.notify_one();
            return Ok(());
        }
        if state.threads >= self.limits.threads {
            if when_full == WhenFull::Refuse {
                return Err(job);
            }
            state.queue.push_back(job);
            return Ok(());
        }
        state.queue.push_back(job);
        state.threads += 1;
        state.started += 1;
        let number = state.started;
        drop(state);
        match start(number) {
            Ok(()) => Ok(()),
            Err(error) => self.not_started(when_full, &error),
        }
    }

    /// The thread for the newest job was not started.
    fn not_started(&self, when_full: WhenFull, error: &io::Error) -> Result<(), J> {
        let mut state = self.state.lock();
        self.thread_ended(&mut state);
        tracing::warn!(target: "moirai", %error, threads = state.threads, "a thread could not be started");
        if when_full == WhenFull::Queue && state.threads > 0 {
            // One of the others will come to it.
            return Ok(());
        }
        match state.queue.pop_back() {
            Some(job) => Err(job),
            // Somebody who became idle meanwhile has it.
            None => Ok(()),
        }
    }

    /// The next job for the calling thread. `None`: the thread is to end, and counts as ended.
    pub(crate) fn next(&self) -> Option<J> {
        let mut state = self.state.lock();
        let deadline = Instant::now().checked_add(self.limits.keep_alive);
        loop {
            if let Some(job) = state.queue.pop_front() {
                if state.waiting > 0 {
                    self.room.notify_one();
                }
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

    /// Takes back the first queued job that `is_it` recognizes, if no thread has taken it yet.
    pub(crate) fn take_back(&self, is_it: impl FnMut(&J) -> bool) -> Option<J> {
        let mut state = self.state.lock();
        let place = state.queue.iter().position(is_it)?;
        state.queue.remove(place)
    }

    /// Takes all queued jobs.
    pub(crate) fn take_all(&self) -> VecDeque<J> {
        let mut state = self.state.lock();
        self.room.notify_all();
        std::mem::take(&mut state.queue)
    }

    /// Counts a thread that is about to be started by other means than `submit`.
    pub(crate) fn adopt_thread(&self) {
        self.state.lock().threads += 1;
    }

    /// A thread that was counted has not been started.
    pub(crate) fn disown_thread(&self) {
        let mut state = self.state.lock();
        self.thread_ended(&mut state);
    }

    fn thread_ended(&self, state: &mut MutexGuard<'_, State<J>>) {
        state.threads -= 1;
        self.ended.notify_all();
    }

    /// Takes no more jobs. Threads do what is queued, and end.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Waits until every thread has ended, or the deadline. Says whether all have.
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

#[cfg(all(test, moirai_loom))]
mod loom_models {
    use super::*;
    use moirai_core::shim::sync::Arc;
    use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
    use moirai_core::shim::thread;

    /// A seat counts how often it was used; loom notices if two threads are in it at once.
    struct Seat(moirai_core::shim::cell::UnsafeCell<usize>);

    impl Seat {
        fn sit(&mut self) {
            // SAFETY: `&mut self`.
            self.0.with_mut(|uses| unsafe { *uses += 1 });
        }
    }

    type Seats = Arc<Pool<Seat>>;

    fn pool(threads: usize) -> Seats {
        let keep_alive = Duration::MAX;
        Arc::new(Pool::new(Limits { threads, queue: usize::MAX, keep_alive }))
    }

    /// Gives a seat away, takes it back if it can, and says whether it was given, and whether it came back.
    fn hand_on(pool: &Seats, served: &Arc<AtomicUsize>, threads: &Threads) -> (bool, bool) {
        let reserve = (Arc::clone(pool), Arc::clone(served));
        let given = pool.submit(Seat(Default::default()), WhenFull::Refuse, |_| {
            threads.lock().push(thread::spawn(move || {
                let (pool, served) = reserve;
                while let Some(mut seat) = pool.next() {
                    seat.sit();
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }));
            Ok(())
        });
        let back = pool.take_back(|_| true).map(|mut seat| seat.sit());
        (given.is_ok(), back.is_some())
    }

    type Threads = Arc<Mutex<Vec<thread::JoinHandle<()>>>>;

    fn end(pool: &Seats, threads: &Threads) {
        pool.close();
        let threads = std::mem::take(&mut *threads.lock());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(pool.wait_ended(None));
    }

    #[test]
    fn loom_seat_handed_on_against_its_owners_return() {
        loom::model(|| {
            let (pool, served, threads) = (pool(1), Arc::default(), Arc::default());
            let (given, back) = hand_on(&pool, &served, &threads);
            end(&pool, &threads);
            assert!(given);
            // Exactly one of the two sits in it.
            assert_eq!(served.load(Ordering::Relaxed) + usize::from(back), 1);
        });
    }

    #[test]
    fn loom_every_seat_that_is_given_is_served_or_comes_back() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| {
            let (pool, served, threads): (_, Arc<AtomicUsize>, Threads) =
                (pool(1), Arc::default(), Arc::default());
            let other = thread::spawn({
                let (pool, served, threads) =
                    (Arc::clone(&pool), Arc::clone(&served), Arc::clone(&threads));
                move || hand_on(&pool, &served, &threads)
            });
            let mine = hand_on(&pool, &served, &threads);
            let others = other.join().unwrap();
            end(&pool, &threads);
            let given = usize::from(mine.0) + usize::from(others.0);
            let back = usize::from(mine.1) + usize::from(others.1);
            assert_eq!(served.load(Ordering::Relaxed) + back, given);
        });
    }
}
