//! Old names: wrappers of the schedulers that know only them still reach what they name.

#![allow(deprecated)]

use moirai_core::{Guarantees, LocalQueue, Priority, QueueReason, Scheduler, Visibility};
use moirai_scheduler::{EarliestDeadline, GlobalFifo, PriorityBands, ThreadPerCore, WorkStealing};

/// Forwards everything, by the old names.
struct Wrapper<S>(S);

struct WrapperLocal<L>(L);

impl<T: Send + 'static, S: Scheduler<T>> Scheduler<T> for Wrapper<S> {
    type Local = WrapperLocal<S::Local>;

    fn start(&self, workers: usize) -> Vec<Self::Local> {
        self.0.start(workers).into_iter().map(WrapperLocal).collect()
    }
    fn push(&self, task: T, priority: Priority) -> Visibility {
        self.0.push(task, priority)
    }
    fn take(&self) -> Option<T> {
        self.0.take()
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn claims(&self) -> Guarantees {
        self.0.claims()
    }
}

impl<T: Send + 'static, L: LocalQueue<T>> LocalQueue<T> for WrapperLocal<L> {
    fn push(&mut self, task: T, priority: Priority, reason: QueueReason) -> Visibility {
        self.0.push(task, priority, reason)
    }
    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }
    fn look_outside(&mut self) {
        self.0.look_outside();
    }
}

/// A token, which answers what schedulers may ask of a task.
#[derive(Debug, PartialEq, Eq)]
struct Token(u64);

impl moirai_core::scheduler::Schedulable for Token {
    fn number(&self) -> u64 {
        self.0
    }
}

fn guarantees_by_the_old_name<S: Scheduler<Token>>(scheduler: S) {
    let by_the_new = format!("{:?}", scheduler.guarantees());
    assert_ne!(by_the_new, format!("{:?}", Guarantees::default()));
    let wrapper = Wrapper(scheduler);
    assert_eq!(format!("{:?}", Scheduler::<Token>::claims(&wrapper)), by_the_new);
    assert_eq!(format!("{:?}", Scheduler::<Token>::guarantees(&wrapper)), by_the_new);
}

#[test]
fn a_wrapper_that_knows_only_the_old_name_has_the_guarantees_of_what_it_wraps() {
    guarantees_by_the_old_name(WorkStealing::new());
    guarantees_by_the_old_name(GlobalFifo::new());
    guarantees_by_the_old_name(PriorityBands::strict());
    guarantees_by_the_old_name(EarliestDeadline::new());
    guarantees_by_the_old_name(ThreadPerCore::hashed());
}

fn injector_by_the_old_name<S: Scheduler<Token>>(scheduler: S) {
    let wrapper = Wrapper(scheduler);
    let mut local = wrapper.start(1).pop().unwrap();
    for number in 1..=3 {
        let _ = local.push(Token(number), Priority::Normal, QueueReason::Offered);
    }
    let _ = wrapper.push(Token(9), Priority::Normal);
    // Called by the new name, as the executor does; the wrapper forwards the old one.
    local.prefer_injector();
    assert_eq!(local.pop(), Some(Token(9)));
}

#[test]
fn a_wrapper_that_knows_only_the_old_name_looks_into_the_injector() {
    injector_by_the_old_name(WorkStealing::new());
    injector_by_the_old_name(PriorityBands::strict());
    let boxed: Box<dyn LocalQueue<Token>> =
        Box::new(WrapperLocal(WorkStealing::new().start(1).pop().unwrap()));
    let mut wrapper = WrapperLocal(boxed);
    wrapper.prefer_injector();
    assert_eq!(wrapper.pop(), None);
}
