//! Tests of the conformance kit: schedulers with one fault each, and the case that finds it.
#![cfg(feature = "conformance")]

use std::collections::VecDeque;

use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::{Guarantees, LocalQueue, Order, Priority, QueueReason, Scheduler, Visibility};
use moirai_scheduler::conformance::Token;

/// The fault of a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    DropsOneInAThousand,
    HandsOutTwice,
    WakesAnother,
    Starves,
    LosesOnDrain,
    WrongOrder,
    IgnoresPriorities,
    LosesOnRetire,
    LosesOnPanic,
    GivesUp,
    Miscounts,
    Leaks,
    ForgetsWhatWasPushedBefore,
    PanicsInARace,
    ReclaimsACopy,
    CarriesInTheOpen,
    SaysSlotFromOutside,
    ForgetsToWake,
    OverlooksWork,
    SeesWorkThatIsNotThere,
}

type Queue = Mutex<VecDeque<Token>>;

/// A scheduler with one queue for all workers and one for each of them, each under a lock; and a fault.
struct Faulty(Arc<Inner>);

struct Inner {
    fault: Fault,
    shared: Queue,
    workers: Mutex<Vec<Arc<Queue>>>,
    pushes: AtomicUsize,
    pops: AtomicUsize,
}

struct Local {
    inner: Arc<Inner>,
    index: usize,
    own: Arc<Queue>,
    looks: usize,
}

fn faulty(fault: Fault) -> Faulty {
    Faulty(Arc::new(Inner {
        fault,
        shared: Mutex::new(VecDeque::new()),
        workers: Mutex::new(Vec::new()),
        pushes: AtomicUsize::new(0),
        pops: AtomicUsize::new(0),
    }))
}

impl Inner {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Puts a task into a queue, unless the fault is to drop it.
    fn put(&self, queue: &Queue, token: Token) {
        let pushes = self.pushes.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is(Fault::DropsOneInAThousand) && pushes.is_multiple_of(1_000) {
            return;
        }
        queue.lock().push_back(token);
    }

    fn get(&self, queue: &Queue) -> Option<Token> {
        let pops = self.pops.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is(Fault::PanicsInARace) {
            let empty = queue.lock().is_empty();
            if pops.is_multiple_of(2) {
                moirai_core::shim::thread::yield_now();
            }
            return (!empty).then(|| queue.lock().pop_front().unwrap());
        }
        if self.is(Fault::GivesUp) {
            return queue.try_lock()?.pop_front();
        }
        let mut queue = queue.lock();
        if self.is(Fault::WrongOrder) && pops.is_multiple_of(50) {
            return queue.pop_back();
        }
        let token = queue.pop_front()?;
        if self.is(Fault::HandsOutTwice) && pops.is_multiple_of(97) {
            queue.push_front(token.clone());
        }
        Some(token)
    }

    fn workers(&self) -> Vec<Arc<Queue>> {
        self.workers.lock().clone()
    }
}

impl Scheduler<Token> for Faulty {
    type Local = Local;

    fn start(&self, workers: usize) -> Vec<Local> {
        let queues: Vec<Arc<Queue>> =
            (0..workers).map(|_| Arc::new(Mutex::new(VecDeque::new()))).collect();
        if self.0.is(Fault::ForgetsWhatWasPushedBefore) {
            self.0.shared.lock().clear();
        }
        self.0.workers.lock().clone_from(&queues);
        let local = |(index, own)| Local { inner: Arc::clone(&self.0), index, own, looks: 0 };
        queues.into_iter().enumerate().map(local).collect()
    }

    fn push(&self, token: Token, _: Priority) -> Visibility {
        let workers = self.0.workers();
        if self.0.is(Fault::WakesAnother) && workers.len() > 1 {
            // Put where only the last worker looks, while the first one is woken.
            self.0.put(&workers[workers.len() - 1], token);
            return Visibility::Worker(0);
        }
        self.0.put(&self.0.shared, token);
        if self.0.is(Fault::SaysSlotFromOutside) { Visibility::Slot } else { Visibility::Shared }
    }

    fn take(&self) -> Option<Token> {
        let shared = self.0.get(&self.0.shared);
        if self.0.is(Fault::LosesOnDrain) {
            return shared;
        }
        shared.or_else(|| self.0.workers().iter().find_map(|queue| self.0.get(queue)))
    }

