//! The loop of a consumer.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use moirai::TaskHandle;
use moirai::sync::CancellationToken;
use moirai::time::{Instant, sleep};
use tokio::sync::mpsc;

use super::attempt::{self, Failure};
use super::awaited::{Attempt, Awaited, Boxed, Ending, Exchanged, Turn};
use crate::record::JobState;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::store::{Consumer, Ended, Outcome, Taken};
use crate::{Error, JobId};

/// How long cancelled jobs have to end before they are given back all the same.
const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// How long to try to tell the storage how the last jobs ended.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often old jobs are deleted.
const PURGE: Duration = Duration::from_secs(60);
/// How long to wait before listening again to a storage that has hung up.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// How often the log is told of a storage that does not answer.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

pub(super) type Spawn =
    Box<dyn Fn(Taken, &CancellationToken) -> TaskHandle<Result<(), Failure>> + Send>;
/// What became of the jobs of a consumer that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The number of jobs that have ended during the drain.
    pub ended: usize,
    /// The jobs that were given back, to be taken again by any consumer. No attempt was counted.
    pub given_back: Vec<JobId>,
    /// The jobs that could not be given back, since the storage did not answer. They are taken over when the lease is over.
    pub left: Vec<JobId>,
}

/// A job that a task runs.
struct Running {
    /// The number of the attempt among those of this process.
    number: u64,
    attempt: u32,
    max_attempts: u32,
    token: CancellationToken,
    /// Whether it was cancelled to be given back.
    is_given_back: bool,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// No further jobs are taken.
    Draining,
    /// What runs has been cancelled.
    Cancelling,
    /// What still runs is given back.
    Leaving,
    /// The storage has not answered for too long.
    Gone,
}

/// The state of the loop.
pub(super) struct State {
    shared: Arc<Shared>,
    consumer: Arc<Consumer>,
    settings: Settings,
    concurrency: usize,
    spawn: Spawn,
    phase: Phase,
    running: HashMap<JobId, Running>,
    /// Attempts that have ended, of which the storage does not know yet.
    ended: Vec<Ended>,
    /// Those of which the exchange under way tells.
    reporting: Vec<JobId>,
    /// The jobs that ran when the heartbeat under way began, with the numbers of the attempts.
    heartbeat_about: Vec<(JobId, u64)>,
    /// Jobs that are ours, as the last heartbeat has told, although we do not know of them.
    seen: Vec<JobId>,
    /// Those of them that the heartbeat before has told of, too.
    unknown: Vec<JobId>,
    /// Whether there may be jobs to take, as far as pushes and the last exchange tell.
    is_due: bool,
    /// How often the storage has failed, the last times it was asked.
    failures: u32,
    warned: Option<Instant>,
    purged: Option<Instant>,
    is_registered: bool,
    /// For what other processes push.
    told: mpsc::Sender<()>,
    /// Whether the storage has been listened to before.
    has_listened: bool,
    drained: Drained,
    awaited: Awaited,
}

impl State {
    pub(super) fn new(
        shared: Arc<Shared>,
        consumer: Consumer,
        settings: Settings,
        concurrency: usize,
        spawn: Spawn,
        (told, pushed): (mpsc::Sender<()>, mpsc::Receiver<()>),
        stopping: Boxed<()>,
    ) -> Self {
        Self {
            shared,
            consumer: Arc::new(consumer),
            settings,
            concurrency,
            spawn,
            phase: Phase::Open,
            running: HashMap::new(),
            ended: Vec::new(),
            reporting: Vec::new(),
            heartbeat_about: Vec::new(),
            seen: Vec::new(),
            unknown: Vec::new(),
            is_due: true,
            failures: 0,
            warned: None,
            purged: None,
            is_registered: false,
            told,
            has_listened: false,
            drained: Drained::default(),
            awaited: Awaited::new(pushed, stopping),
        }
    }

