//! The cases with a single thread: random calls, compared with a model of what has to be found.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler, Visibility};

use super::token::Token;
use super::violation::CaseResult;
use crate::rng::SplitMix64;

/// The number of workers of the scheduler.
const WORKERS: usize = 3;

/// The number of runs, and of calls in each run.
const RUNS: u64 = 300;
const CALLS: usize = 400;

/// A scheduler, and a model of what must be in it.
struct Fixture<S: Scheduler<Token>> {
    scheduler: S,
    locals: Vec<Option<S::Local>>,
    /// The tokens that were pushed and have not come out.
    inside: BTreeMap<u64, Inside>,
    /// Of the tokens that each worker pushed and that may be in its slot, the number that can be there at most.
    hidden: [usize; WORKERS],
    pushed: u64,
    /// The workers whose last push went into the slot, if no token has come out since.
    slot_is_full: [bool; WORKERS],
    /// The number of times in a row that each worker found nothing, while what was in a slot stayed there.
    in_vain: [u32; WORKERS],
    rng: SplitMix64,
}

/// A token that is queued.
struct Inside {
    visibility: Visibility,
    by: Option<usize>,
    /// It may be in the slot of the worker that pushed it: because the push said so, or because it may have displaced a token that
    /// was there.
    maybe_hidden: bool,
}

impl<S: Scheduler<Token>> Fixture<S> {
    fn new(scheduler: S, seed: u64) -> Result<Self, String> {
        let locals: Vec<_> = scheduler.start(WORKERS).into_iter().map(Some).collect();
        if locals.len() != WORKERS {
            return Err(format!("`start({WORKERS})` made {} local queues", locals.len()));
        }
        Ok(Self {
            scheduler,
            locals,
            inside: BTreeMap::new(),
            hidden: [0; WORKERS],
            slot_is_full: [false; WORKERS],
            pushed: 0,
            in_vain: [0; WORKERS],
            rng: SplitMix64::new(seed),
        })
    }

    fn token(&mut self) -> Token {
        self.pushed += 1;
        Token::new(self.pushed).describe(|below| self.rng.below(below))
    }

    fn priority(&mut self) -> Priority {
        Priority::ALL[self.rng.below(Priority::ALL.len())]
    }

    fn pushed(&mut self, number: u64, visibility: Visibility, by: Option<usize>) -> CaseResult {
        match visibility {
            Visibility::Slot if by.is_none() => {
                return Err(format!(
                    "rule 3: a push of token {number} by no worker returned `Visibility::Slot`"
                ));
            }
            Visibility::Worker(worker) if worker >= WORKERS => {
                return Err(format!(
                    "rule 2: a push of token {number} returned `Visibility::Worker({worker})`: there are {WORKERS} workers"
                ));
            }
            _ => {}
        }
        if visibility == Visibility::Slot
            && let Some(by) = by
            && std::mem::replace(&mut self.slot_is_full[by], true)
        {
            return Err(format!(
                "rule 3: worker {by} pushed two tasks, token {number} the second, and both returned `Visibility::Slot`: nobody would be woken for either"
            ));
        }
        let maybe_hidden = by.is_some_and(|by| match visibility {
            Visibility::Slot => {
                self.hidden[by] += 1;
                true
            }
            Visibility::Shared => self.hidden[by] > 0,
            Visibility::Worker(_) => false,
        });
        self.inside.insert(number, Inside { visibility, by, maybe_hidden });
        self.in_vain = [0; WORKERS];
        Ok(())
    }

    fn push_from_outside(&mut self, token: Token) -> CaseResult {
        let (number, priority) = (token.number(), self.priority());
        let visibility = self.scheduler.push(token, priority);
        self.pushed(number, visibility, None)
    }

    fn push_by(&mut self, worker: usize) -> CaseResult {
        let token = self.token();
        let (number, priority) = (token.number(), self.priority());
        let reason = QueueReason::ALL[self.rng.below(QueueReason::ALL.len())];
        let Some(local) = &mut self.locals[worker] else { return Ok(()) };
        let visibility = local.push(token, priority, reason);
        self.pushed(number, visibility, Some(worker))
    }