    fn reclaim(&self, worker: usize) -> Option<Token> {
        let workers = self.0.workers();
        if self.0.is(Fault::ReclaimsACopy) {
            return workers[worker].lock().front().cloned();
        }
        self.0.get(&workers[worker])
    }

    fn len(&self) -> usize {
        let shared = self.0.shared.lock().len();
        if self.0.is(Fault::Miscounts) {
            return shared;
        }
        shared + self.0.workers().iter().map(|queue| queue.lock().len()).sum::<usize>()
    }

    fn guarantees(&self) -> Guarantees {
        let claims =
            Guarantees::none().order(Order::ByKey(|_, _| 0)).fairness(2 * SHARED_EVERY as u32);
        if self.0.is(Fault::IgnoresPriorities) { claims.inversion(0) } else { claims }
    }
}

/// Once in this many times that it looks for a task, a worker looks first in the queue for all.
const SHARED_EVERY: usize = 8;

impl LocalQueue<Token> for Local {
    fn push(&mut self, token: Token, _: Priority, _: QueueReason) -> Visibility {
        if self.inner.is(Fault::Starves) {
            self.own.lock().push_front(token);
        } else {
            self.inner.put(&self.own, token);
        }
        if self.inner.is(Fault::ForgetsToWake) {
            return Visibility::Slot;
        }
        Visibility::Shared
    }

    fn pop(&mut self) -> Option<Token> {
        self.looks += 1;
        let inner = &*self.inner;
        if inner.is(Fault::WakesAnother) {
            return inner.get(&self.own).or_else(|| inner.get(&inner.shared));
        }
        if inner.is(Fault::CarriesInTheOpen) {
            let batch = std::mem::take(&mut *inner.shared.lock());
            moirai_core::shim::thread::yield_now();
            self.own.lock().extend(batch);
        }
        if self.looks.is_multiple_of(SHARED_EVERY)
            && let Some(token) = inner.get(&inner.shared)
        {
            return Some(token);
        }
        let others = || {
            let workers = inner.workers();
            let mut others = workers.iter().enumerate().filter(|(index, _)| *index != self.index);
            others.find_map(|(_, queue)| inner.get(queue))
        };
        inner.get(&self.own).or_else(|| inner.get(&inner.shared)).or_else(others)
    }