    /// Runs until the end.
    pub(super) async fn run(mut self) -> Drained {
        loop {
            self.begin_requests();
            if self.has_ended() {
                break;
            }
            match self.awaited.turn().await {
                Turn::Ended(ending) => {
                    self.end(ending);
                    // The others that end now go with the same exchange.
                    self.end_all_that_are_ready().await;
                }
                Turn::Exchanged(exchanged) => self.exchanged(exchanged),
                Turn::HeartbeatAnswered(answer) => self.heartbeat_answered(answer),
                Turn::HeartbeatDue => self.awaited.next_heartbeat = None,
                // The next one begins when it is time.
                Turn::ListenEnded | Turn::Purged => {}
                Turn::Pushed | Turn::TimerDue => {
                    self.is_due = true;
                    self.awaited.timer = None;
                }
                Turn::Stop => self.enter(Phase::Draining),
                Turn::DeadlineOver => self.enter(match self.phase {
                    Phase::Open | Phase::Draining => Phase::Cancelling,
                    Phase::Cancelling => Phase::Leaving,
                    Phase::Leaving | Phase::Gone => Phase::Gone,
                }),
            }
        }
        self.leave().await;
        std::mem::take(&mut self.drained)
    }

    /// Begins the requests that are to be made, and sets the timer.
    fn begin_requests(&mut self) {
        if self.awaited.heartbeat.is_none() && self.awaited.next_heartbeat.is_none() {
            self.begin_heartbeat();
        }
        // Jobs name their consumer, so that one comes first.
        let may_ask = self.is_registered && self.awaited.exchange.is_none();
        let is_failing = self.failures > 0 && self.awaited.timer.is_some();
        if may_ask && !is_failing {
            let free = self.concurrency - self.running.len().min(self.concurrency);
            let want = if self.phase == Phase::Open && self.is_due { free } else { 0 };
            if want > 0 || !self.ended.is_empty() {
                self.begin_exchange(u32::try_from(want).unwrap_or(u32::MAX));
            }
        }
        if self.awaited.timer.is_none()
            && self.awaited.exchange.is_none()
            && self.phase == Phase::Open
        {
            self.awaited.timer = Some(sleep(self.settings.poll_interval));
        }
        let is_purge_due = self.purged.is_none_or(|at| at.elapsed() >= PURGE);
        if self.awaited.purge.is_none()
            && is_purge_due
            && self.is_registered
            && self.phase == Phase::Open
        {
            self.begin_purge();
        }
        if self.awaited.listening.is_none() && self.phase == Phase::Open && self.is_registered {
            self.listen();
        }
    }

    /// Listens for what other processes push. When that fails, there is still the timer.
    fn listen(&mut self) {
        let (shared, consumer) = (Arc::clone(&self.shared), Arc::clone(&self.consumer));
        let (told, has_listened) = (self.told.clone(), self.has_listened);
        self.has_listened = true;
        self.awaited.listening = Some(Box::pin(async move {
            if has_listened {
                sleep(LISTEN_AGAIN).await;
            }
            let _ = shared.store.listen(&consumer.queue, told).await;
        }));
    }

    fn begin_heartbeat(&mut self) {
        let (shared, consumer) = (Arc::clone(&self.shared), Arc::clone(&self.consumer));
        self.heartbeat_about =
            self.running.iter().map(|(id, running)| (*id, running.number)).collect();
        let release: Vec<_> = self.unknown.drain(..).collect();
        self.awaited.heartbeat =
            Some(Box::pin(async move { shared.store.heartbeat(&consumer, &release).await }));
    }

