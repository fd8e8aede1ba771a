//! Old names: what implements or uses them is reached by the new ones.

#![allow(deprecated)]

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use moirai_core::{
    Claims, LocalQueue, Priority, Ready, Recorder, Scheduler, TaskSample, Visibility,
};

/// A scheduler, a local queue and a recorder that implement only the old names.
#[derive(Default)]
struct Old(AtomicUsize);

#[derive(Default)]
struct OldLocal(Cell<usize>);

impl Scheduler<u32> for Old {
    type Local = OldLocal;

    fn start(&self, _: usize) -> Vec<OldLocal> {
        Vec::new()
    }
    fn push(&self, _: u32, _: Priority) -> Visibility {
        Visibility::Shared
    }
    fn take(&self) -> Option<u32> {
        None
    }
    fn len(&self) -> usize {
        0
    }
    fn claims(&self) -> Claims {
        Claims::none().fairness(7)
    }
}

impl LocalQueue<u32> for OldLocal {
    fn push(&mut self, _: u32, _: Priority, reason: Ready) -> Visibility {
        assert_eq!(reason, Ready::Offered);
        Visibility::Shared
    }
    fn pop(&mut self) -> Option<u32> {
        None
    }
    fn look_outside(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Recorder for Old {
    fn task_finished(&self, _: Option<usize>, _: &TaskSample) {}
    fn seat_handed_on(&self, _: usize) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn implementations_of_the_old_names_are_called_through_the_new_ones() {
    let old = Old::default();
    assert_eq!(old.guarantees().fairness, Some(7));
    old.core_handed_off(0);
    assert_eq!(old.0.load(Ordering::Relaxed), 1);
    let mut local = OldLocal::default();
    local.prefer_injector();
    assert_eq!(local.0.get(), 1);
    let _ = local.push(1, Priority::Normal, Ready::Offered);
}
