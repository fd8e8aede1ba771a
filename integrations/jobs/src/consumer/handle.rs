//! A consumer, from the outside.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use moirai::sync::CancellationToken;
use moirai::{Moirai, TaskHandle};
use serde::de::DeserializeOwned;

use super::attempt;
pub use super::state::Drained;
use super::state::State;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::{Job, JobId, store};

/// A consumer of a queue, which [`Queue::run`](crate::Queue::run) has started.
///
/// It goes on when this is dropped, until the executor shuts down. When the executor drains, it takes no further jobs, and gives back
/// those that have not ended within its [grace](crate::Queue::grace), at once.
#[must_use = "`drain` ends it; to have it run until the executor shuts down, `detach` it"]
pub struct Consumer {
    name: String,
    queue: Arc<str>,
    stop: CancellationToken,
    task: TaskHandle<Drained>,
}

impl Consumer {
    /// Returns the name by which the storage knows the consumer: the queue, the id of the process, and an id of its own.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Ends the consumer: it takes no further jobs, and waits for those that run, as long as its [grace](crate::Queue::grace) allows.
    /// Jobs that have not ended then are cancelled, and given back.
    pub async fn drain(self) -> Drained {
        self.stop.cancel();
        // The executor may have been shut down meanwhile.
        self.task.await.unwrap_or_default()
    }

    /// Has the consumer run until the executor shuts down.
    pub fn detach(self) {}
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(crate) fn start<T, H, F, E>(
    shared: Arc<Shared>,
    queue: Arc<str>,
    settings: Settings,
    moirai: &Moirai,
    handler: H,
) -> Consumer
where
    T: DeserializeOwned + Send + 'static,
    H: Fn(Job<T>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let name = format!("{queue} {} {}", std::process::id(), JobId::generate());
    let stop = CancellationToken::new();
    // The task must not keep the executor running.
    let moirai = moirai.without_owner();
    let concurrency = settings.concurrency.unwrap_or_else(|| 2 * moirai.worker_count().max(1));
    let consumer =
        store::Consumer { queue: queue.to_string(), name: name.clone(), lease: settings.lease };
    let pushed = shared.consumer(&queue, &moirai);
    let handler = Arc::new(handler);
    let spawn = {
        let (moirai, queue, settings) = (moirai.clone(), Arc::clone(&queue), settings.clone());
        Box::new(move |taken, token: &CancellationToken| {
            attempt::spawn(&moirai, &settings, &queue, taken, token, Arc::clone(&handler))
        })
    };
    let runtime = shared.runtime.clone();
    let stopping = {
        let (stop, shutting_down) = (stop.clone(), moirai.shutting_down());
        Box::pin(async move {
            let shutting_down = std::pin::pin!(shutting_down);
            let stopped = std::pin::pin!(stop.cancelled());
            futures_util::future::select(stopped, shutting_down).await;
        })
    };
    let state = State::new(shared, consumer, settings, concurrency, spawn, pushed, stopping);
    let task = moirai
        .task()
        .name(format!("consumer of {queue}"))
        .tag("queue", &queue)
        .spawn_async(moirai_tokio::in_tokio(runtime, state.run()));
    Consumer { name, queue, stop, task }
}
