//! Tests of what each of the other schedulers promises, exact to the task.

use std::collections::BTreeSet;

use moirai_core::{LocalQueue, Priority, QueueReason, Schedulable, Scheduler, Visibility};

use crate::thread_per_core::INBOX_EVERY;
use crate::{Deterministic, EarliestDeadline, GlobalFifo, PriorityBands, Strategy, ThreadPerCore};

/// A token whose answers are given by its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    number: u64,
    affinity: Option<u64>,
    deadline: Option<u64>,
    late: bool,
    home: Option<usize>,
}

impl Schedulable for Said {
    fn number(&self) -> u64 {
        self.number
    }

    fn affinity(&self) -> u64 {
        self.affinity.unwrap_or(self.number)
    }

    fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn is_late(&self) -> bool {
        self.late
    }

    fn home(&self) -> Option<usize> {
        self.home
    }
}

fn said(number: u64) -> Said {
    Said { number, ..Said::default() }
}

/// Returns the priorities of the next `pops` tasks, while tasks wait in all bands.
fn drawn(scheduler: &PriorityBands<Priority>, pops: usize) -> Vec<Priority> {
    let mut worker = scheduler.start(1).remove(0);
    for priority in Priority::ALL {
        for _ in 0..pops {
            let _ = scheduler.push(priority, priority);
        }
    }
    (0..pops).filter_map(|_| worker.pop()).collect()
}

fn count(drawn: &[Priority], priority: Priority) -> usize {
    drawn.iter().filter(|it| **it == priority).count()
}

#[test]
fn strict_bands_hand_out_the_highest_and_weighted_ones_in_proportion() {
    let strict = drawn(&PriorityBands::strict(), 30);
    assert_eq!(count(&strict, Priority::Critical), 30);
    // Weights from low to critical. Two rounds of fifteen tasks, each with as many of a band as its weight, spread out.
    let weighted = drawn(&PriorityBands::weighted([1, 2, 4, 8]), 30);
    for round in weighted.chunks(15) {
        let counts = Priority::ALL.map(|priority| count(round, priority));
        assert_eq!(counts, [1, 2, 4, 8]);
        let runs = round.split(|it| *it != Priority::Critical).map(<[_]>::len);
        assert!(runs.max() <= Some(2), "{round:?}");
    }
    let zeros = drawn(&PriorityBands::weighted([0; 4]), 40);
    assert_eq!(Priority::ALL.map(|priority| count(&zeros, priority)), [10; 4]);
}

#[test]
fn an_aged_band_gets_a_turn_after_as_many_passes() {
    let aged = drawn(&PriorityBands::strict().ageing(10), 200);
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        let turns: Vec<_> =
            aged.iter().enumerate().filter(|(_, it)| **it == priority).map(|(at, _)| at).collect();
        let gaps: Vec<_> = turns.windows(2).map(|pair| pair[1] - pair[0] - 1).collect();
        assert!(turns.len() > 10 && gaps.iter().all(|gap| (10..=12).contains(gap)), "{gaps:?}");
    }
    assert_eq!(count(&drawn(&PriorityBands::weighted([1; 4]).ageing(1), 40), Priority::Low), 10);
}

#[test]
fn a_fifo_disregards_priority_and_reason() {
    let scheduler = GlobalFifo::new();
    let mut workers = scheduler.start(2);
    for (number, reason) in QueueReason::ALL.into_iter().enumerate() {
        let _ = scheduler.push(2 * number, Priority::ALL[number]);
        let _ = workers[number % 2].push(2 * number + 1, Priority::ALL[3 - number], reason);
    }
    let order: Vec<_> = (0..8).filter_map(|pop| workers[pop % 2].pop()).collect();
    assert_eq!(order, (0..8).collect::<Vec<_>>());
}

#[test]
fn deadlines_missed_are_counted_once_and_only_before_the_first_run() {
    let scheduler = EarliestDeadline::new();
    let misses = scheduler.misses();
    let mut worker = scheduler.start(1).remove(0);
    let late = Said { late: true, deadline: Some(1), ..said(1) };
    let in_time = Said { deadline: Some(2), ..said(2) };
    let late_again = Said { late: true, deadline: Some(3), home: Some(0), ..said(3) };
    for token in [late_again, in_time, late] {
        let _ = worker.push(token, Priority::Critical, QueueReason::Woken);
    }
    assert_eq!([1, 2, 3].map(|_| worker.pop().map(|token| token.number)), [1, 2, 3].map(Some));
    assert_eq!(misses.get(), 1);
}

#[test]
fn tasks_of_one_affinity_have_one_worker_and_others_are_spread() {
    let scheduler = ThreadPerCore::hashed();
    let mut workers = scheduler.start(4);
    let place = |visibility| match visibility {
        Visibility::Worker(worker) => worker,
        other => panic!("{other:?}"),
    };
    for affinity in 0..50 {
        let token = |number| Said { affinity: Some(affinity), ..said(number) };
        let from_outside = place(scheduler.push(token(1), Priority::Low));
        for worker in &mut workers {
            assert_eq!(
                place(worker.push(token(2), Priority::High, QueueReason::Woken)),
                from_outside
            );
        }
    }
    let mut of_each = [0; 4];
    (0..4_000)
        .for_each(|number| of_each[place(scheduler.push(said(number), Priority::Normal))] += 1);
    assert!(of_each.iter().all(|of| (900..=1_100).contains(of)), "{of_each:?}");
}