    /// Deletes old jobs. It is a request of its own, since there may be many, and heartbeats must not wait for it.
    fn begin_purge(&mut self) {
        self.purged = Some(Instant::now());
        let (shared, consumer) = (Arc::clone(&self.shared), Arc::clone(&self.consumer));
        let (done, dead) = (self.settings.keep_done, self.settings.keep_dead);
        self.awaited.purge = Some(Box::pin(async move {
            let old = [(JobState::Done, done), (JobState::Cancelled, done), (JobState::Dead, dead)];
            for (state, age) in old {
                if let Err(error) = shared.purge(Some(&consumer.queue), state, age).await {
                    tracing::warn!(queue = &*consumer.queue, %error, "old jobs cannot be deleted");
                    return;
                }
            }
        }));
    }

    fn begin_exchange(&mut self, want: u32) {
        let (shared, consumer) = (Arc::clone(&self.shared), Arc::clone(&self.consumer));
        let ended = std::mem::take(&mut self.ended);
        self.reporting = ended.iter().map(|ended| ended.id).collect();
        self.awaited.timer = None;
        self.awaited.exchange = Some(Box::pin(async move {
            let answer = shared.store.exchange(&consumer, &ended, want).await;
            (ended, want, answer)
        }));
        self.is_due &= want == 0;
    }

    fn exchanged(&mut self, (mut ended, want, answer): Exchanged) {
        self.reporting.clear();
        match answer {
            Ok(taken) => {
                self.failures = 0;
                // Where there were as many as we could have, there may be more.
                self.is_due |= want > 0 && taken.len() >= want as usize;
                for taken in taken {
                    if self.phase == Phase::Open {
                        self.start(taken);
                    } else {
                        // It was under way when the drain began.
                        self.drained.given_back.push(taken.id);
                        let attempt = taken.attempts.saturating_add(1);
                        let outcome = Outcome::GivenBack;
                        self.ended.push(Ended { id: taken.id, attempt, outcome });
                    }
                }
            }
            Err(error) => {
                self.warn(&error);
                self.is_due = true;
                // What was to be said is said again.
                ended.append(&mut self.ended);
                self.ended = ended;
                self.awaited.timer = Some(sleep(pause(self.failures)));
            }
        }
    }

    fn start(&mut self, taken: Taken) {
        let token = CancellationToken::new();
        let id = taken.id;
        let number = self.shared.started(id, token.clone());
        let running = Running {
            number,
            attempt: taken.attempts.saturating_add(1),
            max_attempts: taken.max_attempts,
            token: token.clone(),
            is_given_back: false,
        };
        // What ran under this id was taken from us meanwhile; its end is nobody's business.
        self.running.insert(id, running);
        self.awaited.attempts.push(Attempt { id, number, task: (self.spawn)(taken, &token) });
    }

    fn end(&mut self, (id, number, result): Ending) {
        // One that was given back, or taken from us, is not ours to end.
        if self.running.get(&id).is_none_or(|running| running.number != number) {
            return;
        }
        self.shared.ended(id, number);
        let Some(running) = self.running.remove(&id) else { return };
        let Running { attempt, max_attempts, is_given_back, .. } = running;
        let outcome =
            attempt::outcome(result, attempt, max_attempts, is_given_back, &self.settings);
        if self.phase > Phase::Open {
            match outcome {
                Outcome::GivenBack => self.drained.given_back.push(id),
                _ => self.drained.ended += 1,
            }
        }
        self.ended.push(Ended { id, attempt, outcome });
    }

    async fn end_all_that_are_ready(&mut self) {
        moirai::yield_now().await;
        while let Some(ending) = self.awaited.ready() {
            self.end(ending);
        }
    }

    fn heartbeat_answered(&mut self, answer: Result<Vec<JobId>, Error>) {
        self.awaited.heartbeat = None;
        let third = self.settings.lease / 3;
        self.awaited.next_heartbeat = Some(sleep(match answer {
            Ok(held) => {
                self.is_registered = true;
                self.compare(&held);
                third
            }
            Err(error) => {
                self.warn(&error);
                pause(self.failures).min(third)
            }
        }));
    }

