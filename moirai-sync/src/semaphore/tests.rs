use super::*;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::thread;

fn poll<F: Future + Unpin>(acquire: &mut F) -> Poll<F::Output> {
    Pin::new(acquire).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn waiters_get_permits_in_the_order_in_which_they_came() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let (mut first, mut second) = (semaphore.acquire(), semaphore.acquire());
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    drop(held);
    assert!(semaphore.try_acquire().is_none(), "the permit is the first one's");
    assert!(poll(&mut second).is_pending());
    let Poll::Ready(Ok(permit)) = poll(&mut first) else { panic!("the first was served") };
    permit.forget();
    semaphore.release();
    assert!(poll(&mut second).is_ready());
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_waiter_that_gives_up_passes_its_permit_on() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let (mut gone, mut first, mut second) =
        (semaphore.acquire(), semaphore.acquire(), semaphore.acquire());
    for waiting in [&mut gone, &mut first, &mut second] {
        assert!(poll(waiting).is_pending());
    }
    drop(gone);
    drop(held);
    // This gives the permit to the first waiter, which is dropped without having been polled again.
    drop(first);
    assert!(poll(&mut second).is_ready());
    assert_eq!(semaphore.available(), 1);
    assert!(semaphore.try_acquire().is_some());
}

#[test]
fn closing_refuses_waiters() {
    let semaphore = Semaphore::new(0);
    let mut waiting = pin!(semaphore.acquire());
    assert!(poll(&mut waiting).is_pending());
    semaphore.close();
    assert!(matches!(poll(&mut waiting), Poll::Ready(Err(SemaphoreClosed))));
    assert!(semaphore.acquire_blocking().is_err());
}

#[test]
fn a_waiter_for_many_is_not_starved_by_those_that_want_one() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire().unwrap();
    let (mut many, mut one) = (semaphore.acquire_many(3), semaphore.acquire());
    assert!(poll(&mut many).is_pending());
    assert_eq!(semaphore.available(), 0, "the free permits are kept for it");
    assert!(semaphore.try_acquire().is_none());
    assert!(poll(&mut one).is_pending(), "there were enough for this one, but it came later");
    drop(held);
    assert!(poll(&mut one).is_pending());
    let Poll::Ready(Ok(all)) = poll(&mut many) else { panic!("it has all that it wants") };
    assert_eq!(all.count(), 3);
    drop(all);
    assert!(poll(&mut one).is_ready());
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn a_waiter_for_many_that_gives_up_passes_on_what_it_has_been_given() {
    let semaphore = Semaphore::new(3);
    let (held, also_held) = (semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap());
    let mut many = semaphore.acquire_many(3);
    let (mut first, mut second, mut third) =
        (semaphore.acquire(), semaphore.acquire(), semaphore.acquire());
    assert!(poll(&mut many).is_pending());
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(poll(waiting).is_pending());
    }
    // It has two of the three now.
    drop(held);
    drop(many);
    let (Poll::Ready(Ok(first)), Poll::Ready(Ok(_second))) = (poll(&mut first), poll(&mut second))
    else {
        panic!("two are served")
    };
    assert!(poll(&mut third).is_pending());
    drop(first);
    assert!(poll(&mut third).is_ready());
    drop(also_held);
}

#[test]
fn a_waiter_that_has_been_given_all_and_gives_up_passes_all_on() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire_many(2).unwrap();
    let (mut gone, mut next) = (semaphore.acquire_many(2), semaphore.acquire_many(2));
    assert!(poll(&mut gone).is_pending());
    assert!(poll(&mut next).is_pending());
    drop(held);
    drop(gone);
    assert!(poll(&mut next).is_ready());
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn several_permits_that_are_given_back_at_once_serve_the_waiters_in_order() {
    let semaphore = Semaphore::new(0);
    let mut waiting = [1, 2, 3].map(|count| semaphore.acquire_many(count));
    waiting.iter_mut().for_each(|waiting| assert!(poll(waiting).is_pending()));
    semaphore.release_many(4);
    let [one, two, three] = &mut waiting;
    let (Poll::Ready(Ok(one)), Poll::Ready(Ok(two))) = (poll(one), poll(two)) else {
        panic!("four permits serve the first two")
    };
    assert!(poll(three).is_pending());
    one.forget();
    two.forget();
    semaphore.release_many(7);
    assert!(poll(three).is_ready());
    assert_eq!(semaphore.available(), 8);
}

#[test]
fn closing_frees_what_a_waiter_for_many_has_been_given() {
    let semaphore = Semaphore::new(2);
    let mut many = semaphore.acquire_many(3);
    assert!(poll(&mut many).is_pending());
    assert_eq!(semaphore.available(), 0);
    semaphore.close();
    assert_eq!(semaphore.available(), 2);
    let free = semaphore.try_acquire_many(2).unwrap();
    assert!(matches!(poll(&mut many), Poll::Ready(Err(SemaphoreClosed))));
    drop((free, many));
    assert_eq!(semaphore.available(), 2);
    assert!(poll(&mut semaphore.acquire_many(2)).is_ready(), "these are free");
}

#[test]
fn none_at_all_can_always_be_taken() {
    let semaphore = Semaphore::new(0);
    let mut waiting = semaphore.acquire();
    assert!(poll(&mut waiting).is_pending());
    assert_eq!(semaphore.try_acquire_many(0).unwrap().count(), 0);
    assert!(poll(&mut semaphore.acquire_many(0)).is_ready());
    semaphore.close();
    assert!(matches!(poll(&mut semaphore.acquire_many(0)), Poll::Ready(Ok(_))));
    assert_eq!(semaphore.available(), 0);
}

