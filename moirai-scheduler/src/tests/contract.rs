//! Tests of the contract on the default scheduler, and on the double that stands for all schedulers in models.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};

use super::bag::Bag;
use crate::{WorkStealing, WorkStealingLocal};

/// Returns everything that is in the scheduler, by the `pop`s of one worker.
fn drain(local: &mut impl LocalQueue<usize>) -> Vec<usize> {
    let mut out = Vec::new();
    let mut misses = 0;
    while misses < 2 {
        match local.pop() {
            Some(token) => {
                out.push(token);
                misses = 0;
            }
            None => misses += 1,
        }
    }
    out
}

fn sorted(mut tokens: Vec<usize>) -> Vec<usize> {
    tokens.sort_unstable();
    tokens
}

fn two_workers<T: Send + 'static>() -> (WorkStealing<T>, [WorkStealingLocal<T>; 2]) {
    let scheduler = WorkStealing::new();
    let locals = scheduler.start(2);
    (scheduler, locals.try_into().unwrap())
}

/// Pushes the tokens `1..=tokens` from two threads that are not workers, and takes them with three workers and a thread that is
/// none.
fn hands_out_once(scheduler: &impl Scheduler<usize>, tokens: usize) {
    let taken: Vec<_> = (0..=tokens).map(|_| AtomicUsize::new(0)).collect();
    let left = AtomicUsize::new(tokens);
    let note = |token: Option<usize>| match token {
        Some(token) => {
            taken[token].fetch_add(1, Ordering::Relaxed);
            left.fetch_sub(1, Ordering::Relaxed);
        }
        None => thread::yield_now(),
    };
    thread::scope(|scope| {
        for mut local in scheduler.start(3) {
            let (left, note) = (&left, &note);
            scope.spawn(move || {
                while left.load(Ordering::Relaxed) > 0 {
                    note(local.pop());
                }
            });
        }
        for half in 0..2 {
            scope.spawn(move || {
                for token in (1..=tokens).filter(|token| token % 2 == half) {
                    let _ = scheduler.push(token, Priority::ALL[token % 4]);
                }
            });
        }
        while left.load(Ordering::Relaxed) > 0 {
            note(scheduler.take());
        }
    });
    assert!(taken[1..].iter().all(|it| it.load(Ordering::Relaxed) == 1));
    assert!(scheduler.is_empty());
}

#[test]
fn each_task_is_handed_out_once() {
    hands_out_once(&WorkStealing::new(), 20_000);
}

#[test]
fn the_double_hands_out_once() {
    for _ in 0..50 {
        hands_out_once(&Bag::new(), 64);
    }
}

#[test]
fn each_task_is_handed_out_once_while_workers_push_in_all_ways() {
    const TOKENS: usize = 4_000;
    const PUSHES: usize = 5;
    let scheduler = WorkStealing::<usize>::new();
    let taken: Vec<AtomicUsize> = (0..TOKENS).map(|_| AtomicUsize::new(0)).collect();
    let left = AtomicUsize::new(TOKENS * (PUSHES + 1));
    thread::scope(|scope| {
        for mut local in scheduler.start(4) {
            let (taken, left) = (&taken, &left);
            scope.spawn(move || {
                while left.load(Ordering::Relaxed) > 0 {
                    let Some(token) = local.pop() else {
                        thread::yield_now();
                        continue;
                    };
                    left.fetch_sub(1, Ordering::Relaxed);
                    let times = taken[token].fetch_add(1, Ordering::Relaxed);
                    assert!(times <= PUSHES, "token {token} was handed out too often");
                    if times < PUSHES {
                        let reason =
                            [QueueReason::Woken, QueueReason::Yielded, QueueReason::Offered]
                                [times % 3];
                        let priority = match token % 8 {
                            rare @ 0..4 => Priority::ALL[rare],
                            _ => Priority::Normal,
                        };
                        let _ = local.push(token, priority, reason);
                    }
                }
            });
        }
        for token in 0..TOKENS {
            let _ = scheduler.push(token, Priority::Normal);
        }
    });
    assert!(taken.iter().all(|it| it.load(Ordering::Relaxed) == PUSHES + 1));
    assert!(scheduler.is_empty());
}

