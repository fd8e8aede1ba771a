use super::{Work, explore, poll};
use crate::wait_group::WaitGroup;
use loom::thread;
use moirai_core::shim::sync::Arc;

#[test]
fn the_last_of_two_members_ends_the_wait_and_the_work_of_both_is_seen() {
    explore(|| {
        let group = WaitGroup::new();
        let work = [Work::new(), Work::new()];
        let members = work.clone().map(|work| {
            let guard = group.add();
            thread::spawn(move || {
                work.done();
                drop(guard);
            })
        });
        group.wait_blocking();
        assert!(work.iter().all(Work::is_done));
        for member in members {
            member.join().unwrap();
        }
    });
}

#[test]
fn who_looks_without_a_lock_sees_what_came_before() {
    explore(|| {
        let group = WaitGroup::new();
        let work = [Work::new(), Work::new()];
        // The members are first, for the reason given in the model of the same name for events.
        let members = work.clone().map(|work| {
            let guard = group.add();
            thread::spawn(move || {
                work.done();
                drop(guard);
            })
        });
        let looking = thread::spawn(move || {
            if group.members() == 0 {
                assert!(work.iter().all(Work::is_done));
            }
        });
        for thread in members {
            thread.join().unwrap();
        }
        looking.join().unwrap();
    });
}

#[test]
fn a_member_that_clones_itself_holds_the_wait_up() {
    explore(|| {
        let group = WaitGroup::new();
        let work = Work::new();
        let guard = group.add();
        let member = thread::spawn({
            let work = work.clone();
            move || {
                let second = guard.clone();
                drop(guard);
                work.done();
                drop(second);
            }
        });
        group.wait_blocking();
        assert!(work.is_done());
        member.join().unwrap();
    });
}

#[test]
fn a_group_used_again_owes_nothing_to_who_waited_before() {
    explore(|| {
        let group = Arc::new(WaitGroup::new());
        let work = Work::new();
        let guard = group.add();
        let mut early = group.wait();
        assert!(poll(&mut early).is_pending());
        let member = thread::spawn({
            let (group, work) = (Arc::clone(&group), work.clone());
            move || {
                work.done();
                drop(guard);
                group.add()
            }
        });
        let mut late = group.wait();
        let late_was_ready = poll(&mut late).is_ready();
        let early_was_ready = poll(&mut early).is_ready();
        if early_was_ready {
            assert!(work.is_done());
        }
        let again = member.join().unwrap();
        assert!(early_was_ready || poll(&mut early).is_ready());
        drop(again);
        assert!(late_was_ready || poll(&mut late).is_ready());
    });
}

#[test]
fn a_wait_for_a_new_member_is_not_ended_by_an_old_one() {
    explore(|| {
        let group = WaitGroup::new();
        let old = group.add();
        let leaving = thread::spawn(move || drop(old));
        let new = group.add();
        let mut wait = group.wait();
        assert!(poll(&mut wait).is_pending());
        leaving.join().unwrap();
        assert!(poll(&mut wait).is_pending());
        drop(new);
        assert!(poll(&mut wait).is_ready());
    });
}
