//! One attempt: a task of Moirai.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moirai::sync::CancellationToken;
use moirai::{Moirai, TaskError, TaskHandle};
use serde::de::DeserializeOwned;

use crate::job::Facts;
use crate::settings::Settings;
use crate::store::{Outcome, Taken};
use crate::{Job, Permanent};

/// The largest number of bytes of an error that the storage keeps.
const MOST_BYTES: usize = 4096;

/// The error of a handler.
#[derive(Debug)]
pub(super) struct Failure {
    text: String,
    is_permanent: bool,
}

impl Failure {
    fn new(error: &(dyn StdError + Send + Sync + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        // The causes that the text does not name already.
        while let Some(error) = cause
            && text.len() < MOST_BYTES
        {
            let said = error.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        Self { text: cut(text), is_permanent: error.is::<Permanent>() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Spawns the task that runs the handler.
pub(super) fn spawn<T, H, F, E>(
    moirai: &Moirai,
    settings: &Settings,
    queue: &Arc<str>,
    taken: Taken,
    token: &CancellationToken,
    handler: Arc<H>,
) -> TaskHandle<Result<(), Failure>>
where
    T: DeserializeOwned + Send + 'static,
    H: Fn(Job<T>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let Taken { id, payload, attempts, max_attempts, key } = taken;
    let attempt = attempts.saturating_add(1);
    let mut task = moirai
        .task()
        .name(format!("{queue} {id}"))
        .tag("queue", queue)
        .tag("job", id)
        .tag("attempt", attempt)
        .retention(&settings.class)
        .cancel_token(token.clone());
    if let Some(timeout) = settings.timeout {
        task = task.timeout(timeout);
    }
    let queue = Arc::clone(queue);
    task.fails_on_err().spawn_async(async move {
        let payload = serde_json::from_slice(&payload).map_err(|error| Failure {
            text: cut(format!("the payload is no {}: {error}", std::any::type_name::<T>())),
            is_permanent: true,
        })?;
        let key = key.map_or_else(|| id.to_string().into(), Into::into);
        let job = Job { payload, facts: Facts { id, queue, attempt, max_attempts, key } };
        handler(job).await.map_err(|error| Failure::new(&*error.into()))
    })
}

/// What becomes of the job.
pub(super) fn outcome(
    result: Result<Result<(), Failure>, TaskError>,
    attempt: u32,
    max_attempts: u32,
    is_given_back: bool,
    settings: &Settings,
) -> Outcome {
    let error = match result {
        Ok(Ok(())) => return Outcome::Done,
        Ok(Err(failure)) if failure.is_permanent => {
            return Outcome::Permanent { error: failure.text };
        }
        Ok(Err(failure)) => failure.text,
        Err(TaskError::Cancelled) if is_given_back => return Outcome::GivenBack,
        // It has not run.
        Err(TaskError::AtCapacity | TaskError::ShutDown) => return Outcome::GivenBack,
        Err(TaskError::Cancelled) => "its task was cancelled".to_owned(),
        Err(TaskError::TimedOut) => {
            format!("it has taken longer than {:?}", settings.timeout.unwrap_or(Duration::ZERO))
        }
        Err(TaskError::Panicked(panic)) => cut(format!("it has panicked: {}", panic.message())),
        Err(other) => cut(other.to_string()),
    };
    if attempt >= max_attempts {
        Outcome::Exhausted { error }
    } else {
        Outcome::Retry { error, after: settings.retries.delay(attempt) }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST_BYTES));
    text
}