    fn pop_by(&mut self, worker: usize) -> CaseResult {
        let Some(local) = &mut self.locals[worker] else { return Ok(()) };
        let says = local.has_work();
        let popped = local.pop();
        match (says, &popped) {
            (Some(true), None) => {
                return Err(format!(
                    "rule 11: `has_work` of worker {worker} said that there is a task, and `pop` found nothing"
                ));
            }
            // It need not see what the first of two `pop`s need not find.
            (Some(false), _) => self.must_be_empty(worker, 1, "has_work")?,
            _ => {}
        }
        match popped {
            Some(token) => {
                self.in_vain[worker] = 0;
                self.came_out(&token, "pop")
            }
            None => self.found_nothing(worker),
        }
    }

    fn found_nothing(&mut self, worker: usize) -> CaseResult {
        self.in_vain[worker] += 1;
        self.must_be_empty(worker, self.in_vain[worker], "pop")
    }

    /// Returns an error if there is a token that `call` by a worker has to find, if it is the `looks`th in a row that finds nothing.
    fn must_be_empty(&self, worker: usize, looks: u32, call: &str) -> CaseResult {
        let maybe_hidden = self.maybe_hidden();
        for (number, Inside { visibility, by, maybe_hidden: this }) in &self.inside {
            let must_find = match (visibility, by) {
                (Visibility::Worker(other), _) => *other == worker,
                (_, Some(by)) if *this => {
                    *by == worker || looks >= 2 || maybe_hidden[*by] > self.hidden[*by]
                }
                _ => true,
            };
            if must_find {
                return Err(format!(
                    "rule 2, 3 or 11: `{call}` by worker {worker} found nothing, though token {number} was pushed by {} with {visibility:?}",
                    by.map_or("no worker".into(), |by| format!("worker {by}")),
                ));
            }
        }
        Ok(())
    }

    /// Returns the number of tokens of each worker that may be in its slot.
    fn maybe_hidden(&self) -> [usize; WORKERS] {
        let mut count = [0; WORKERS];
        let hidden = self.inside.values().filter(|inside| inside.maybe_hidden);
        hidden.filter_map(|inside| inside.by).for_each(|by| count[by] += 1);
        count
    }

    fn take(&mut self) -> CaseResult {
        let Some(token) = self.scheduler.take() else {
            return match self.inside.first_key_value() {
                None => Ok(()),
                Some((number, inside)) => Err(format!(
                    "rule 5: `take` found nothing, though token {number} is queued, pushed with {:?}",
                    inside.visibility
                )),
            };
        };
        self.came_out(&token, "take")
    }

    fn reclaim(&mut self, worker: usize) -> CaseResult {
        let Some(token) = self.scheduler.reclaim(worker) else { return Ok(()) };
        self.came_out(&token, "reclaim")?;
        self.push_from_outside(token)
    }

    fn came_out(&mut self, token: &Token, by: &str) -> CaseResult {
        let number = token.number();
        self.in_vain = [0; WORKERS];
        self.slot_is_full = [false; WORKERS];
        if self.inside.remove(&number).is_none() {
            return Err(format!("rule 1: `{by}` handed out token {number} a second time"));
        }
        let maybe_hidden = self.maybe_hidden();
        for (hidden, maybe) in self.hidden.iter_mut().zip(maybe_hidden) {
            *hidden = maybe.min(*hidden);
        }
        Ok(())
    }

    fn count(&self) -> CaseResult {
        let (says, is) = (self.scheduler.len(), self.inside.len());
        if says != is || self.scheduler.is_empty() != (is == 0) {
            let empty = self.scheduler.is_empty();
            return Err(format!(
                "rule 8: {is} tasks are queued; `len` says {says}, and `is_empty` says {empty}"
            ));
        }
        Ok(())
    }

    fn call_something(&mut self, retire: bool) -> CaseResult {
        let worker = self.rng.below(WORKERS);
        match self.rng.below(100) {
            0..20 => {
                let token = self.token();
                self.push_from_outside(token)?;
            }
            20..50 => self.push_by(worker)?,
            50..85 => self.pop_by(worker)?,
            85..93 => self.take()?,
            93..96 => self.reclaim(worker)?,
            96 => {
                if let Some(local) = &mut self.locals[worker] {
                    local.prefer_injector();
                }
            }
            97 if retire => self.locals[worker] = None,
            _ => {
                for _ in 0..8 {
                    self.pop_by(worker)?;
                }
            }
        }
        self.count()
    }

