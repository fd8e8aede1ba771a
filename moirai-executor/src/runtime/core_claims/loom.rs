//! Models of claims on cores, with the real sleepers and the real pool of spare threads.

use std::time::Duration;

use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;
use moirai_scheduler::Sleepers;

use super::*;
use crate::runtime::thread_pool::{PoolLimits, ThreadPool};

struct Core;

struct Executor {
    claims: CoreClaims<Core>,
    sleepers: Sleepers,
    cores: ThreadPool<Core>,
}

impl Executor {
    fn new() -> Arc<Self> {
        let executor = Self {
            claims: CoreClaims::new(1),
            sleepers: Sleepers::new(1),
            cores: ThreadPool::new(PoolLimits { threads: 2, queue: 0, keep_alive: Duration::MAX }),
        };
        executor.claims.lend(0);
        Arc::new(executor)
    }

    /// Works with a core that another thread will claim, and has nothing to do.
    fn hold(&self, core: Core) {
        let look = |_| self.claims.is_claimed(0).then_some(());
        let stop = || !self.claims.is_lent(0);
        self.sleepers.next(0, look, || false, stop, || {});
        assert!(self.claims.give_back(0, core).is_ok(), "it was claimed");
    }

    fn claim(&self) {
        let notify = || self.sleepers.notify_worker(0);
        let Core = self.claims.claim(0, notify, || self.cores.take_back(|_| true));
        assert!(!self.claims.is_lent(0));
    }
}

#[test]
fn loom_a_claim_against_a_worker_that_falls_asleep() {
    ::loom::model(|| {
        let executor = Executor::new();
        let holder = {
            let executor = Arc::clone(&executor);
            thread::spawn(move || executor.hold(Core))
        };
        executor.claim();
        holder.join().unwrap();
    });
}

#[test]
fn loom_a_claim_against_a_core_that_is_handed_off_again() {
    ::loom::model(|| {
        let executor = Executor::new();
        executor.cores.add_thread();
        let spare = {
            let executor = Arc::clone(&executor);
            thread::spawn(move || {
                if let Some(core) = executor.cores.next() {
                    executor.hold(core);
                }
            })
        };
        let holder = {
            let executor = Arc::clone(&executor);
            thread::spawn(move || {
                let core = match executor.claims.is_claimed(0) {
                    true => executor.claims.give_back(0, Core).err(),
                    false => Some(Core),
                };
                if let Some(core) = core {
                    let submitted = executor.cores.reserve(|_| Ok(()));
                    assert!(submitted.is_ok());
                    assert!(executor.cores.submit_reserved(core).is_ok());
                }
                executor.cores.close();
            })
        };
        executor.claim();
        holder.join().unwrap();
        spare.join().unwrap();
    });
}
