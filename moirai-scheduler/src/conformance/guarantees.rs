//! The cases that test whether a scheduler keeps its [`Guarantees`](moirai_core::Guarantees) (rule 10).

use std::time::Duration;

use moirai_core::{
    Hints, LocalQueue, Order, Priority, QueueReason, Schedulable, Scheduler, Visibility,
};

use super::token::Token;
use super::violation::CaseResult;
use crate::rng::SplitMix64;

/// The way in which a task is pushed.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// `None`: by a thread that is not a worker.
    reason: Option<QueueReason>,
    priority: Priority,
    /// Whether its next poll is expected to take very long.
    long: bool,
}

/// Returns all ways in which tasks can be pushed, also those that differ only for a scheduler that reads `hints`.
fn ways(hints: Hints) -> Vec<Way> {
    let readies = std::iter::once(None).chain(QueueReason::ALL.map(Some));
    let short = readies
        .flat_map(|reason| Priority::ALL.map(|priority| Way { reason, priority, long: false }));
    let lengths: &[bool] = if hints.poll_estimates { &[false, true] } else { &[false] };
    short.flat_map(|way| lengths.iter().map(move |&long| Way { long, ..way })).collect()
}

/// A scheduler with one worker.
struct One<S: Scheduler<Token>> {
    scheduler: S,
    local: S::Local,
    pushed: u64,
}

impl<S: Scheduler<Token>> One<S> {
    fn new(scheduler: S) -> Result<Self, String> {
        let mut locals = scheduler.start(1);
        let local = locals.pop().filter(|_| locals.is_empty());
        let local = local.ok_or("`start(1)` did not make one local queue")?;
        Ok(Self { scheduler, local, pushed: 0 })
    }

    fn push(&mut self, way: Way) -> u64 {
        self.pushed += 1;
        let expected = way.long.then_some(Duration::from_secs(3_600));
        self.push_token(Token::new(self.pushed).expect_poll(expected), way);
        self.pushed
    }

    fn push_token(&mut self, token: Token, way: Way) {
        let _: Visibility = match way.reason {
            None => self.scheduler.push(token, way.priority),
            Some(reason) => self.local.push(token, way.priority, reason),
        };
    }
}

pub(super) fn order_as_guaranteed<S: Scheduler<Token>>(new: &(dyn Fn() -> S + Sync)) -> CaseResult {
    for seed in 0..50 {
        let mut rng = SplitMix64::new(seed);
        let mut one = One::new(new())?;
        let mut expected = Vec::new();
        for number in 0..200_u64 {
            let token = Token::new(number).describe(|below| rng.below(below));
            let priority = Priority::ALL[rng.below(Priority::ALL.len())];
            let key = match one.scheduler.guarantees().order {
                Order::ByKey(key) => key(&token as &dyn Schedulable, priority),
                _ => priority as u64,
            };
            expected.push((key, number));
            one.push_token(token, Way { reason: None, priority, long: false });
        }
        let order = one.scheduler.guarantees().order;
        let came: Vec<_> =
            std::iter::from_fn(|| one.local.pop().map(|token| token.number())).collect();
        match order {
            Order::ByKey(_) => {
                expected.sort_unstable();
                let wrong = expected.iter().zip(&came).find(|((_, number), came)| number != *came);
                if let Some(((key, number), came)) = wrong {
                    return Err(format!(
                        "rule 10: token {came} came when it was the turn of token {number}, whose key is {key}"
                    ));
                }
            }
            Order::Fifo => {
                for priority in Priority::ALL {
                    let of = |number: &&u64| expected[**number as usize].0 == priority as u64;
                    let sequence: Vec<_> = came.iter().filter(of).collect();
                    if let Some(pair) = sequence.windows(2).find(|pair| pair[0] > pair[1]) {
                        return Err(format!(
                            "rule 10: token {} of priority {priority} came before token {}, which was pushed earlier",
                            pair[0], pair[1]
                        ));
                    }
                }
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

pub(super) fn fairness_as_guaranteed<S: Scheduler<Token>>(
    new: &(dyn Fn() -> S + Sync),
) -> CaseResult {
    let Some(bound) = new().guarantees().fairness else { return Ok(()) };
    let ways = ways(new().hints());
    for victim in &ways {
        // Rivals that are all pushed in one way, and rivals that are pushed in all ways by turns.
        let sole = ways.iter().map(std::slice::from_ref);
        for (warm, rivals) in sole.chain([&ways[..]]).enumerate() {
            let mut one = One::new(new())?;
            // Brings the counters of the scheduler to arbitrary values.
            for _ in 0..warm * 7 {
                one.push(*victim);
                let _ = one.local.pop();
            }
            let victim_number = one.push(*victim);
            let mut rival = rivals.iter().cycle();
            let mut next = || *rival.next().expect("a cycle");
            one.push(next());
            let mut passed = 0;
            loop {
                one.push(next());
                match one.local.pop() {
                    None => return Err("rule 4: `pop` found nothing, though tasks wait".into()),
                    Some(token) if token.number() == victim_number => break,
                    Some(_) => passed += 1,
                }
                if passed > bound {
                    return Err(format!(
                        "rule 10: a task that came in by {victim:?} was passed over by more than the {bound} others that are claimed, which came in by {:?}",
                        if rivals.len() == 1 { &rivals[..1] } else { &[] }
                    ));
                }
            }
        }
    }
    Ok(())
}

pub(super) fn priorities_as_guaranteed<S: Scheduler<Token>>(
    new: &(dyn Fn() -> S + Sync),
) -> CaseResult {
    let Some(bound) = new().guarantees().inversion else { return Ok(()) };
    let ways = ways(new().hints());
    for urgent in ways.iter().filter(|way| way.priority > Priority::Low) {
        for pops in 0..150 {
            let mut one = One::new(new())?;
            let lower = ways.iter().filter(|way| way.priority < urgent.priority);
            for way in lower.cycle().take(400) {
                one.push(*way);
            }
            for _ in 0..pops {
                let _ = one.local.pop();
            }
            let number = one.push(*urgent);
            let mut passed = 0;
            while one.local.pop().is_some_and(|token| token.number() != number) {
                passed += 1;
            }
            if passed > bound {
                return Err(format!(
                    "rule 10: {passed} less urgent tasks went before one that came in by {urgent:?}; {bound} are claimed"
                ));
            }
        }
    }
    Ok(())
}
