//! What all handles of a storage share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moirai::sync::CancellationToken;
use moirai::{Moirai, TaskStats, WeakMoirai};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::record::JobState;
use crate::store::Store;
use crate::{Error, JobId};

/// A storage, and what this process does with it.
pub(crate) struct Shared {
    pub(crate) store: Box<dyn Store>,
    pub(crate) storage: String,
    pub(crate) runtime: Handle,
    /// Tell consumers of this process, by queue, of what this process pushes.
    consumers: Mutex<HashMap<Arc<str>, Vec<mpsc::Sender<()>>>>,
    /// The attempts of this process.
    running: Mutex<Running>,
    executors: Mutex<Vec<WeakMoirai>>,
}

/// The attempts that run in this process, by job, with their numbers.
#[derive(Default)]
struct Running {
    /// The number of attempts that were started.
    started: u64,
    tokens: HashMap<JobId, (u64, CancellationToken)>,
}

impl Shared {
    pub(crate) fn new(store: Box<dyn Store>, storage: String, runtime: Handle) -> Self {
        Self {
            store,
            storage,
            runtime,
            consumers: Mutex::default(),
            running: Mutex::default(),
            executors: Mutex::default(),
        }
    }

    /// Has a future of the storage polled in the context of its reactor.
    pub(crate) fn call<F: Future>(&self, future: F) -> moirai_tokio::InTokio<F> {
        moirai_tokio::in_tokio(self.runtime.clone(), future)
    }

    /// Deletes the jobs that have ended in this state at least `age` ago, of one queue, or of all.
    pub(crate) async fn purge(
        &self,
        queue: Option<&str>,
        state: JobState,
        age: Duration,
    ) -> Result<u64, Error> {
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut all = 0;
        loop {
            let deleted = self.store.purge(queue, state, before).await?;
            all += deleted;
            if deleted == 0 {
                return Ok(all);
            }
        }
    }

    /// The records of the attempts of this process at a job, the oldest first.
    pub(crate) fn attempts(&self, id: JobId) -> Vec<TaskStats> {
        let executors: Vec<_> =
            self.executors.lock().iter().filter_map(WeakMoirai::upgrade).collect();
        let mut attempts: Vec<_> =
            executors.iter().flat_map(|executor| executor.tasks_tagged("job", id)).collect();
        attempts.sort_by_key(|task| task.spawned_at);
        attempts
    }

    /// Cancels the attempt at a job that runs in this process, if there is one.
    pub(crate) fn cancel_attempt(&self, id: JobId) {
        let running = self.running.lock().tokens.get(&id).cloned();
        if let Some((_, token)) = running {
            token.cancel();
        }
    }

    /// Tells the consumers of a queue in this process that there may be jobs.
    pub(crate) fn tell(&self, queue: &str) {
        let consumers = self.consumers.lock().get(queue).cloned().unwrap_or_default();
        send_all(&consumers);
    }

    /// Tells those of all queues.
    pub(crate) fn tell_all(&self) {
        let consumers: Vec<_> = self.consumers.lock().values().flatten().cloned().collect();
        send_all(&consumers);
    }

    /// Registers a consumer, which is told of pushes as long as it has the receiver. It may tell itself, by the sender.
    pub(crate) fn consumer(
        &self,
        queue: &Arc<str>,
        executor: &Moirai,
    ) -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel(1);
        let mut consumers = self.consumers.lock();
        consumers.retain(|_, all| {
            all.retain(|consumer| !consumer.is_closed());
            !all.is_empty()
        });
        consumers.entry(Arc::clone(queue)).or_default().push(sender.clone());
        drop(consumers);
        let mut executors = self.executors.lock();
        executors.retain(WeakMoirai::is_alive);
        // They are dropped after the lock, since a handle may be the last one.
        let known: Vec<_> = executors.iter().filter_map(WeakMoirai::upgrade).collect();
        if !known.iter().any(|known| known.executor().is_same(executor.executor())) {
            executors.push(executor.downgrade());
        }
        drop(executors);
        (sender, receiver)
    }

    /// Registers an attempt, and returns its number.
    pub(crate) fn started(&self, id: JobId, token: CancellationToken) -> u64 {
        let mut running = self.running.lock();
        running.started += 1;
        let number = running.started;
        running.tokens.insert(id, (number, token));
        number
    }

    /// Forgets an attempt. Another one at the same job, which was taken over within this process, stays.
    pub(crate) fn ended(&self, id: JobId, number: u64) {
        let mut running = self.running.lock();
        if running.tokens.get(&id).is_some_and(|(known, _)| *known == number) {
            running.tokens.remove(&id);
        }
    }
}

/// Tells consumers that there may be jobs. One message is enough: it is there, or on its way.
fn send_all(consumers: &[mpsc::Sender<()>]) {
    for consumer in consumers {
        let _ = consumer.try_send(());
    }
}
