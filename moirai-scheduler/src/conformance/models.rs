//! Models with two or three threads, for every interleaving within a bound on preemptions.
//!
//! A model fails in one of three ways: by an assertion, by an access that races, or by a worker that sleeps forever, which loom
//! reports as a deadlock. The models see what goes through [`moirai_core::shim`].

use loom::thread;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::sync::atomic::{AtomicBool, Ordering, fence};
use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};

use super::token::Token;
use crate::Sleepers;

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Returns the sorted numbers of the tokens in `found` and of those that are left in the scheduler.
fn all<S: Scheduler<Token>>(scheduler: &S, found: impl IntoIterator<Item = Token>) -> Vec<u64> {
    let left = std::iter::from_fn(|| scheduler.take());
    let mut numbers: Vec<_> = found.into_iter().chain(left).map(|token| token.number()).collect();
    numbers.sort_unstable();
    numbers
}

/// Checks rules 1 and 4: two threads that are not workers take one task each.
pub fn loom_two_takers_get_two_tasks<S: Scheduler<Token>>(
    new: impl Fn() -> S + Send + Sync + 'static,
) {
    explore(move || {
        let scheduler = Arc::new(new());
        let _locals = scheduler.start(1);
        let _ = scheduler.push(Token::new(1), Priority::Normal);
        let _ = scheduler.push(Token::new(2), Priority::Normal);
        let other = thread::spawn({
            let scheduler = Arc::clone(&scheduler);
            move || scheduler.take()
        });
        let mine = scheduler.take().expect("rule 4: a task is left for each");
        let theirs = other.join().unwrap().expect("rule 4: a task is left for each");
        assert_eq!(all(&*scheduler, [mine, theirs]), [1, 2], "rule 1");
    });
}

/// Checks rules 1 and 4: two workers take one task each, if both tasks are visible to both.
pub fn loom_two_workers_get_two_tasks<S: Scheduler<Token>>(
    new: impl Fn() -> S + Send + Sync + 'static,
) {
    explore(move || {
        let scheduler = new();
        let mut locals = scheduler.start(2);
        let (mut other, mut mine) = (locals.pop().unwrap(), locals.pop().unwrap());
        let pushed = [1, 2].map(|number| scheduler.push(Token::new(number), Priority::Normal));
        let other = thread::spawn(move || other.pop());
        let found = mine.pop();
        let theirs = other.join().unwrap();
        if pushed == [Visibility::Shared; 2] {
            assert!(found.is_some() && theirs.is_some(), "rule 4: a task is left for each");
        }
        assert_eq!(all(&scheduler, [found, theirs].into_iter().flatten()), [1, 2], "rule 1");
    });
}

/// Checks rules 1, 4 and 9: a worker and another thread compete for a single task.
pub fn loom_one_task_goes_to_one_of_two_takers<S: Scheduler<Token>>(
    new: impl Fn() -> S + Send + Sync + 'static,
) {
    explore(move || {
        let scheduler = Arc::new(new());
        let mut local = scheduler.start(1).pop().expect("one local queue");
        let _ = scheduler.push(Token::new(1), Priority::Normal);
        let taking = thread::spawn({
            let scheduler = Arc::clone(&scheduler);
            move || scheduler.take()
        });
        let found = local.pop();
        let taken = taking.join().unwrap();
        assert!(found.is_some() != taken.is_some(), "rule 1 or 4");
        assert_eq!(all(&*scheduler, [found, taken].into_iter().flatten()), [1], "rule 1");
    });
}

/// Checks rule 2: if a producer does not see the flag of a worker that then looks, it has pushed early enough for the task to be
/// found.
pub fn loom_a_push_is_found_or_the_flag_is_seen<S: Scheduler<Token>>(
    new: impl Fn() -> S + Send + Sync + 'static,
) {
    explore(move || {
        let scheduler = Arc::new(new());
        let flag = Arc::new(AtomicBool::new(false));
        let mut local = scheduler.start(1).pop().expect("one local queue");
        let pushing = thread::spawn({
            let (scheduler, flag) = (Arc::clone(&scheduler), Arc::clone(&flag));
            move || {
                let _ = scheduler.push(Token::new(1), Priority::Normal);
                fence(Ordering::SeqCst);
                flag.load(Ordering::Relaxed)
            }
        });
        flag.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let found = local.pop();
        let seen = pushing.join().unwrap();
        assert!(seen || found.is_some(), "rule 2: the push was missed");
        assert_eq!(all(&*scheduler, found), [1], "rule 1");
    });
}

/// Checks rules 1 to 4 for what a worker pushes while another looks.
pub fn loom_workers_share_what_one_of_them_pushed<S: Scheduler<Token>>(
    new: impl Fn() -> S + Send + Sync + 'static,
) {
    explore(move || {
        let scheduler = new();
        let mut locals = scheduler.start(2);
        let (mut other, mut mine) = (locals.pop().unwrap(), locals.pop().unwrap());
        let first = mine.push(Token::new(1), Priority::Normal, QueueReason::Offered);
        let other = thread::spawn(move || other.pop());
        let _ = mine.push(Token::new(2), Priority::Normal, QueueReason::Woken);
        let found = mine.pop();
        let theirs = other.join().unwrap();
        if first == Visibility::Shared {
            let had =
                |token: &Option<Token>| token.as_ref().is_some_and(|token| token.number() == 1);
            assert!(
                theirs.is_some() || had(&found),
                "rule 4: it was there, and nobody else had it"
            );
        }
        assert_eq!(all(&scheduler, [found, theirs].into_iter().flatten()), [1, 2], "rule 1");
    });
}

/// Checks rules 2 and 4 with a worker that sleeps: a wake-up that is lost is a deadlock.
pub fn loom_no_wake_up_is_lost<S: Scheduler<Token>>(new: impl Fn() -> S + Send + Sync + 'static) {
    explore(move || {
        let scheduler = Arc::new(new());
        let sleepers = Arc::new(Sleepers::new(1));
        let mut local = scheduler.start(1).pop().expect("one local queue");
        let worker = thread::spawn({
            let sleepers = Arc::clone(&sleepers);
            move || sleepers.next(0, |_| local.pop(), || false, || false, || ())
        });
        match scheduler.push(Token::new(1), Priority::Normal) {
            Visibility::Worker(worker) => sleepers.notify_worker(worker),
            _ => sleepers.notify(),
        }
        let found = worker.join().unwrap();
        assert_eq!(all(&*scheduler, found), [1], "rule 1");
    });
}

/// Checks rules 1 and 6: a worker retires while another thread takes.
pub fn loom_a_worker_retires_while_another_takes<S: Scheduler<Token>>(
    new: impl Fn() -> S + Send + Sync + 'static,
) {
    explore(move || {
        let scheduler = Arc::new(new());
        let mut local = scheduler.start(1).pop().expect("one local queue");
        let _ = local.push(Token::new(1), Priority::Normal, QueueReason::Woken);
        let _ = local.push(Token::new(2), Priority::Normal, QueueReason::Woken);
        let taking = thread::spawn({
            let scheduler = Arc::clone(&scheduler);
            move || scheduler.take()
        });
        let found = local.pop();
        drop(local);
        let taken = taking.join().unwrap();
        assert_eq!(all(&*scheduler, [found, taken].into_iter().flatten()), [1, 2], "rule 6");
    });
}