    fn has_work(&mut self) -> Option<bool> {
        match self.inner.fault {
            Fault::OverlooksWork => Some(false),
            Fault::SeesWorkThatIsNotThere => Some(true),
            _ => None,
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let unwinding = std::thread::panicking();
        if self.inner.is(Fault::LosesOnRetire) && !unwinding
            || self.inner.is(Fault::LosesOnPanic) && unwinding
        {
            self.own.lock().clear();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.is(Fault::Leaks) {
            std::mem::forget(std::mem::take(&mut *self.shared.lock()));
        }
    }
}

#[cfg(not(moirai_loom))]
mod found {
    use super::{Fault, faulty};
    use moirai_scheduler::conformance::{CASES, check};

    /// Checks that the case finds the fault, with a message that contains `says`.
    fn found_by(fault: Fault, case: &str, says: &str) {
        // A race between threads may need a second chance where processors are scarce.
        let find = || check(case, || faulty(fault)).err();
        let violation = (0..20).find_map(|_| find()).expect("the fault is found");
        assert_eq!(violation.case(), case);
        assert!(violation.to_string().contains(says), "{violation}");
    }

    #[test]
    fn without_a_fault_nothing_is_found() {
        for case in CASES {
            assert_eq!(check(case, || faulty(Fault::None)), Ok(()));
        }
    }

    #[test]
    fn one_in_a_thousand_is_dropped() {
        found_by(Fault::DropsOneInAThousand, "exactly_once_under_stress", "never came out");
    }

    #[test]
    fn one_is_handed_out_twice() {
        found_by(Fault::HandsOutTwice, "exactly_once_under_stress", "was handed out");
        found_by(Fault::HandsOutTwice, "random_operations", "rule");
    }

    #[test]
    fn the_wrong_worker_is_woken() {
        found_by(Fault::WakesAnother, "no_lost_wake_up", "workers slept while tasks waited");
        found_by(Fault::WakesAnother, "random_operations", "found nothing");
    }

    #[test]
    fn nobody_is_woken() {
        found_by(Fault::ForgetsToWake, "random_operations", "nobody would be woken");
    }

    #[test]
    fn a_task_starves() {
        found_by(Fault::Starves, "fairness_as_guaranteed", "was passed over");
    }

    #[test]
    fn tasks_are_lost_on_drain() {
        found_by(Fault::LosesOnDrain, "drained", "`take` found nothing");
    }

    #[test]
    fn the_order_is_wrong() {
        found_by(Fault::WrongOrder, "order_as_guaranteed", "the turn of token");
    }

    #[test]
    fn priorities_are_ignored() {
        found_by(Fault::IgnoresPriorities, "priorities_as_guaranteed", "less urgent");
    }

    #[test]
    fn a_retiring_worker_takes_its_tasks_with_it() {
        found_by(Fault::LosesOnRetire, "a_retired_worker_loses_nothing", "never came out");
        found_by(Fault::LosesOnRetire, "dropped_with_its_tasks", "before the scheduler");
    }

    #[test]
    fn a_worker_that_unwinds_takes_its_tasks_with_it() {
        found_by(Fault::LosesOnPanic, "a_panic_in_the_middle_loses_nothing", "never came out");
    }

    #[test]
    fn a_lost_race_is_reported_as_empty() {
        found_by(Fault::GivesUp, "no_spurious_nothing", "found nothing");
    }

    #[test]
    fn tasks_in_flight_are_missed() {
        found_by(Fault::CarriesInTheOpen, "no_spurious_nothing", "found nothing");
    }

    #[test]
    fn the_count_leaves_something_out() {
        found_by(Fault::Miscounts, "random_operations", "`len` says");
    }

    #[test]
    fn tasks_are_leaked() {
        found_by(Fault::Leaks, "dropped_with_its_tasks", "were not dropped");
    }

    #[test]
    fn what_was_pushed_before_is_forgotten() {
        let case = "started_once_with_what_was_pushed_before";
        found_by(Fault::ForgetsWhatWasPushedBefore, case, "a worker found 0");
    }

    #[test]
    fn a_race_panics() {
        found_by(Fault::PanicsInARace, "exactly_once_under_stress", "it panicked");
    }

    #[test]
    fn what_is_reclaimed_stays() {
        found_by(Fault::ReclaimsACopy, "random_operations", "are queued");
    }

    #[test]
    fn a_slot_is_claimed_where_there_is_none() {
        found_by(Fault::SaysSlotFromOutside, "random_operations", "`Visibility::Slot`");
    }

    #[test]
    fn a_look_overlooks_work() {
        found_by(Fault::OverlooksWork, "random_operations", "rule 2, 3 or 11: `has_work`");
    }

    #[test]
    fn a_look_sees_work_that_is_not_there() {
        found_by(Fault::SeesWorkThatIsNotThere, "random_operations", "rule 11");
    }

    #[test]
    #[should_panic(expected = "there is no case")]
    fn a_case_that_does_not_exist_is_refused() {
        let _ = check("no such case", || faulty(Fault::None));
    }
}

#[cfg(moirai_loom)]
mod found {
    use super::{Fault, Faulty, faulty};
    use moirai_scheduler::conformance::models;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    type New = fn() -> Faulty;

    fn found_by(model: fn(New), new: New) {
        assert!(catch_unwind(AssertUnwindSafe(|| model(new))).is_err(), "the fault is not found");
    }

    #[test]
    fn loom_without_a_fault_nothing_is_found() {
        let new: New = || faulty(Fault::None);
        models::loom_two_takers_get_two_tasks(new);
        models::loom_two_workers_get_two_tasks(new);
        models::loom_one_task_goes_to_one_of_two_takers(new);
        models::loom_a_push_is_found_or_the_flag_is_seen(new);
        models::loom_workers_share_what_one_of_them_pushed(new);
        models::loom_no_wake_up_is_lost(new);
        models::loom_a_worker_retires_while_another_takes(new);
    }

    #[test]
    fn loom_tasks_in_flight_are_missed() {
        found_by(models::loom_two_workers_get_two_tasks, || faulty(Fault::CarriesInTheOpen));
    }

    #[test]
    fn loom_a_race_panics() {
        found_by(models::loom_one_task_goes_to_one_of_two_takers, || faulty(Fault::PanicsInARace));
    }

    #[test]
    fn loom_a_retiring_worker_takes_its_tasks_with_it() {
        let new: New = || faulty(Fault::LosesOnRetire);
        found_by(models::loom_a_worker_retires_while_another_takes, new);
    }
}
