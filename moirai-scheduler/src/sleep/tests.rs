//! Each change of the counts, and what it leaves to its caller.

use super::counts::{CountsNow, SleepCounts};

fn counts(sleeping: usize, searching: usize, has_pending_wake: bool) -> SleepCounts {
    let counts = SleepCounts::new();
    for _ in 0..searching {
        assert!(counts.start_search(searching));
    }
    for _ in 0..sleeping {
        assert!(!counts.announce(false));
    }
    if has_pending_wake {
        assert!(counts.add_pending_wake());
    }
    assert_eq!(read(&counts), (sleeping, searching, has_pending_wake));
    counts
}

fn read(counts: &SleepCounts) -> (usize, usize, bool) {
    let now: CountsNow = counts.now();
    (now.sleeping(), now.searching(), now.has_pending_wake())
}

#[test]
fn searches_are_limited() {
    let counts = counts(0, 2, false);
    assert!(!counts.start_search(2));
    assert!(counts.start_search(3));
    assert_eq!(read(&counts), (0, 3, false));
}

#[test]
fn a_wake_up_is_left_to_the_searching_workers() {
    let busy = counts(0, 0, false);
    assert!(busy.add_pending_wake());
    assert_eq!(read(&busy), (0, 0, false));

    // A spinning searcher watches for it, whether a worker sleeps or not.
    let spinning = counts(0, 1, false);
    assert!(spinning.add_pending_wake());
    assert_eq!(read(&spinning), (0, 1, true));

    let searched = counts(1, 1, false);
    assert!(searched.add_pending_wake());
    assert_eq!(read(&searched), (1, 1, true));

    let asleep = counts(1, 0, false);
    assert!(!asleep.add_pending_wake());
    assert_eq!(read(&asleep), (1, 0, false));
}

#[test]
fn the_only_searcher_takes_a_single_pending_wake_up_and_no_more() {
    let one = counts(1, 1, true);
    one.take_pending_wake();
    assert_eq!(read(&one), (1, 1, false));
    // What it then finds is all that there was: no worker is notified.
    assert!(!one.stop_search(false));

    let more = counts(1, 1, true);
    assert!(more.add_pending_wake());
    more.take_pending_wake();
    assert_eq!(read(&more), (1, 1, true));
    assert!(more.stop_search(false));

    let two = counts(1, 2, true);
    two.take_pending_wake();
    assert_eq!(read(&two), (1, 2, true));
}

#[test]
fn waking_moves_a_worker_from_sleeping_to_searching() {
    let asleep = counts(2, 0, false);
    assert!(asleep.claim_sleeper());
    assert_eq!(read(&asleep), (1, 1, false));
    // The next one is left to it.
    assert!(!asleep.claim_sleeper());
    assert_eq!(read(&asleep), (1, 1, true));
    assert!(!counts(0, 0, false).claim_sleeper());
}

#[test]
fn only_the_last_searcher_that_found_something_wakes_another() {
    let two = counts(1, 2, true);
    assert!(!two.stop_search(false));
    assert_eq!(read(&two), (1, 1, true));
    assert!(two.stop_search(false));
    assert_eq!(read(&two), (1, 0, false));
}

#[test]
fn without_a_pending_wake_up_no_worker_is_woken() {
    assert!(!counts(1, 1, false).stop_search(false));
}

#[test]
fn with_no_worker_asleep_the_pending_wake_up_is_gone() {
    let one = counts(1, 1, true);
    one.withdraw();
    assert!(!one.stop_search(true));
    assert_eq!(read(&one), (0, 0, false));
}

#[test]
fn a_chain_is_left_to_the_remaining_searchers() {
    let two = counts(1, 2, false);
    assert!(!two.stop_search(true));
    assert_eq!(read(&two), (1, 1, true));
}

#[test]
fn the_last_searcher_to_announce_itself_takes_over_the_pending_wake_up() {
    let two = counts(1, 2, true);
    assert!(!two.announce(true));
    assert_eq!(read(&two), (2, 1, true));
    assert!(two.announce(true));
    assert_eq!(read(&two), (3, 0, false));
}

#[test]
fn all_wake_at_once() {
    let counts = counts(3, 1, true);
    counts.withdraw_all();
    assert_eq!(read(&counts), (0, 1, true));
}
