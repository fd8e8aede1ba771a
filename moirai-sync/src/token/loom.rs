use crate::tests::{Work, explore, poll};
use crate::token::CancellationToken;
use loom::thread;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_child_made_during_a_cancel_is_cancelled() {
    explore(|| {
        let root = CancellationToken::new();
        let making = thread::spawn({
            let root = root.clone();
            move || root.child_token()
        });
        root.cancel();
        assert!(making.join().unwrap().is_cancelled());
    });
}

#[test]
fn a_grandchild_made_during_a_cancel_is_cancelled() {
    explore(|| {
        let root = CancellationToken::new();
        let child = root.child_token();
        let making = thread::spawn(move || child.child_token());
        root.cancel();
        assert!(making.join().unwrap().is_cancelled());
    });
}

#[test]
fn a_waiter_is_woken_and_sees_what_came_before() {
    explore(|| {
        let (root, work) = (CancellationToken::new(), Work::new());
        let child = root.child_token();
        let waiting = thread::spawn({
            let work = work.clone();
            move || {
                crate::block_on::block_on(child.cancelled());
                assert!(work.is_done());
            }
        });
        work.done();
        root.cancel();
        waiting.join().unwrap();
    });
}

#[test]
fn two_cancellers_at_two_heights_wake_a_waiter_below() {
    explore(|| {
        let root = CancellationToken::new();
        let child = root.child_token();
        let grandchild = child.child_token();
        let cancelling = [root, child].map(|token| {
            thread::spawn(move || {
                token.cancel();
                assert!(token.is_cancelled());
            })
        });
        crate::block_on::block_on(grandchild.cancelled());
        for thread in cancelling {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_child_dropped_during_a_cancel_is_forgotten_and_its_sibling_is_not() {
    explore(|| {
        let root = CancellationToken::new();
        let (first, second) = (root.child_token(), root.child_token());
        let dropping = thread::spawn({
            let root = root.clone();
            move || {
                drop(first);
                // It takes the place in the links that has become free.
                root.child_token()
            }
        });
        root.cancel();
        assert!(second.is_cancelled());
        assert!(dropping.join().unwrap().is_cancelled());
        drop(second);
    });
}

#[test]
fn a_callback_registered_during_a_cancel_runs_once() {
    explore(|| {
        let token = CancellationToken::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let registering = thread::spawn({
            let (token, runs) = (token.clone(), Arc::clone(&runs));
            move || {
                token.on_cancel(move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                })
            }
        });
        token.cancel();
        let registration = registering.join().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        drop(registration);
    });
}

#[test]
fn a_callback_forgotten_during_a_cancel_runs_at_most_once_and_its_neighbour_runs() {
    explore(|| {
        let token = CancellationToken::new();
        let runs = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let [first, second] = runs.clone().map(|runs| {
            token.on_cancel(move || {
                runs.fetch_add(1, Ordering::Relaxed);
            })
        });
        let forgetting = thread::spawn(move || drop(first));
        token.cancel();
        forgetting.join().unwrap();
        assert!(runs[0].load(Ordering::Relaxed) <= 1);
        assert_eq!(runs[1].load(Ordering::Relaxed), 1);
        drop(second);
    });
}

#[test]
fn a_wait_dropped_during_a_cancel_leaves_the_other_to_be_woken() {
    explore(|| {
        let token = CancellationToken::new();
        let leaving = thread::spawn({
            let token = token.clone();
            move || {
                let _ = poll(&mut token.cancelled());
            }
        });
        let cancelling = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        crate::block_on::block_on(token.cancelled());
        leaving.join().unwrap();
        cancelling.join().unwrap();
    });
}
