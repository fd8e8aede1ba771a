use crate::oneshot::{Closed, channel};
use crate::tests::{Work, explore, poll};
use loom::thread;
use moirai_core::shim::sync::Arc;
use std::task::Poll;
use std::time::Duration;

#[test]
fn a_value_that_is_sent_arrives() {
    explore(|| {
        let (sender, receiver) = channel();
        let work = Work::new();
        let sending = thread::spawn({
            let work = work.clone();
            move || {
                work.done();
                sender.send(1).unwrap();
            }
        });
        assert_eq!(receiver.recv_blocking(), Ok(1));
        assert!(work.is_done());
        sending.join().unwrap();
    });
}

#[test]
fn a_sender_that_is_dropped_wakes_the_receiver() {
    explore(|| {
        let (sender, receiver) = channel::<u8>();
        let dropping = thread::spawn(move || drop(sender));
        assert_eq!(receiver.recv_blocking(), Err(Closed));
        dropping.join().unwrap();
    });
}

#[test]
fn a_value_is_received_or_handed_back_or_dropped_with_the_receiver() {
    explore(|| {
        let (sender, mut receiver) = channel();
        let value = Arc::new(());
        let leaving = thread::spawn(move || poll(&mut receiver).is_ready());
        let was_closed = sender.is_closed();
        let sent = sender.send(Arc::clone(&value)).is_ok();
        let received = leaving.join().unwrap();
        assert!(sent || !received);
        assert!(!sent || !was_closed);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_receiver_that_has_polled_before_is_woken() {
    explore(|| {
        let (sender, mut receiver) = channel();
        let sending = thread::spawn(move || sender.send(1).unwrap());
        // The first waker that is registered does nothing, as if a task had polled before the receiver moved to another.
        let early = poll(&mut receiver);
        if early.is_pending() {
            assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(Some(1)));
        } else {
            assert_eq!(early, Poll::Ready(Ok(1)));
            assert_eq!(receiver.try_recv(), Err(Closed));
        }
        sending.join().unwrap();
    });
}
