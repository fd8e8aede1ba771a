//! Models of the members.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::shim::thread;

struct Count(Arc<AtomicUsize>);

impl std::task::Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn loom_group_completion_against_drop() {
    ::loom::model(|| {
        let members = Arc::new(Members::<u32, u32>::new());
        assert!(members.join(7, |_, _| true).is_none());
        let worker = thread::spawn({
            let members = Arc::clone(&members);
            move || members.end(0, |_| Some(1)).is_some()
        });
        let (left, outcomes) = members.close();
        let ended = worker.join().unwrap();
        // Either the end removed the member, or the closing did, and then there is no outcome.
        assert_eq!(left.len() + usize::from(ended), 1);
        assert_eq!(outcomes.len(), usize::from(ended));
        assert_eq!(members.join(8, |_, _| true), Some(8));
    });
}

#[test]
fn loom_group_a_waiter_learns_of_the_last_end() {
    ::loom::model(|| {
        let members = Arc::new(Members::<u32, u32>::new());
        assert!(members.join(7, |_, _| true).is_none());
        let (woken, undropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
        let worker = thread::spawn({
            let (members, undropped) = (Arc::clone(&members), Arc::clone(&undropped));
            move || {
                assert!(members.end(0, |_| None).is_some());
                undropped.store(0, Ordering::Relaxed);
                members.finish_removal();
            }
        });
        let waker = Waker::from(std::sync::Arc::new(Count(Arc::clone(&woken))));
        let polled = members.poll(&waker);
        if polled == Polled::Empty {
            assert_eq!(
                undropped.load(Ordering::Relaxed),
                0,
                "notified before the member was dropped"
            );
        }
        worker.join().unwrap();
        // A waiter that was told to wait was woken.
        assert!(polled == Polled::Empty || woken.load(Ordering::Relaxed) == 1);
        assert_eq!(members.poll(&waker), Polled::Empty);
    });
}