#[test]
fn every_place_is_counted_and_found_by_another_worker() {
    let (scheduler, [mut first, mut second]) = two_workers();
    for (token, priority) in Priority::ALL.into_iter().enumerate() {
        let _ = scheduler.push(token, priority);
    }
    assert_eq!(first.push(4, Priority::Normal, QueueReason::Offered), Visibility::Shared);
    assert_eq!(first.push(5, Priority::Normal, QueueReason::Woken), Visibility::Slot);
    assert_eq!(first.push(6, Priority::Critical, QueueReason::Woken), Visibility::Shared);
    assert_eq!(scheduler.len(), 7);
    assert_eq!(sorted(drain(&mut second)), (0..7).collect::<Vec<_>>());
    assert_eq!(scheduler.len(), 0);
    assert!(scheduler.is_empty());
    assert_eq!(first.pop(), None);
}

#[test]
fn every_place_is_found_by_a_thread_that_is_no_worker() {
    let (scheduler, [mut first, _second]) = two_workers();
    for (token, priority) in Priority::ALL.into_iter().enumerate() {
        let _ = scheduler.push(token, priority);
    }
    let _ = first.push(4, Priority::Normal, QueueReason::Offered);
    let _ = first.push(5, Priority::Normal, QueueReason::Woken);
    let out: Vec<_> = std::iter::from_fn(|| scheduler.take()).collect();
    // By priority; of the normal ones first that in the injector, and the one in the slot last of all.
    assert_eq!(out, [3, 2, 1, 4, 0, 5]);
}

#[test]
fn tasks_pushed_before_the_start_are_kept() {
    let scheduler = WorkStealing::new();
    let _ = scheduler.push(1, Priority::Normal);
    assert_eq!(scheduler.len(), 1);
    let mut locals = scheduler.start(1);
    assert_eq!(locals[0].pop(), Some(1));
    let _ = scheduler.push(2, Priority::Low);
    assert_eq!(scheduler.take(), Some(2));
    assert_eq!(WorkStealing::<usize>::default().take(), None);
}

#[test]
#[should_panic(expected = "started once")]
fn a_second_start_panics() {
    let scheduler = WorkStealing::<usize>::new();
    let _ = scheduler.start(1);
    let _ = scheduler.start(1);
}

#[test]
fn another_workers_slot_is_reached_in_the_second_empty_handed_pop_in_a_row() {
    let (_scheduler, [mut owner, mut thief]) = two_workers();
    let _ = owner.push(1, Priority::Normal, QueueReason::Woken);
    assert_eq!(thief.pop(), None);
    assert_eq!(thief.pop(), Some(1));
    // Once it has found something, it leaves the slot alone again.
    let _ = owner.push(2, Priority::Normal, QueueReason::Woken);
    assert_eq!(thief.pop(), None);
    let _ = owner.push(3, Priority::Normal, QueueReason::Offered);
    assert_eq!(thief.pop(), Some(3));
    assert_eq!(thief.pop(), None);
    assert_eq!(thief.pop(), Some(2));
    assert_eq!(owner.pop(), None);
}

#[test]
fn what_is_left_is_dropped_with_the_scheduler() {
    let token = Arc::new(());
    let (scheduler, [mut first, second]) = two_workers();
    for priority in Priority::ALL {
        let _ = scheduler.push(Arc::clone(&token), priority);
        let _ = first.push(Arc::clone(&token), priority, QueueReason::Woken);
        let _ = first.push(Arc::clone(&token), priority, QueueReason::Offered);
    }
    drop(first);
    drop(second);
    // A queue outlives its worker: no task is dropped before the scheduler is.
    assert_eq!(scheduler.len(), 12);
    assert_eq!(Arc::strong_count(&token), 13);
    drop(scheduler);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn tasks_of_any_size_fit_into_the_slot() {
    let (_scheduler, [mut first, _second]) = two_workers::<[u64; 100]>();
    let _ = first.push([7; 100], Priority::Normal, QueueReason::Woken);
    assert_eq!(first.push([8; 100], Priority::Normal, QueueReason::Woken), Visibility::Shared);
    assert_eq!(first.pop(), Some([8; 100]));
    assert_eq!(first.pop(), Some([7; 100]));
}
