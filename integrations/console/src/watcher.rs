//! The tasks on the server's thread, each of which sends messages to one client.
//!
//! A message is made only when there is room for it in the client's channel, so a client that does not read holds up its own task and
//! nothing else, and misses what happens meanwhile. The tasks end when the client goes away, when the executor is gone, or with the
//! server.

use std::time::Duration;

use console_api::instrument::{State, Temporality, Update};
use console_api::tasks::TaskDetails;
use moirai::{TaskId, TaskManager, WeakExecutor};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tonic::Status;

use crate::details::{histograms, message};
use crate::doing::all_doing;
use crate::view::View;

/// Where the messages for a client go, and what the transport calls the end of them.
pub(crate) type Channel<T> = mpsc::Sender<Result<T, Status>>;

/// Sends updates about all tasks: at once, and then at each interval unless `paused` says otherwise.
pub(crate) async fn send_updates(
    executor: WeakExecutor,
    client: Channel<Update>,
    mut view: View,
    interval: Duration,
    mut paused: watch::Receiver<bool>,
) {
    let Ok(mut room) = client.reserve().await else { return };
    loop {
        let updates = {
            let Some(executor) = executor.upgrade() else { return };
            let tasks = executor.tasks();
            view.updates(tasks, &all_doing(&executor))
        };
        let mut updates = updates.into_iter();
        if let Some(update) = updates.next() {
            room.send(Ok(update));
        }
        for update in updates {
            if client.send(Ok(update)).await.is_err() {
                return;
            }
        }
        let next = async {
            sleep(interval).await;
            let room = client.reserve().await.ok()?;
            paused.wait_for(|paused| !paused).await.ok()?;
            Some(room)
        };
        room = tokio::select! {
            Some(room) = next => room,
            () = client.closed() => return,
            else => return,
        };
    }
}

/// Sends what is known of one task: at once, and then whenever it has changed.
pub(crate) async fn send_details(
    executor: WeakExecutor,
    client: Channel<TaskDetails>,
    id: TaskId,
    interval: Duration,
) {
    let mut sent = None;
    while let Ok(room) = client.reserve().await {
        {
            let Some(executor) = executor.upgrade() else { return };
            if executor.task_status(id).is_none() {
                return;
            }
            let histograms = histograms(&executor, id);
            if sent.as_ref() != Some(&histograms) {
                sent = Some(histograms.clone());
                room.send(Ok(message(id, histograms)));
            }
        }
        tokio::select! {
            () = sleep(interval) => {}
            () = client.closed() => return,
        }
    }
}

/// Sends whether the updates are paused: at once, and then at each change.
pub(crate) async fn send_states(client: Channel<State>, mut paused: watch::Receiver<bool>) {
    while let Ok(room) = client.reserve().await {
        let is_paused = *paused.borrow_and_update();
        let temporality = if is_paused { Temporality::Paused } else { Temporality::Live };
        room.send(Ok(State { temporality: temporality.into() }));
        tokio::select! {
            changed = paused.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = client.closed() => return,
        }
    }
}
