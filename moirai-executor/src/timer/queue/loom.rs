//! Models of the queue.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;

#[test]
fn loom_timer_inserted_while_the_keeper_falls_asleep() {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let shards = Arc::new(Shards::new(1));
        // The keeper has slept until an earlier deadline, which is over, and there is a later one.
        let _ = shards.insert(0, 3, 3, || false).unwrap();
        let _ = shards.insert(0, 9, 9, || false).unwrap();
        assert_eq!(shards.set_alarm(), Some(3));
        shards.fire(3, |_| ());
        let bell = Arc::new(Mutex::new(false));
        let adders = [5, 7].map(|tick| {
            let (shards, bell) = (Arc::clone(&shards), Arc::clone(&bell));
            thread::spawn(move || {
                let (_, ring) = shards.insert(0, tick, tick, || false).unwrap();
                if ring == Bell::Ring {
                    *bell.lock() = true;
                }
            })
        });
        let mut sleeps_until = shards.set_alarm();
        if std::mem::take(&mut *bell.lock()) {
            // Rung before it slept: it looks once more.
            sleeps_until = shards.set_alarm();
        }
        adders.into_iter().for_each(|adder| adder.join().unwrap());
        let rung = *bell.lock();
        assert!(sleeps_until == Some(5) || rung, "the keeper oversleeps a deadline");
        if rung {
            assert_eq!(shards.set_alarm(), Some(5));
        }
        // Whoever is busy meanwhile sees when the first is due.
        assert!(shards.may_be_due(5) && !shards.may_be_due(4));
    });
}

#[test]
fn loom_timer_cancelled_while_it_fires_is_handed_out_once() {
    ::loom::model(|| {
        let shards = Arc::new(Shards::new(1));
        let (place, _) = shards.insert(0, 5, 5, || false).unwrap();
        let keeper = thread::spawn({
            let shards = Arc::clone(&shards);
            move || {
                let mut fired = 0;
                shards.fire(5, |_| fired += 1);
                fired
            }
        });
        let cancelled = usize::from(shards.remove(place).is_some());
        // The entry may serve somebody else by now: the old place must not name it.
        let (other, _) = shards.insert(0, 70, 70, || false).unwrap();
        assert_eq!(shards.remove(place), None);
        assert_eq!(keeper.join().unwrap() + cancelled, 1);
        assert_eq!(shards.remove(other), Some(70));
    });
}

#[test]
fn loom_timer_inserted_while_a_manual_clock_advances() {
    ::loom::model(|| {
        let shards = Arc::new(Shards::new(1));
        let clock = Arc::new(AtomicU64::new(0));
        let hand = thread::spawn({
            let (shards, clock) = (Arc::clone(&shards), Arc::clone(&clock));
            move || {
                clock.store(5, Ordering::Release);
                let mut fired = 0;
                shards.fire(5, |_| fired += 1);
                fired
            }
        });
        let refused = shards.insert(0, 5, 5, || clock.load(Ordering::Acquire) >= 5).is_err();
        assert_eq!(hand.join().unwrap() + usize::from(refused), 1, "nobody is told");
    });
}
