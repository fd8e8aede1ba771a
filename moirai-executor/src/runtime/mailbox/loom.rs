//! Models of posts to a worker that sleeps: among the sleepers, or with its core.

use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;
use moirai_scheduler::Sleepers;

use super::*;
use crate::runtime::core_claims::CoreClaims;

/// A latch that is never set.
struct Never;

impl Latch for Never {
    fn is_set(&self) -> bool {
        false
    }

    fn set_waker(&self, _: Unparker) {}

    fn clear_waker(&self) {}
}

#[test]
fn loom_mailbox_a_post_to_a_worker_that_falls_asleep() {
    ::loom::model(|| {
        let executor = Arc::new((Mailboxes::new(1), Sleepers::new(1)));
        let worker = thread::spawn({
            let executor = Arc::clone(&executor);
            move || {
                let (mailboxes, sleepers) = &*executor;
                sleepers.next(0, |_| mailboxes.take(0), || false, || false, || {})
            }
        });
        executor.0.post(0, 7);
        executor.1.notify_worker(0);
        assert_eq!(worker.join().unwrap(), Some(7));
    });
}

#[test]
fn loom_mailbox_a_post_to_a_worker_that_waits_with_its_core() {
    ::loom::model(|| {
        let mailboxes = Arc::new(Mailboxes::new(1));
        let worker = thread::spawn({
            let mailboxes = Arc::clone(&mailboxes);
            move || {
                mailboxes.park(0, &Never, || (), || mailboxes.has_fitting(0, |post| *post == 2));
                mailboxes.take_fitting(0, |post| *post == 2)
            }
        });
        mailboxes.post(0, 1);
        mailboxes.post(0, 2);
        assert_eq!(worker.join().unwrap(), Some(2), "the post that fits");
        assert_eq!((mailboxes.take(0), mailboxes.len()), (Some(1), 0));
    });
}

#[test]
fn loom_mailbox_a_claim_of_a_core_with_which_a_worker_waits() {
    ::loom::model(|| {
        let executor = Arc::new((Mailboxes::<()>::new(1), CoreClaims::new(1)));
        executor.1.lend(0);
        let worker = thread::spawn({
            let executor = Arc::clone(&executor);
            move || {
                let (mailboxes, claims) = &*executor;
                mailboxes.park(0, &Never, || (), || claims.is_claimed(0));
                assert!(claims.give_back(0, "core").is_ok(), "it was claimed");
            }
        });
        let core = executor.1.claim(0, || executor.0.wake_waiter(0), || None);
        assert_eq!(core, "core");
        worker.join().unwrap();
    });
}
