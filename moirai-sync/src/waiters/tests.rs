use super::*;
use crate::tests::{Counter, calling, in_time, panicking};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_key_of_an_earlier_generation_names_no_waker() {
    let (other, waker) = Counter::waker();
    let mut list = WaiterList::new();
    let old = list.register(panicking());
    drop(list.take_all());
    let new = list.register(waker);
    assert_eq!(old.index, new.index);
    assert!(list.get(old).is_none());
    assert!(list.update(old, panicking()).is_err());
    assert!(list.remove(old).is_none());
    list.take_all().wake();
    assert_eq!(other.count(), 1);
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_asleep() {
    let mut list = WaiterList::new();
    let counters: Vec<_> = (0..3)
        .map(|_| {
            let (counter, waker) = Counter::waker();
            list.register(panicking());
            list.register(waker);
            counter
        })
        .collect();
    list.take_all().wake();
    assert!(counters.iter().all(|counter| counter.count() == 1));
}

#[test]
fn a_waker_is_cloned_woken_and_dropped_outside_the_lock() {
    in_time(|| {
        let queue = Arc::new(WaitQueue::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let reentrant = || {
            let touch = |queue: &Arc<WaitQueue>, calls: &Arc<AtomicUsize>| {
                let (queue, calls) = (Arc::downgrade(queue), Arc::clone(calls));
                move || {
                    if let Some(queue) = queue.upgrade() {
                        drop(queue.lock());
                        calls.fetch_add(1, Ordering::SeqCst);
                    }
                }
            };
            calling(touch(&queue, &calls), touch(&queue, &calls))
        };
        let poll = |place: &mut Option<WaiterKey>, condition: bool| {
            let waker = reentrant();
            queue.poll(place, &Context::from_waker(&waker), || condition)
        };

        // A waker is dropped when it is replaced, when its future is dropped, and when there is nothing to wait for.
        let mut place = None;
        assert!(poll(&mut place, false).is_pending());
        assert!(poll(&mut place, false).is_pending());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        queue.leave(&mut place);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert!(poll(&mut place, true).is_ready());
        assert_eq!(calls.load(Ordering::SeqCst), 3);
        // It is also dropped if its registration was taken while it was cloned, which the models cover. Here it is woken, and then
        // dropped.
        assert!(poll(&mut place, false).is_pending());
        let wakers = queue.lock().take_all();
        wakers.wake();
        assert_eq!(calls.load(Ordering::SeqCst), 5);
        // Its wakers were taken, so the condition was true, whatever it is now.
        assert!(poll(&mut place, false).is_ready());
        assert!(place.is_none());
    });
}

#[test]
fn the_same_task_polling_again_keeps_its_waker() {
    let queue = WaitQueue::new();
    let (counter, waker) = Counter::waker();
    let context = Context::from_waker(&waker);
    let mut place = None;
    for _ in 0..5 {
        assert!(queue.poll(&mut place, &context, || false).is_pending());
        // The three are `counter`, `waker`, and the clone in the list.
        assert_eq!(Arc::strong_count(&counter), 3);
        assert_eq!(queue.lock().len(), 1);
    }
}

#[test]
fn a_waiter_that_moves_to_another_task_is_woken_there() {
    let queue = WaitQueue::new();
    let ((first, a), (second, b)) = (Counter::waker(), Counter::waker());
    let mut place = None;
    for waker in [&a, &b] {
        let context = Context::from_waker(waker);
        assert!(queue.poll(&mut place, &context, || false).is_pending());
    }
    let wakers = queue.lock().take_all();
    wakers.wake();
    assert_eq!((first.count(), second.count()), (0, 1));
}
