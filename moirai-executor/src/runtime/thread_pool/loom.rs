//! Models of the thread pool.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::shim::thread;
use moirai_sync::{Parker, Unparker};

/// A core that counts how often it was used; loom reports two threads that use it at once.
struct WorkerCore(moirai_core::shim::cell::UnsafeCell<usize>);

impl WorkerCore {
    fn run(&mut self) {
        // SAFETY: `&mut self`.
        self.0.with_mut(|uses| unsafe { *uses += 1 });
    }
}

type Cores = Arc<ThreadPool<WorkerCore>>;

fn pool(threads: usize) -> Cores {
    let keep_alive = Duration::MAX;
    Arc::new(ThreadPool::new(PoolLimits { threads, queue: 0, keep_alive }))
}

/// Hands a core off, and takes it back if that is still possible. Returns whether it was handed off, and whether it came back.
fn hand_off_core(pool: &Cores, served: &Arc<AtomicUsize>, threads: &Threads) -> (bool, bool) {
    let compensation = (Arc::clone(pool), Arc::clone(served));
    let given = pool.submit(WorkerCore(Default::default()), |_| {
        threads.lock().push(thread::spawn(move || {
            let (pool, served) = compensation;
            while let Some(mut core) = pool.next() {
                core.run();
                served.fetch_add(1, Ordering::Relaxed);
            }
            pool.ended();
        }));
        Ok(())
    });
    let back = pool.take_back(|_| true).map(|mut core| core.run());
    (given.is_ok(), back.is_some())
}

type Threads = Arc<Mutex<Vec<thread::JoinHandle<()>>>>;

fn end<J>(pool: &ThreadPool<J>, threads: &Threads) {
    pool.close();
    let threads = std::mem::take(&mut *threads.lock());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(pool.wait_ended(None));
}

#[test]
fn loom_core_handed_off_against_its_owners_return() {
    ::loom::model(|| {
        let (pool, served, threads) = (pool(1), Arc::default(), Arc::default());
        let (given, back) = hand_off_core(&pool, &served, &threads);
        end(&pool, &threads);
        assert!(given);
        // Exactly one of the two has used it.
        assert_eq!(served.load(Ordering::Relaxed) + usize::from(back), 1);
    });
}

#[test]
fn loom_every_core_that_is_given_is_served_or_comes_back() {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let (pool, served, threads): (_, Arc<AtomicUsize>, Threads) =
            (pool(1), Arc::default(), Arc::default());
        let other = thread::spawn({
            let (pool, served, threads) =
                (Arc::clone(&pool), Arc::clone(&served), Arc::clone(&threads));
            move || hand_off_core(&pool, &served, &threads)
        });
        let mine = hand_off_core(&pool, &served, &threads);
        let others = other.join().unwrap();
        end(&pool, &threads);
        let given = usize::from(mine.0) + usize::from(others.0);
        let back = usize::from(mine.1) + usize::from(others.1);
        assert_eq!(served.load(Ordering::Relaxed) + back, given);
    });
}

/// A pool of two threads and up to two more, with the number of jobs that its threads have run.
struct Jobs {
    pool: ThreadPool<()>,
    run: AtomicUsize,
    threads: Threads,
    /// The unparker of the model's main thread.
    done: Unparker,
}

/// Starts a thread that runs jobs.
fn start(jobs: &Arc<Jobs>) -> io::Result<()> {
    let running = Arc::clone(jobs);
    jobs.threads.lock().push(thread::spawn(move || {
        while running.pool.next().is_some() {
            running.run.fetch_add(1, Ordering::Relaxed);
            running.done.unpark();
        }
        running.pool.ended();
    }));
    Ok(())
}

#[test]
fn loom_a_job_is_run_although_threads_wait_and_go_on() {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let parker = Parker::new();
        let limits = PoolLimits { threads: 2, queue: 9, keep_alive: Duration::MAX };
        let jobs = Arc::new(Jobs {
            pool: ThreadPool::new(limits),
            run: AtomicUsize::new(0),
            threads: Arc::default(),
            done: parker.unparker(),
        });
        let pool = &jobs.pool;
        let until_run = |count| {
            while jobs.run.load(Ordering::Relaxed) < count {
                parker.park();
            }
        };
        // The main thread plays two threads of the pool, which have a job each.
        for _ in 0..2 {
            pool.submit((), |_| Ok(())).unwrap();
            pool.next().unwrap();
        }
        // Both wait for further jobs, for which threads are started.
        for count in 1..=2 {
            pool.submit((), |_| Ok(())).unwrap();
            pool.waits(|_| start(&jobs));
            until_run(count);
        }
        // They go on, so that there are two threads too many, which may be idle. One of them then looks for a job, and the other is
        // busy for ever.
        pool.goes_on();
        pool.goes_on();
        pool.submit((), |_| Ok(())).unwrap();
        if pool.next().is_some() {
            pool.remove_thread();
        } else {
            pool.ended();
            until_run(3);
        }
        pool.remove_thread();
        pool.close();
        let threads = std::mem::take(&mut *jobs.threads.lock());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(pool.wait_ended(None));
    });
}

type Closure = Box<dyn FnOnce() + Send>;

/// Submits a job to a pool whose threads run closures.
fn submit(pool: &Arc<ThreadPool<Closure>>, threads: &Threads, job: impl FnOnce() + Send + 'static) {
    let start = |_| {
        let pool = Arc::clone(pool);
        threads.lock().push(thread::spawn(move || {
            while let Some(job) = pool.next() {
                job();
            }
            pool.ended();
        }));
        Ok(())
    };
    assert!(pool.submit(Box::new(job), start).is_ok());
}

#[test]
fn loom_a_job_is_run_although_the_one_before_it_blocks_an_idle_thread() {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let limits = PoolLimits { threads: 2, queue: 9, keep_alive: Duration::MAX };
        let (pool, threads) = (Arc::new(ThreadPool::new(limits)), Threads::default());
        // From here on one thread may be idle.
        submit(&pool, &threads, || {});
        // If it is, it is notified of this job, and cannot be relied on for the next.
        let parker = Parker::new();
        let unparker = parker.unparker();
        submit(&pool, &threads, move || parker.park());
        submit(&pool, &threads, move || unparker.unpark());
        end(&pool, &threads);
    });
}
