//! Models of the slot: each task leaves it once, as a whole.

use crate::work_stealing::slot::{Put, slot};
use loom::thread;

use crate::tests::models::explore;

#[test]
fn a_task_displaced_and_a_task_stolen_are_two() {
    explore(3, || {
        let (mut owner, thief) = slot();
        let thieving = thread::spawn(move || thief.take());
        let mut out = Vec::new();
        for token in [Box::new(1), Box::new(2)] {
            match owner.put(token) {
                Put::Stored => {}
                Put::Displaced(token) | Put::Refused(token) => out.push(token),
            }
            // So that loom explores a theft between the two.
            thread::yield_now();
        }
        out.extend(owner.take());
        out.extend(thieving.join().unwrap());
        // The thief may hold the slot while the owner looks; by now it has released it.
        out.extend(owner.take());
        out.sort_unstable();
        assert_eq!(out, [Box::new(1), Box::new(2)]);
    });
}

#[test]
fn two_thieves_and_the_owner_take_one_task_once() {
    explore(3, || {
        let (mut owner, thief) = slot();
        assert!(matches!(owner.put(Box::new(1)), Put::Stored));
        let thief = moirai_core::shim::sync::Arc::new(thief);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let thief = thief.clone();
                thread::spawn(move || thief.take())
            })
            .collect();
        let mut found = usize::from(owner.take().is_some());
        for thread in threads {
            found += usize::from(thread.join().unwrap().is_some());
        }
        assert_eq!(found, 1);
    });
}

#[test]
fn what_is_left_in_the_slot_is_dropped_with_it() {
    explore(3, || {
        // loom's `Arc` fails the model if it leaks.
        let token = moirai_core::shim::sync::Arc::new(());
        let (mut owner, thief) = slot();
        let thieving = thread::spawn(move || drop(thief.take()));
        drop(owner.put(token.clone()));
        drop(owner);
        thieving.join().unwrap();
    });
}
