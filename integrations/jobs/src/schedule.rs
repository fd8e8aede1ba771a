//! Jobs that are pushed again and again, by the clock.

use std::fmt;
use std::pin::pin;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use futures_util::future::select;
use moirai::time::sleep;
use moirai::{AbortHandle, Moirai};
use serde::Serialize;

use crate::{Error, Queue};

/// The largest number of bytes of an expression.
const MOST_BYTES: usize = 100;
/// The longest sleep: after it, the clock is read again, in case it was set.
const LONGEST: Duration = Duration::from_secs(60);

/// A schedule by which jobs are pushed; see [`Queue::schedule`]. It goes on when this is dropped, until the executor shuts down.
#[derive(Debug)]
pub struct Schedule(AbortHandle);

impl Schedule {
    /// Ends the schedule. What was pushed stays.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl<T: Serialize + Send + Sync + 'static> Queue<T> {
    /// Pushes a job whenever the expression says so, in UTC, by a task of `moirai`. `payload` is called with that time.
    ///
    /// The expression is one of the crate `cron`: second, minute, hour, day of the month, month, day of the week, and maybe year.
    /// `0 30 3 * * Mon-Fri` is half past three on working days.
    ///
    /// Any number of processes may have the same schedule: a time has one job, since its key is made of the time and the expression.
    /// Times at which no process runs are not made up for. While the storage does not answer, the push is tried again, until the next
    /// time has come. If `payload` panics, the schedule ends, and the record of its task, `schedule of` the queue, has the message.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the expression cannot be read, or no time fits it, or for a wrong setting of the queue.
    pub fn schedule(
        &self,
        moirai: &Moirai,
        expression: &str,
        payload: impl Fn(SystemTime) -> T + Send + 'static,
    ) -> Result<Schedule, Error> {
        self.check()?;
        let times = cron::Schedule::from_str(expression)
            .map_err(|error| wrong(expression, &error))
            .and_then(|times| match expression.len() {
                0..=MOST_BYTES => Ok(times),
                _ => Err(wrong(expression, &format_args!("it has more than {MOST_BYTES} bytes"))),
            })?;
        if times.after(&Utc::now()).next().is_none() {
            return Err(wrong(expression, &"no time to come fits it"));
        }
        let (queue, ending) = (self.clone(), moirai.shutting_down());
        let name = format!("schedule of {}", queue.name());
        let expression = expression.to_owned();
        let push = async move {
            let push = pin!(push(queue, times, expression, payload));
            select(push, pin!(ending)).await;
        };
        Ok(Schedule(moirai.task().name(name).spawn_async(push).abort_handle()))
    }
}

fn wrong(expression: &str, why: &dyn fmt::Display) -> Error {
    let expression: String = expression.chars().take(MOST_BYTES).collect();
    Error::Setting(format!("the schedule {expression:?} cannot be followed: {why}"))
}

/// Pushes at each time, until there is none.
async fn push<T: Serialize + Send + Sync + 'static>(
    queue: Queue<T>,
    times: cron::Schedule,
    expression: String,
    payload: impl Fn(SystemTime) -> T + Send,
) {
    let mut last = Utc::now();
    while let Some(next) = times.after(&last).next() {
        sleep_until(next).await;
        let time = SystemTime::from(next);
        let job = payload(time);
        // A process that was stopped for long goes on with the present: times between are not made up for.
        last = next.max(Utc::now() - chrono::TimeDelta::seconds(1));
        let end = times.after(&next).next();
        while let Err(error) =
            queue.job(&job).key(format!("{expression} at {}", next.timestamp())).push().await
        {
            tracing::warn!(queue = queue.name(), %next, %error, "a job of a schedule cannot be pushed");
            sleep(Duration::from_secs(1)).await;
            if end.is_some_and(|end| Utc::now() >= end) {
                break;
            }
        }
    }
}

async fn sleep_until(time: DateTime<Utc>) {
    // It is past when the difference is negative.
    while let Ok(left) = (time - Utc::now()).to_std() {
        sleep(left.min(LONGEST)).await;
    }
}
