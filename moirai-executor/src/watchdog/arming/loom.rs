//! Loom models of arming and disarming.

use super::*;
use moirai_core::shim::sync::atomic::AtomicUsize;
use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::shim::thread;

#[test]
fn loom_progress_disarming_against_a_worker_that_gets_busy() {
    ::loom::model(|| {
        let arming = Arc::new((Arming::new(), AtomicUsize::new(1), Mutex::new(true)));
        arming.0.arm();
        let worker = thread::spawn({
            let arming = Arc::clone(&arming);
            move || {
                let (arming, idle, armed) = &*arming;
                idle.store(0, Ordering::Relaxed);
                if arming.is_to_wake() {
                    let mut armed = armed.lock();
                    arming.arm();
                    *armed = true;
                }
            }
        });
        {
            let (arming, idle, armed) = &*arming;
            let mut armed = armed.lock();
            *armed = !arming.disarm(|| idle.load(Ordering::Relaxed) == 1);
        }
        worker.join().unwrap();
        assert!(*arming.2.lock(), "the worker is busy, and the watchdog thread sleeps");
        assert!(!arming.0.is_to_wake());
    });
}