    /// Compares the jobs that run with those that are ours, as a heartbeat has told.
    fn compare(&mut self, held: &[JobId]) {
        let held: HashSet<_> = held.iter().copied().collect();
        for (id, number) in std::mem::take(&mut self.heartbeat_about) {
            // Somebody has cancelled it, or taken it over. Whatever we say of it from now on is ignored.
            if !held.contains(&id)
                && let Some(running) = self.running.get(&id)
                && running.number == number
            {
                running.token.cancel();
            }
        }
        // An exchange whose answer was lost has taken jobs that we never heard of. The one under way may have done so, too, and then its
        // answer comes; so they are given back only if the next heartbeat finds them unknown as well.
        let known = |id: &JobId| {
            self.running.contains_key(id)
                || self.reporting.contains(id)
                || self.ended.iter().any(|ended| ended.id == *id)
        };
        let unknown: Vec<_> = held.into_iter().filter(|id| !known(id)).collect();
        let before = std::mem::replace(&mut self.seen, unknown);
        self.unknown = self.seen.iter().copied().filter(|id| before.contains(id)).collect();
    }

    fn warn(&mut self, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        if self.warned.is_none_or(|at| at.elapsed() >= WARN_INTERVAL) {
            self.warned = Some(Instant::now());
            let (queue, failures) = (&*self.consumer.queue, self.failures);
            tracing::warn!(queue, failures, %error, "the storage of jobs does not answer; trying again");
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.awaited.timer = None;
        self.awaited.deadline = match phase {
            Phase::Open | Phase::Gone => None,
            Phase::Draining => Some(sleep(self.settings.grace)),
            Phase::Cancelling => {
                self.cancel_all();
                Some(sleep(CANCEL_GRACE))
            }
            Phase::Leaving => Some(sleep(LEAVE_TIMEOUT)),
        };
        if phase == Phase::Gone && self.awaited.exchange.take().is_some() {
            self.drained.left.append(&mut self.reporting);
        }
        if phase == Phase::Leaving {
            for (id, running) in self.running.drain() {
                self.shared.ended(id, running.number);
                self.drained.given_back.push(id);
                self.ended.push(Ended {
                    id,
                    attempt: running.attempt,
                    outcome: Outcome::GivenBack,
                });
            }
        }
    }

    fn cancel_all(&mut self) {
        for running in self.running.values_mut() {
            running.is_given_back = true;
            running.token.cancel();
        }
    }

    fn has_ended(&self) -> bool {
        self.phase >= Phase::Draining
            && self.running.is_empty()
            && self.awaited.exchange.is_none()
            && (self.ended.is_empty() || self.failures > 0 || self.phase == Phase::Gone)
    }

    /// Says the last things to the storage, if it answers in time.
    async fn leave(&mut self) {
        let has_answered = {
            let try_leave = pin!(async {
                while let Err(error) = self.try_leave().await {
                    self.warn(&error);
                    sleep(Duration::from_millis(100)).await;
                }
            });
            matches!(select(try_leave, sleep(LEAVE_TIMEOUT)).await, Either::Left(_))
        };
        if !has_answered {
            let ended = std::mem::take(&mut self.ended);
            self.drained.left.extend(ended.iter().map(|ended| ended.id));
        }
        let left: HashSet<_> = self.drained.left.iter().copied().collect();
        self.drained.given_back.retain(|id| !left.contains(id));
    }

    async fn try_leave(&mut self) -> Result<(), Error> {
        if !self.ended.is_empty() {
            self.shared.store.exchange(&self.consumer, &self.ended, 0).await?;
            self.ended.clear();
        }
        self.shared.store.leave(&self.consumer).await
    }
}

impl Drop for State {
    /// If the consumer's own task is cancelled, nobody could say how its jobs end. They are taken over when the lease is over.
    fn drop(&mut self) {
        for (id, running) in self.running.drain() {
            self.shared.ended(id, running.number);
            running.token.cancel();
        }
    }
}

/// How long to wait for the storage after its n-th failure in a row.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.clamp(1, 6))
}
