use super::*;
use crate::tests::{Counter, calling, in_time, panicking, poll};
use futures_lite::future::{block_on, pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[test]
fn clones_are_one_token_and_cancelling_twice_is_once() {
    let token = CancellationToken::default();
    let clone = token.clone();
    assert!(!clone.is_cancelled());
    token.cancel();
    clone.cancel();
    assert!(token.is_cancelled() && clone.is_cancelled());
}

#[test]
fn cancelling_reaches_all_descendants_and_no_other_token() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let (low, lower) = (left.child_token(), left.child_token().child_token());
    left.cancel();
    assert!([&left, &low, &lower].iter().all(|t| t.is_cancelled()));
    assert!(!root.is_cancelled() && !right.is_cancelled());
    root.cancel();
    assert!(right.is_cancelled());
}

#[test]
fn the_child_of_a_cancelled_token_is_cancelled_from_the_start() {
    let token = CancellationToken::new();
    token.cancel();
    let child = token.child_token();
    assert!(child.is_cancelled() && child.child_token().is_cancelled());
    assert_eq!(token.node().linked(), (0, 0));
}

#[test]
fn dropped_children_are_forgotten() {
    let token = CancellationToken::new();
    let kept = token.child_token();
    for _ in 0..1_000 {
        let child = token.child_token();
        let clone = child.clone();
        drop(child);
        assert_eq!(token.node().linked().0, 2);
        drop(clone);
        assert_eq!(token.node().linked().0, 1);
    }
    token.cancel();
    assert!(kept.is_cancelled());
    drop(kept);
}

#[test]
fn a_grandchild_is_reached_through_a_dropped_child() {
    let root = CancellationToken::new();
    let child = root.child_token();
    let grandchild = child.child_token();
    drop(child);
    assert_eq!(root.node().linked().0, 1);
    let (counter, waker) = Counter::waker();
    let mut wait = grandchild.cancelled();
    assert!(poll(&mut wait, &waker).is_pending());
    root.cancel();
    assert_eq!(counter.count(), 1);
    assert!(poll(&mut wait, &waker).is_ready());
    let root = CancellationToken::new();
    let grandchild = root.child_token().child_token();
    drop(grandchild);
    assert_eq!(root.node().linked().0, 0);
}

/// A recursive walk would need megabytes of stack.
#[test]
fn the_depth_of_the_tree_costs_no_stack() {
    const DEPTH: usize = 100_000;
    let on_a_small_stack = |body: fn(CancellationToken, CancellationToken)| {
        let root = CancellationToken::new();
        let mut leaf = root.clone();
        for _ in 0..DEPTH {
            leaf = leaf.child_token();
        }
        let thread = thread::Builder::new().stack_size(128 * 1024);
        let thread = thread.spawn(move || body(root, leaf)).unwrap();
        thread.join().unwrap();
    };
    on_a_small_stack(|root, leaf| {
        root.cancel();
        assert!(leaf.is_cancelled());
        drop(root);
        drop(leaf);
    });
    on_a_small_stack(|root, leaf| {
        drop(leaf);
        assert_eq!(root.node().linked(), (0, 0));
    });
    on_a_small_stack(|root, leaf| {
        drop(root);
        drop(leaf);
    });
}

#[test]
fn waiting_ends_with_the_token_and_leaves_nothing_behind() {
    in_time(|| {
        let token = CancellationToken::new();
        let (counter, waker) = Counter::waker();
        for _ in 0..1_000 {
            assert!(poll(&mut token.cancelled(), &waker).is_pending());
            assert!(poll(&mut token.clone().cancelled_owned(), &waker).is_pending());
            assert_eq!(token.node().cancelled.waiting(), 0);
        }
        assert_eq!(Arc::strong_count(&counter), 2);
        let mut owned = token.child_token().cancelled_owned();
        assert!(poll(&mut owned, &waker).is_pending());
        token.cancel();
        assert_eq!(counter.count(), 1);
        assert!(poll(&mut owned, &waker).is_ready());
        block_on(token.cancelled());
    });
}

#[test]
fn a_future_runs_until_the_token_is_cancelled() {
    let token = CancellationToken::new();
    assert_eq!(block_on(token.run_until_cancelled(ready(1))), Some(1));

    let value = Arc::new(());
    let (counter, waker) = Counter::waker();
    let mut run = Box::pin(token.run_until_cancelled({
        let value = Arc::clone(&value);
        async move {
            pending::<()>().await;
            drop(value);
        }
    }));
    assert!(poll(&mut run, &waker).is_pending());
    token.cancel();
    assert_eq!(counter.count(), 1);
    assert!(matches!(poll(&mut run, &waker), Poll::Ready(None)));
    assert_eq!(Arc::strong_count(&value), 1);

    // A future is not polled at all if the token was cancelled before. If the poll that is ready cancels it, the output is
    // returned.
    let never = async { unreachable!("polled after the token was cancelled") };
    assert_eq!(block_on(token.run_until_cancelled(never)), None::<()>);
    let token = CancellationToken::new();
    let output = block_on(token.run_until_cancelled(async {
        token.cancel();
        7
    }));
    assert_eq!(output, Some(7));
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let same = token.clone().drop_guard().disarm();
    assert!(!same.is_cancelled());
    drop(token.clone().drop_guard());
    assert!(same.is_cancelled());
}