#[test]
fn a_sticky_task_goes_home_and_a_new_one_stays_where_it_was_spawned() {
    let scheduler = ThreadPerCore::sticky();
    let mut workers = scheduler.start(3);
    let at_home = Said { home: Some(2), ..said(1) };
    assert_eq!(scheduler.push(at_home, Priority::Normal), Visibility::Worker(2));
    assert_eq!(
        workers[0].push(at_home, Priority::Normal, QueueReason::Woken),
        Visibility::Worker(2)
    );
    assert_eq!(
        workers[0].push(said(2), Priority::Normal, QueueReason::Spawned),
        Visibility::Worker(0)
    );
    // A home that does not exist.
    let lost = Said { home: Some(7), ..said(3) };
    assert_eq!(workers[1].push(lost, Priority::Normal, QueueReason::Woken), Visibility::Worker(1));
    let turns: BTreeSet<_> =
        (0..3).map(|number| format!("{:?}", scheduler.push(said(number), Priority::Low))).collect();
    assert_eq!(turns.len(), 3);
}

#[test]
fn the_tasks_of_a_worker_that_makes_no_progress_go_to_any_worker() {
    let scheduler = ThreadPerCore::hashed();
    let mut workers = scheduler.start(2);
    let token = |number| Said { affinity: Some(1), ..said(number) };
    let Visibility::Worker(stuck) = scheduler.push(token(1), Priority::Normal) else { panic!() };
    let other = 1 - stuck;
    assert_eq!(workers[other].pop(), None);
    let reclaimed = scheduler.reclaim(stuck).unwrap();
    assert_eq!(scheduler.push(reclaimed, Priority::Normal), Visibility::Shared);
    assert_eq!(workers[other].pop(), Some(token(1)));
    // The worker goes on, and gets its own tasks again.
    assert_eq!(workers[stuck].pop(), None);
    assert_eq!(scheduler.push(token(2), Priority::Normal), Visibility::Worker(stuck));
    assert_eq!(scheduler.reclaim(9), None);
}

#[test]
fn what_others_have_pushed_is_looked_at_first_now_and_then() {
    let scheduler = ThreadPerCore::sticky();
    let mut worker = scheduler.start(1).remove(0);
    let _ = scheduler.push(said(0), Priority::Normal);
    let mut pops = 0;
    loop {
        let _ = worker.push(said(1), Priority::Normal, QueueReason::Yielded);
        let _ = worker.push(said(1), Priority::Normal, QueueReason::Yielded);
        pops += 1;
        if worker.pop() == Some(said(0)) {
            break;
        }
    }
    assert_eq!(pops, INBOX_EVERY);
    let _ = scheduler.push(said(0), Priority::Normal);
    worker.prefer_injector();
    assert_eq!(worker.pop(), Some(said(0)));
}

fn order_of(scheduler: &Deterministic<Said>, tokens: u64) -> Vec<u64> {
    let mut worker = scheduler.start(1).remove(0);
    for number in 0..tokens {
        let _ = scheduler.push(said(number), Priority::Normal);
    }
    std::iter::from_fn(|| worker.pop().map(|token| token.number)).collect()
}

#[test]
fn each_order_of_a_few_tasks_is_drawn_by_some_seed() {
    for strategy in [Strategy::Uniform, Strategy::Pct { depth: 1, steps: 4 }] {
        let order = |seed| order_of(&Deterministic::with_strategy(seed, strategy), 4);
        let orders: BTreeSet<_> = (0..500).map(order).collect();
        assert_eq!(orders.len(), 24, "{strategy:?}");
    }
    let strategies: BTreeSet<_> =
        (0..1_000).map(|seed| format!("{:?}", Strategy::of_seed(seed))).collect();
    assert!(strategies.len() > 40);
}

/// Returns which task runs at each of the next steps, if every task is pushed again as soon as it was popped.
fn runs(strategy: Strategy, seed: u64, reason: QueueReason, steps: usize) -> Vec<u64> {
    let scheduler = Deterministic::with_strategy(seed, strategy);
    let mut worker = scheduler.start(1).remove(0);
    for number in 0..4 {
        let _ = scheduler.push(said(number), Priority::Normal);
    }
    let step = |_| {
        let token = worker.pop().unwrap();
        let _ = worker.push(token, Priority::Normal, reason);
        token.number
    };
    (0..steps).map(step).collect()
}

#[test]
fn by_priorities_one_task_goes_on_until_it_falls() {
    for seed in 0..50 {
        for depth in 1..4 {
            let strategy = Strategy::Pct { depth, steps: 100 };
            let mut sequence = runs(strategy, seed, QueueReason::Woken, 200);
            sequence.dedup();
            assert!(sequence.len() <= depth as usize, "{sequence:?}");
        }
    }
    // Three changes at three different steps let four tasks run, one after the other.
    let tasks = |seed| {
        let mut sequence =
            runs(Strategy::Pct { depth: 4, steps: 100 }, seed, QueueReason::Woken, 200);
        sequence.dedup();
        sequence.len()
    };
    assert!((0..50).any(|seed| tasks(seed) == 4));
}

#[test]
fn a_task_that_yields_lets_all_others_go_on() {
    for seed in 0..20 {
        let sequence =
            runs(Strategy::Pct { depth: 3, steps: 100 }, seed, QueueReason::Yielded, 400);
        for number in 0..4 {
            assert!(sequence.iter().filter(|it| **it == number).count() > 20, "{number}");
        }
    }
}
