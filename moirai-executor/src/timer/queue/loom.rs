//! Loom models of the timer queue.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;

#[test]
fn loom_timer_inserted_while_the_timer_thread_falls_asleep() {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let queue = Arc::new(TimerQueue::new(1));
        // The timer thread has slept until an earlier deadline, which has passed, and there is a later one.
        let _ = queue.insert(0, 3, 3, || false).unwrap();
        let _ = queue.insert(0, 9, 9, || false).unwrap();
        assert_eq!(queue.set_next_wake(), Some(3));
        queue.fire(3, |_| ());
        let wakeup = Arc::new(Mutex::new(false));
        let adders = [5, 7].map(|tick| {
            let (queue, wakeup) = (Arc::clone(&queue), Arc::clone(&wakeup));
            thread::spawn(move || {
                let (_, wake) = queue.insert(0, tick, tick, || false).unwrap();
                if wake == Wakeup::Needed {
                    *wakeup.lock() = true;
                }
            })
        });
        let mut sleeps_until = queue.set_next_wake();
        if std::mem::take(&mut *wakeup.lock()) {
            // It was woken before it slept, so it looks once more.
            sleeps_until = queue.set_next_wake();
        }
        adders.into_iter().for_each(|adder| adder.join().unwrap());
        let woken = *wakeup.lock();
        assert!(sleeps_until == Some(5) || woken, "the timer_thread oversleeps a deadline");
        if woken {
            assert_eq!(queue.set_next_wake(), Some(5));
        }
        // A worker that is busy meanwhile sees when the first deadline is due.
        assert!(queue.may_be_due(5) && !queue.may_be_due(4));
    });
}

#[test]
fn loom_timer_inserted_while_the_timer_thread_cannot_be_started() {
    ::loom::model(|| {
        let queue = Arc::new(TimerQueue::new(1));
        let woken = Arc::new(AtomicU64::new(0));
        let add = |tick| {
            let (queue, woken) = (Arc::clone(&queue), Arc::clone(&woken));
            move || {
                let (_, wakeup) = queue.insert(0, tick, tick, || false).unwrap();
                if wakeup == Wakeup::Needed {
                    // No thread can be started.
                    queue.give_up(|_| _ = woken.fetch_add(1, Ordering::Relaxed));
                }
            }
        };
        let other = thread::spawn(add(9));
        add(5)();
        other.join().unwrap();
        assert_eq!(
            (queue.len(), woken.load(Ordering::Relaxed)),
            (0, 2),
            "a deadline is left to no thread"
        );
    });
}

#[test]
fn loom_timer_cancelled_while_it_fires_is_handed_out_once() {
    ::loom::model(|| {
        let queue = Arc::new(TimerQueue::new(1));
        let (key, _) = queue.insert(0, 5, 5, || false).unwrap();
        let timer_thread = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut fired = 0;
                queue.fire(5, |_| fired += 1);
                fired
            }
        });
        let cancelled = usize::from(queue.remove(key).is_some());
        // The entry may be in use for another deadline by now: the old key must not name it.
        let (other, _) = queue.insert(0, 70, 70, || false).unwrap();
        assert_eq!(queue.remove(key), None);
        assert_eq!(timer_thread.join().unwrap() + cancelled, 1);
        assert_eq!(queue.remove(other), Some(70));
    });
}

#[test]
fn loom_timer_inserted_while_a_manual_clock_advances() {
    ::loom::model(|| {
        let queue = Arc::new(TimerQueue::new(1));
        let clock = Arc::new(AtomicU64::new(0));
        let controller = thread::spawn({
            let (queue, clock) = (Arc::clone(&queue), Arc::clone(&clock));
            move || {
                clock.store(5, Ordering::Release);
                let mut fired = 0;
                queue.fire(5, |_| fired += 1);
                fired
            }
        });
        let refused = queue.insert(0, 5, 5, || clock.load(Ordering::Acquire) >= 5).is_err();
        assert_eq!(controller.join().unwrap() + usize::from(refused), 1, "the waker is lost");
    });
}
