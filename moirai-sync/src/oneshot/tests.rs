use super::*;
use crate::tests::{Counter, LONG, calling, in_time, panicking, poll};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

#[test]
fn the_value_arrives_in_every_way_of_receiving() {
    in_time(|| {
        let sent = |value| {
            let (sender, receiver) = channel();
            sender.send(value).unwrap();
            receiver
        };
        assert_eq!(futures_lite::future::block_on(sent(1)), Ok(1));
        assert_eq!(sent(2).recv_blocking(), Ok(2));
        assert_eq!(sent(3).try_recv(), Ok(Some(3)));
        assert_eq!(sent(4).recv_timeout(Duration::ZERO), Ok(Some(4)));
        assert_eq!(sent(5).recv_timeout(Duration::MAX), Ok(Some(5)));
    });
}

#[test]
fn a_sender_that_goes_away_closes_the_channel() {
    in_time(|| {
        let closed = || channel::<u8>().1;
        assert_eq!(futures_lite::future::block_on(closed()), Err(Closed));
        assert_eq!(closed().recv_blocking(), Err(Closed));
        assert_eq!(closed().try_recv(), Err(Closed));
        assert_eq!(closed().recv_timeout(LONG), Err(Closed));
        let (sender, mut receiver) = channel::<u8>();
        let (counter, waker) = Counter::waker();
        assert!(poll(&mut receiver, &waker).is_pending());
        drop(sender);
        assert_eq!(counter.count(), 1);
        assert_eq!(poll(&mut receiver, &waker), Poll::Ready(Err(Closed)));
    });
}

#[test]
fn a_value_without_a_receiver_is_returned() {
    let (sender, receiver) = channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send("back"), Err("back"));
}

#[test]
fn after_the_answer_the_channel_is_closed() {
    let (sender, mut receiver) = channel();
    assert_eq!(receiver.try_recv(), Ok(None));
    sender.send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(Some(1)));
    assert_eq!(receiver.try_recv(), Err(Closed));
    assert_eq!(futures_lite::future::block_on(&mut receiver), Err(Closed));
}

#[test]
fn a_value_that_was_sent_and_never_received_is_dropped_with_the_receiver() {
    let value = Arc::new(());
    let (sender, receiver) = channel();
    sender.send(Arc::clone(&value)).unwrap();
    assert_eq!(Arc::strong_count(&value), 2);
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_limit_is_kept_and_the_value_still_comes() {
    let (sender, mut receiver) = channel();
    let start = Instant::now();
    assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(None));
    assert_eq!(receiver.recv_timeout(Duration::from_millis(20)), Ok(None));
    assert!(start.elapsed() >= Duration::from_millis(20));
    sender.send(1).unwrap();
    assert_eq!(receiver.recv_timeout(LONG), Ok(Some(1)));
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let (sender, mut receiver) = channel();
    let ((first, a), (second, b)) = (Counter::waker(), Counter::waker());
    assert!(poll(&mut receiver, &a).is_pending());
    assert!(poll(&mut receiver, &b).is_pending());
    assert_eq!(Arc::strong_count(&first), 2);
    sender.send(1).unwrap();
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[test]
fn a_receiver_that_is_dropped_takes_its_waker_along() {
    let (sender, mut receiver) = channel::<u8>();
    let (counter, waker) = Counter::waker();
    assert!(poll(&mut receiver, &waker).is_pending());
    drop(receiver);
    assert_eq!(Arc::strong_count(&counter), 2);
    drop(sender);
    assert_eq!(counter.count(), 0);
}

#[test]
fn a_waker_that_panics_does_not_reach_the_sender() {
    let (sender, mut receiver) = channel();
    assert!(poll(&mut receiver, &panicking()).is_pending());
    sender.send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(Some(1)));
    let (sender, mut receiver) = channel::<u8>();
    assert!(poll(&mut receiver, &panicking()).is_pending());
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(Closed));
}

/// If wakers or values were used while the lock is held, the thread would wait for itself here.
#[test]
fn wakers_and_values_may_use_the_channel_from_their_destructors() {
    struct Asks(Option<Arc<Channel<Asks>>>);

    impl Drop for Asks {
        fn drop(&mut self) {
            if let Some(channel) = self.0.take() {
                drop(channel.phase.lock());
            }
        }
    }

    in_time(|| {
        let asking = |channel: &Arc<Channel<Asks>>| {
            let on_wake = Arc::clone(channel);
            let on_drop = Arc::clone(channel);
            calling(move || drop(on_wake.phase.lock()), move || drop(on_drop.phase.lock()))
        };
        // One waker is replaced, and the other is woken.
        let (sender, mut receiver) = channel();
        let inner = Arc::clone(&receiver.channel);
        assert!(poll(&mut receiver, &asking(&inner)).is_pending());
        assert!(poll(&mut receiver, &asking(&inner)).is_pending());
        assert!(sender.send(Asks(Some(Arc::clone(&inner)))).is_ok());
        // A value is dropped with the receiver, and then a waker.
        drop(receiver);
        let (_sender, mut receiver) = channel();
        let inner = Arc::clone(&receiver.channel);
        assert!(poll(&mut receiver, &asking(&inner)).is_pending());
        drop(receiver);
    });
}

#[test]
fn every_value_arrives_between_threads() {
    const ROUNDS: usize = 2_000;
    in_time(|| {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..ROUNDS).map(|_| channel()).unzip();
        let start = Arc::new(Barrier::new(2));
        let sending = thread::spawn({
            let start = Arc::clone(&start);
            move || {
                for (i, sender) in senders.into_iter().enumerate() {
                    start.wait();
                    if i % 3 > 0 {
                        sender.send(i).unwrap();
                    }
                }
            }
        });
        for (i, receiver) in receivers.into_iter().enumerate() {
            start.wait();
            let expected = if i % 3 > 0 { Ok(i) } else { Err(Closed) };
            assert_eq!(receiver.recv_blocking(), expected);
        }
        sending.join().unwrap();
    });
}