    /// Takes every token, and checks that none was left out (rule 5).
    fn drain(&mut self) -> CaseResult {
        while !self.inside.is_empty() {
            self.take()?;
        }
        match self.scheduler.take() {
            None => self.count(),
            Some(token) => self.came_out(&token, "take"),
        }
    }
}

pub(super) fn random_operations<S: Scheduler<Token>>(new: &(dyn Fn() -> S + Sync)) -> CaseResult {
    for seed in 0..RUNS {
        let run = || {
            let mut fixture = Fixture::new(new(), seed)?;
            for _ in 0..CALLS {
                fixture.call_something(seed % 2 == 1)?;
            }
            fixture.drain()
        };
        run().map_err(|message: String| format!("{message} (in run {seed})"))?;
    }
    Ok(())
}

pub(super) fn drained<S: Scheduler<Token>>(new: &(dyn Fn() -> S + Sync)) -> CaseResult {
    for seed in 0..20 {
        let mut fixture = Fixture::new(new(), seed)?;
        for worker in 0..WORKERS {
            for _ in 0..100 {
                fixture.push_by(worker)?;
                let token = fixture.token();
                fixture.push_from_outside(token)?;
            }
        }
        // As at shutdown: the workers have gone, or are idle.
        if seed % 2 == 0 {
            fixture.locals.clear();
        }
        fixture.drain()?;
    }
    Ok(())
}

pub(super) fn dropped_with_its_tasks<S: Scheduler<Token>>(
    new: &(dyn Fn() -> S + Sync),
) -> CaseResult {
    for locals_first in [true, false] {
        let alive = Arc::new(AtomicUsize::new(0));
        let mut fixture = Fixture::new(new(), 1)?;
        let Fixture { scheduler, locals, .. } = &mut fixture;
        let mut number = 0;
        let mut token = || {
            number += 1;
            Token::new(number).counted(&alive)
        };
        for priority in Priority::ALL {
            let _ = scheduler.push(token(), priority);
            for local in locals.iter_mut().flatten() {
                for reason in QueueReason::ALL {
                    let _ = local.push(token(), priority, reason);
                }
            }
        }
        let pushed = alive.load(Ordering::Relaxed);
        let Fixture { scheduler, locals, .. } = fixture;
        if locals_first {
            drop(locals);
            let left = alive.load(Ordering::Relaxed);
            if left < pushed {
                return Err(format!(
                    "rule 6: {} of {pushed} tasks were dropped with the local queues, before the scheduler",
                    pushed - left
                ));
            }
            drop(scheduler);
        } else {
            drop(scheduler);
            drop(locals);
        }
        let left = alive.load(Ordering::Relaxed);
        if left > 0 {
            return Err(format!(
                "rule 7: {left} of {pushed} tasks were not dropped with the scheduler and its local queues"
            ));
        }
    }
    Ok(())
}

pub(super) fn started_once_with_what_was_pushed_before<S: Scheduler<Token>>(
    new: &(dyn Fn() -> S + Sync),
) -> CaseResult {
    let scheduler = new();
    for number in 1..=10 {
        let visibility = scheduler.push(Token::new(number), Priority::Normal);
        if visibility != Visibility::Shared {
            return Err(format!(
                "a push before `start` returned {visibility:?}: no worker has begun to look"
            ));
        }
    }
    let mut locals = scheduler.start(2);
    if locals.len() != 2 {
        return Err(format!("`start(2)` made {} local queues", locals.len()));
    }
    let found = std::iter::from_fn(|| locals[1].pop()).count();
    if found != 10 {
        return Err(format!("of 10 tasks pushed before `start`, a worker found {found}"));
    }
    // A second start may panic, or not. Either way it must do no harm.
    let again = catch_unwind(AssertUnwindSafe(|| drop(scheduler.start(2))));
    drop(again);
    let _ = scheduler.push(Token::new(11), Priority::Normal);
    match scheduler.take() {
        Some(_) => Ok(()),
        None => Err("after a second `start` it finds nothing any more".into()),
    }
}