#[test]
fn no_number_of_permits_panics_or_overflows() {
    let semaphore = Semaphore::new(5);
    assert!(semaphore.try_acquire_many(usize::MAX).is_none());
    let mut never = semaphore.acquire_many(usize::MAX);
    assert!(poll(&mut never).is_pending());
    assert_eq!(semaphore.available(), 0, "they are kept for it");
    drop(never);
    assert_eq!(semaphore.available(), 5);
    semaphore.release_many(usize::MAX);
    assert_eq!(semaphore.available(), Semaphore::MAX_PERMITS);
    semaphore.release();
    assert_eq!(semaphore.available(), Semaphore::MAX_PERMITS);
    let all = semaphore.try_acquire_many(Semaphore::MAX_PERMITS).unwrap();
    assert_eq!(semaphore.available(), 0);
    drop(all);
    assert_eq!(Semaphore::new(usize::MAX).available(), Semaphore::MAX_PERMITS);
}

#[test]
fn an_owned_permit_goes_to_another_thread_and_keeps_the_semaphore() {
    let semaphore = Arc::new(Semaphore::new(3));
    let two = semaphore.try_acquire_many_owned(2).unwrap();
    assert!(semaphore.try_acquire_many_owned(2).is_none());
    let mut waiting = semaphore.acquire_many_owned(2);
    assert!(poll(&mut waiting).is_pending());
    thread::spawn(move || drop(two)).join().unwrap();
    let Poll::Ready(Ok(permit)) = poll(&mut waiting) else { panic!("it is served") };
    assert_eq!(permit.count(), 2);
    assert!(Arc::ptr_eq(permit.semaphore(), &semaphore));
    drop(waiting);
    let last = Arc::downgrade(&semaphore);
    drop(semaphore);
    assert!(last.upgrade().is_some(), "the permit keeps it");
    permit.forget();
    assert!(last.upgrade().is_none());
}

#[test]
fn an_owned_waiter_that_gives_up_leaves_the_queue() {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.try_acquire_owned().unwrap();
    let (mut gone, mut next) = (semaphore.acquire_owned(), semaphore.acquire_owned());
    assert!(poll(&mut gone).is_pending());
    assert!(poll(&mut next).is_pending());
    drop(held);
    drop(gone);
    assert!(poll(&mut next).is_ready());
    assert_eq!(semaphore.available(), 1);
}

/// A semaphore as simple as can be.
struct Plain {
    free: usize,
    /// The number of each waiter, and what it wants.
    queue: VecDeque<(usize, usize)>,
    served: Vec<usize>,
}

impl Plain {
    fn serve(&mut self) {
        while let Some(&(number, wanted)) = self.queue.front()
            && wanted <= self.free
        {
            self.free -= wanted;
            self.served.push(number);
            self.queue.pop_front();
        }
    }
}

#[test]
fn whatever_is_done_it_does_what_a_plain_one_does() {
    let mut seed = 1_u64;
    let mut draw = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..300 {
        let permits = draw(4);
        let semaphore = Semaphore::new(permits);
        let mut plain = Plain { free: permits, queue: VecDeque::new(), served: Vec::new() };
        let mut waiting: Vec<(usize, Acquire<'_>)> = Vec::new();
        let mut held: Vec<Permit<'_>> = Vec::new();
        for number in 0..60 {
            match draw(5) {
                0 | 1 => {
                    let wanted = draw(4);
                    let mut acquire = semaphore.acquire_many(wanted);
                    if wanted > 0 {
                        plain.queue.push_back((number, wanted));
                        plain.serve();
                    }
                    match poll(&mut acquire) {
                        Poll::Ready(permit) => held.push(permit.unwrap()),
                        Poll::Pending => waiting.push((number, acquire)),
                    }
                }
                2 if !held.is_empty() => {
                    let permit = held.swap_remove(draw(held.len()));
                    plain.free += permit.count();
                    drop(permit);
                }
                3 if !waiting.is_empty() => {
                    let (number, gone) = waiting.swap_remove(draw(waiting.len()));
                    plain.queue.retain(|(waiter, _)| *waiter != number);
                    drop(gone);
                }
                _ => {
                    let more = draw(3);
                    plain.free += more;
                    semaphore.release_many(more);
                }
            }
            plain.serve();
            waiting.retain_mut(|(number, acquire)| {
                let answer = poll(acquire);
                assert_eq!(answer.is_ready(), plain.served.contains(number), "waiter {number}");
                if let Poll::Ready(permit) = answer {
                    held.push(permit.unwrap());
                    return false;
                }
                true
            });
            let free = if plain.queue.is_empty() { plain.free } else { 0 };
            assert_eq!(semaphore.available(), free, "free permits are kept for the first waiter");
        }
    }
}

#[test]
fn no_more_threads_are_inside_than_there_are_permits() {
    let semaphore = Arc::new(Semaphore::new(3));
    let inside = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            thread::spawn(move || {
                for round in 0..2_000 {
                    let count = 1 + (number + round) % 3;
                    let permit = match count {
                        1 => semaphore.acquire_blocking(),
                        _ => block_on(semaphore.acquire_many(count)),
                    };
                    assert!(inside.fetch_add(count, Ordering::SeqCst) + count <= 3);
                    inside.fetch_sub(count, Ordering::SeqCst);
                    drop(permit.unwrap());
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(semaphore.available(), 3);
}
