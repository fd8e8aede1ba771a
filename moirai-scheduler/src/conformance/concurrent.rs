//! The cases with several threads, which push, take, sleep, retire and unwind.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use moirai_core::{LocalQueue, Panic, Priority, QueueReason, Scheduler, Visibility};

use super::token::Token;
use super::violation::CaseResult;
use crate::Sleepers;
use crate::rng::SplitMix64;

/// The time after which tasks count as lost if none has come out.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Records which tokens have come out.
struct TokenCounts {
    times: Vec<AtomicU8>,
    out: AtomicUsize,
    /// Set when something is wrong, to stop all threads.
    stop: AtomicBool,
}

impl TokenCounts {
    fn new(tokens: usize) -> Self {
        Self {
            times: (0..tokens).map(|_| AtomicU8::new(0)).collect(),
            out: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        }
    }

    fn out(&self, token: &Token) {
        let place = usize::try_from(token.number()).ok().and_then(|number| self.times.get(number));
        let known = place.is_some_and(|times| times.fetch_add(1, Ordering::Relaxed) == 0);
        if !known {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.out.fetch_add(1, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.count() >= self.times.len()
    }

    fn count(&self) -> usize {
        self.out.load(Ordering::Relaxed)
    }

    /// Waits until all tokens have come out, or none has for [`TIMEOUT`], or one has come out twice.
    fn watch(&self) {
        let mut seen = (0, Instant::now());
        while !self.is_over() {
            thread::sleep(Duration::from_micros(200));
            let count = self.count();
            if count != seen.0 {
                seen = (count, Instant::now());
            } else if seen.1.elapsed() > TIMEOUT {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn verdict(&self) -> CaseResult {
        let times = || self.times.iter().map(|times| times.load(Ordering::Relaxed)).enumerate();
        let all = self.times.len();
        if let Some((number, times)) = times().find(|(_, times)| *times > 1) {
            return Err(format!("rule 1: token {number} was handed out {times} times"));
        }
        let missing = times().filter(|(_, times)| *times == 0).count();
        match times().find(|(_, times)| *times == 0) {
            None => Ok(()),
            Some((number, _)) => Err(format!(
                "rule 1 or 4: {missing} of {all} tasks never came out, token {number} for one"
            )),
        }
    }
}

/// Runs `f`. If it unwinds, stops the other threads, and unwinds further, into the scope.
fn contained(tokens: &TokenCounts, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        tokens.stop.store(true, Ordering::Relaxed);
        resume_unwind(payload);
    }
}

/// Runs threads, waits for them, and returns the panic of one of them as an error.
fn scope<'env>(
    f: impl for<'scope> FnOnce(&'scope thread::Scope<'scope, 'env>, &mut Threads<'scope>),
) -> CaseResult {
    thread::scope(|scope| {
        let mut threads = Threads(Vec::new());
        f(scope, &mut threads);
        let mut found = Ok(());
        for thread in threads.0 {
            if let Err(payload) = thread.join() {
                found = Err(format!("rule 9: it panicked: {}", Panic::message_of(&*payload)));
            }
        }
        found
    })
}

struct Threads<'scope>(Vec<thread::ScopedJoinHandle<'scope, ()>>);

/// Returns the next number for a token, in order, while it is below `end`.
fn next(numbers: &AtomicUsize, end: usize) -> Option<u64> {
    let number = numbers.fetch_add(1, Ordering::Relaxed);
    (number < end).then_some(number as u64)
}

fn draw_priority(rng: &mut SplitMix64) -> Priority {
    // Mostly normal ones, as in practice.
    if rng.below(4) > 0 { Priority::Normal } else { Priority::ALL[rng.below(4)] }
}

pub(super) fn exactly_once_under_stress<S: Scheduler<Token>>(
    new: &(dyn Fn() -> S + Sync),
) -> CaseResult {
    const TOKENS: usize = 1_000_000;
    let scheduler = new();
    let tokens = TokenCounts::new(TOKENS);
    let numbers = AtomicUsize::new(0);
    let locals = scheduler.start(3);
    scope(|scope, threads| {
        let (scheduler, tokens, numbers) = (&scheduler, &tokens, &numbers);
        for (index, mut local) in locals.into_iter().enumerate() {
            threads.0.push(scope.spawn(move || {
                contained(tokens, || {
                    let mut rng = SplitMix64::new(index as u64);
                    while !tokens.is_over() {
                        match local.pop() {
                            Some(token) => tokens.out(&token),
                            None => thread::yield_now(),
                        }
                        for _ in 0..rng.below(3) {
                            let Some(number) = next(numbers, TOKENS) else { break };
                            let reason = QueueReason::ALL[rng.below(4)];
                            let _ = local.push(Token::new(number), draw_priority(&mut rng), reason);
                        }
                        // The last worker retires early, while the others are at work.
                        if index == 2 && tokens.count() > TOKENS / 2 {
                            break;
                        }
                    }
                });
            }));
        }
        for index in 0..2 {
            threads.0.push(scope.spawn(move || {
                contained(tokens, || {
                    let mut rng = SplitMix64::new(10 + index);
                    while let Some(number) = next(numbers, TOKENS) {
                        let _ = scheduler.push(Token::new(number), draw_priority(&mut rng));
                        if tokens.is_over() {
                            break;
                        }
                        // Keeps the number of waiting tasks bounded.
                        while number as usize > tokens.count() + 50_000 && !tokens.is_over() {
                            thread::yield_now();
                        }
                    }
                });
            }));
        }
        threads.0.push(scope.spawn(move || {
            contained(tokens, || {
                while !tokens.is_over() {
                    match scheduler.take() {
                        Some(token) => tokens.out(&token),
                        None => thread::yield_now(),
                    }
                }
            });
        }));
        tokens.watch();
    })?;
    tokens.verdict()
}

/// The point at which threads meet before each of many short races.
struct Barrier {
    arrived: AtomicUsize,
    threads: usize,
}

impl Barrier {
    /// Waits for the other threads, or until `over` is set. `round` counts from one.
    fn meet(&self, round: usize, over: &AtomicBool) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut looks = 0_u32;
        while self.arrived.load(Ordering::Acquire) < round * self.threads
            && !over.load(Ordering::Relaxed)
        {
            looks += 1;
            // Spins, so that the threads start within nanoseconds of each other if there is a processor for each.
            if looks.is_multiple_of(2_000) { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

pub(super) fn no_spurious_nothing<S: Scheduler<Token>>(new: &(dyn Fn() -> S + Sync)) -> CaseResult {
    /// Most races are lost where few tasks are left: so there are many rounds with few tasks, and some with many.
    const ROUNDS: usize = 10_000;
    /// Where processors are scarce the threads rarely meet, and fewer rounds have to do.
    const LIMIT: Duration = Duration::from_secs(5);
    let start = Instant::now();
    const TAKERS: usize = 2;
    let scheduler = new();
    let locals = scheduler.start(TAKERS);
    let barrier = Barrier { arrived: AtomicUsize::new(0), threads: TAKERS };
    let (empty_handed, all_see_all) = (AtomicUsize::new(0), AtomicBool::new(true));
    // Whether a thread has found nothing or unwinds, so that no other may wait for it; and whether this round is the last one.
    let (over, last_round) = (AtomicBool::new(false), AtomicBool::new(false));
    let each = |round: usize| if round.is_multiple_of(100) { 500 } else { round % 4 + 1 };
    scope(|scope, threads| {
        for (index, mut local) in locals.into_iter().enumerate() {
            let (scheduler, barrier, empty_handed) = (&scheduler, &barrier, &empty_handed);
            let (all_see_all, over, last_round) = (&all_see_all, &over, &last_round);
            threads.0.push(scope.spawn(move || {
                let _unwinding = Set(over);
                for round in 0..ROUNDS {
                    for number in 0..TAKERS * each(round) {
                        let priority = Priority::ALL[if round % 7 == 0 { number % 4 } else { 1 }];
                        if index == 0
                            && scheduler.push(Token::new(number as u64), priority)
                                != Visibility::Shared
                        {
                            all_see_all.store(false, Ordering::Relaxed);
                        }
                    }
                    barrier.meet(2 * round + 1, over);
                    // Taken by workers, if each of them finds every task, and otherwise by threads that are not workers.
                    let by_workers = all_see_all.load(Ordering::Relaxed) && round % 3 > 0;
                    for _ in 0..each(round) {
                        let found = if by_workers { local.pop() } else { scheduler.take() };
                        if found.is_none() {
                            empty_handed.fetch_add(1, Ordering::Relaxed);
                            over.store(true, Ordering::Relaxed);
                        }
                    }
                    if index == 0 && start.elapsed() > LIMIT {
                        // Before the threads meet, so that all of them leave after the same round.
                        last_round.store(true, Ordering::Relaxed);
                    }
                    barrier.meet(2 * round + 2, over);
                    if over.load(Ordering::Relaxed) || last_round.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }));
        }
    })?;
    if empty_handed.into_inner() > 0 {
        return Err(format!(
            "rule 4: {TAKERS} threads took as often as there were tasks, and one of them found nothing"
        ));
    }
    Ok(())
}

/// Sets the flag if it is dropped while the thread unwinds.
struct Set<'a>(&'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

pub(super) fn no_lost_wake_up<S: Scheduler<Token>>(new: &(dyn Fn() -> S + Sync)) -> CaseResult {
    const WORKERS: usize = 2;
    const WAVES: usize = 2_000;
    let scheduler = new();
    let sleepers = Sleepers::new(WORKERS);
    let tokens = TokenCounts::new(WAVES * 4);
    let over = AtomicBool::new(false);
    let wake = |visibility: Visibility, here: Option<usize>| match visibility {
        Visibility::Shared => sleepers.notify(),
        // The same as the executor does.
        Visibility::Slot if here.is_some() => {}
        Visibility::Slot => sleepers.notify(),
        Visibility::Worker(worker) if Some(worker) == here => {}
        Visibility::Worker(worker) => sleepers.notify_worker(worker),
    };
    let locals = scheduler.start(WORKERS);
    let waited = scope(|scope, threads| {
        for (index, mut local) in locals.into_iter().enumerate() {
            let (sleepers, tokens, over, wake) = (&sleepers, &tokens, &over, &wake);
            threads.0.push(scope.spawn(move || {
                contained(tokens, || {
                    let stop = || over.load(Ordering::Relaxed);
                    while let Some(token) = local
                        .pop()
                        .or_else(|| sleepers.next(index, |_| local.pop(), || false, stop, || ()))
                    {
                        tokens.out(&token);
                        // Each task from another thread makes one more, and those make none.
                        if token.number() % 2 == 0 {
                            let reason = QueueReason::ALL[token.number() as usize / 4 % 4];
                            let follower = Token::new(token.number() + 1);
                            wake(local.push(follower, Priority::Normal, reason), Some(index));
                        }
                    }
                });
            }));
        }
        for wave in 0..WAVES {
            for half in 0..2 {
                let token = Token::new((wave * 4 + half * 2) as u64);
                wake(scheduler.push(token, Priority::ALL[wave % 4]), None);
            }
            // Waits until all tasks are done, and the workers fall asleep.
            let start = Instant::now();
            let done = || tokens.count() >= (wave + 1) * 4 || tokens.stop.load(Ordering::Relaxed);
            while !done() && start.elapsed() < TIMEOUT {
                thread::yield_now();
            }
            if !done() {
                tokens.stop.store(true, Ordering::Relaxed);
            }
            if tokens.stop.load(Ordering::Relaxed) {
                break;
            }
            if wave % 8 == 0 {
                thread::sleep(Duration::from_micros(100));
            }
        }
        over.store(true, Ordering::Relaxed);
        sleepers.wake_all();
    });
    waited?;
    tokens.verdict().map_err(|message| {
        format!("rule 2: workers slept while tasks waited, {} of them: {message}", scheduler.len())
    })
}

pub(super) fn a_retired_worker_loses_nothing<S: Scheduler<Token>>(
    new: &(dyn Fn() -> S + Sync),
) -> CaseResult {
    const TOKENS: usize = 300;
    for round in 0..20 {
        let scheduler = new();
        let tokens = TokenCounts::new(TOKENS);
        let mut locals = scheduler.start(2);
        for number in 0..TOKENS as u64 {
            let token = Token::new(number);
            let priority = Priority::ALL[number as usize % 4];
            let reason = QueueReason::ALL[number as usize / 4 % 4];
            let _ = match number % 3 {
                0 => scheduler.push(token, priority),
                place => locals[place as usize - 1].push(token, priority, reason),
            };
        }
        // The second worker's queue moves to another thread, which uses it for a while.
        let (mut second, first) = (locals.remove(1), locals.remove(0));
        scope(|scope, threads| {
            let tokens = &tokens;
            threads.0.push(scope.spawn(move || {
                for _ in 0..TOKENS / 10 {
                    second.pop().iter().for_each(|token| tokens.out(token));
                }
                drop(second);
            }));
            // Meanwhile the first worker retires, on this thread or on another one.
            if round % 2 == 0 {
                drop(first);
            } else {
                threads.0.push(scope.spawn(move || drop(first)));
            }
        })?;
        while let Some(token) = scheduler.take() {
            tokens.out(&token);
        }
        tokens.verdict().map_err(|message| format!("rule 6, after workers retired: {message}"))?;
    }
    Ok(())
}

pub(super) fn a_panic_in_the_middle_loses_nothing<S: Scheduler<Token>>(
    new: &(dyn Fn() -> S + Sync),
) -> CaseResult {
    const TOKENS: usize = 200;
    /// What the thread unwinds with; no message is printed for it.
    struct Unwinding;
    let scheduler = new();
    let tokens = TokenCounts::new(TOKENS);
    let mut locals = scheduler.start(2);
    let mut unwinding = locals.remove(0);
    let unwound = thread::scope(|scope| {
        let tokens = &tokens;
        let thread = scope.spawn(move || {
            for number in 0..TOKENS {
                let reason = QueueReason::ALL[number % 4];
                let _ = unwinding.push(
                    Token::new(number as u64),
                    Priority::ALL[number / 4 % 4],
                    reason,
                );
            }
            if let Some(token) = unwinding.pop() {
                tokens.out(&token);
            }
            resume_unwind(Box::new(Unwinding));
        });
        thread.join()
    });
    if let Err(payload) = unwound
        && !payload.is::<Unwinding>()
    {
        return Err(format!("rule 9: it panicked: {}", Panic::message_of(&*payload)));
    }
    // The others continue.
    while let Some(token) = locals[0].pop().or_else(|| scheduler.take()) {
        tokens.out(&token);
    }
    tokens
        .verdict()
        .map_err(|message| format!("rule 6, after a worker's thread unwound: {message}"))?;
    let visibility = locals[0].push(Token::new(0), Priority::Normal, QueueReason::Woken);
    match locals[0].pop().or_else(|| scheduler.take()) {
        Some(_) => Ok(()),
        None => Err(format!(
            "rule 9: after a worker's thread unwound, a task pushed with {visibility:?} was not found"
        )),
    }
}