#[test]
fn a_callback_runs_once_unless_it_is_forgotten() {
    let runs = Arc::new(AtomicUsize::new(0));
    let callback = || {
        let runs = Arc::clone(&runs);
        move || {
            runs.fetch_add(1, Ordering::SeqCst);
        }
    };
    let root = CancellationToken::new();
    let token = root.child_token();
    let kept = token.on_cancel(callback());
    drop(token.on_cancel(callback()));
    assert_eq!(token.node().linked(), (0, 1));
    assert_eq!(Arc::strong_count(&runs), 2);
    // From here on only the registration keeps the token linked to its parent.
    let node = Arc::downgrade(&token.node);
    drop(token);
    root.cancel();
    root.cancel();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    drop(kept);
    assert!(node.upgrade().is_none());

    let late = root.on_cancel(callback());
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    drop(late);
    assert_eq!(Arc::strong_count(&runs), 1);
}

#[test]
fn all_descendants_are_cancelled_before_the_first_waiter_is_woken() {
    let root = CancellationToken::new();
    let mut tokens = vec![root.clone()];
    for i in 0..20 {
        let child = tokens[i / 2].child_token();
        tokens.push(child);
    }
    let seen = Arc::new(AtomicUsize::new(0));
    let look = |tokens: &[CancellationToken]| {
        let (tokens, seen) = (tokens.to_vec(), Arc::clone(&seen));
        move || {
            assert!(tokens.iter().all(CancellationToken::is_cancelled));
            seen.fetch_add(1, Ordering::SeqCst);
        }
    };
    let waker = calling(look(&tokens), || {});
    let mut waits: Vec<_> = tokens.iter().map(CancellationToken::cancelled).collect();
    for wait in &mut waits {
        assert!(poll(wait, &waker).is_pending());
    }
    let hooks: Vec<_> = tokens.iter().map(|t| t.on_cancel(look(&tokens))).collect();
    root.cancel();
    assert_eq!(seen.load(Ordering::SeqCst), 2 * tokens.len());
    drop(hooks);
}

#[test]
fn a_panic_in_a_waker_or_callback_reaches_neither_canceller_nor_others() {
    let root = CancellationToken::new();
    let child = root.child_token();
    let (counter, waker) = Counter::waker();
    let runs = Arc::new(AtomicUsize::new(0));
    let mut waits: Vec<_> = [&root, &child, &root, &child].map(|t| t.cancelled()).into();
    let mut registrations = Vec::new();
    for (i, wait) in waits.iter_mut().enumerate() {
        let waker = if i < 2 { &panicking() } else { &waker };
        assert!(poll(wait, waker).is_pending());
        let token = if i % 2 == 0 { &root } else { &child };
        let runs = Arc::clone(&runs);
        registrations.push(token.on_cancel(move || {
            runs.fetch_add(1, Ordering::SeqCst);
            assert!(i >= 2, "expected by the test");
        }));
    }
    root.cancel();
    assert_eq!((counter.count(), runs.load(Ordering::SeqCst)), (2, 4));
    // The thread that registers too late is not reached either.
    drop(root.on_cancel(|| panic!("expected by the test")));
}

/// If wakers or callbacks were used while a lock is held, the thread would wait for itself here.
#[test]
fn wakers_and_callbacks_may_use_the_token_also_from_their_destructors() {
    struct Asks(CancellationToken);

    impl Drop for Asks {
        fn drop(&mut self) {
            drop(self.0.on_cancel(|| {}));
            drop(self.0.child_token());
            drop(self.0.cancelled());
            self.0.cancel();
        }
    }

    in_time(|| {
        let token = CancellationToken::new();
        let asks = |token: &CancellationToken| Arc::new(Asks(token.clone()));
        let (first, second) = (asks(&token), asks(&token));
        let use_it = |asks: &Asks| drop(asks.0.child_token().on_cancel(|| {}));
        let registration = token.on_cancel(move || use_it(&first));
        let waker = calling(move || use_it(&second), || {});
        let mut wait = token.clone().cancelled_owned();
        assert!(poll(&mut wait, &waker).is_pending());
        drop(waker);
        token.cancel();
        block_on(&mut wait);
        drop(registration);
        // This callback is removed instead of being run, and its destructor cancels the token.
        let token = CancellationToken::new();
        let captured = asks(&token);
        drop(token.on_cancel(move || drop(captured)));
        assert!(token.is_cancelled());
    });
}

#[test]
fn no_waiter_misses_a_cancel_from_another_thread() {
    in_time(|| {
        for _ in 0..1_000 {
            let root = CancellationToken::new();
            let working = thread::spawn({
                let child = root.child_token();
                move || {
                    // The child is made while the cancel is in progress, and is often dropped at that moment.
                    drop(child.child_token());
                    let grandchild = child.child_token();
                    drop(child);
                    block_on(grandchild.cancelled());
                }
            });
            root.cancel();
            working.join().unwrap();
        }
    });
}
