//! Models of the thread pool.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::shim::thread;

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
        }));
        Ok(())
    });
    let back = pool.take_back(|_| true).map(|mut core| core.run());
    (given.is_ok(), back.is_some())
}

type Threads = Arc<Mutex<Vec<thread::JoinHandle<()>>>>;

fn end(pool: &Cores, threads: &Threads) {
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
