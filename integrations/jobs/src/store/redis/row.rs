//! What the scripts answer.

use redis::{FromRedisValue, ParsingError, Value};

use super::super::contract::Taken;
use super::super::text;
use crate::Error;
use crate::record::{JobRecord, JobState, QueueStats};

/// An answer with several parts. Without this, the library takes a list of them for one flat list.
pub(super) struct Row<T>(pub(super) T);

impl<T: FromRedisValue> FromRedisValue for Row<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        T::from_redis_value(value).map(Self)
    }
}

/// The id, queue, payload and fields of a job.
pub(super) type RecordRow = Row<(String, String, Option<Vec<u8>>, Vec<Option<String>>)>;
/// The id, payload, number of attempts, largest number of them, and key of a job.
pub(super) type TakenRow = Row<(String, Vec<u8>, i64, i64, Option<String>)>;
/// The name of a queue, its numbers of jobs by state, and the time of the oldest waiting one.
pub(super) type QueueRow = Row<(String, i64, i64, i64, i64, i64, i64, i64, i64)>;

pub(super) fn record(row: RecordRow) -> Result<JobRecord, Error> {
    let Row((id, queue, payload, fields)) = row;
    let fields: [Option<String>; 10] =
        fields.try_into().map_err(|_| Error::storage("a job has other fields than asked for"))?;
    let [state, attempts, max, priority, run_at, ended_at, taken_at, consumer, result, key] =
        fields;
    let number = |field: Option<String>| field.and_then(|text| text.parse::<i64>().ok());
    let result = result.and_then(|text| serde_json::from_str(&text).ok());
    Ok(JobRecord {
        id: id.parse()?,
        queue,
        state: text::state(&state.unwrap_or_default())?,
        attempts: text::number(number(attempts).unwrap_or(0)),
        max_attempts: text::number(number(max).unwrap_or(0)),
        priority: text::number(number(priority).unwrap_or(0)),
        run_at: text::time(number(run_at).unwrap_or(0)),
        ended_at: number(ended_at).map(text::time),
        taken_at: number(taken_at).map(text::time),
        consumer,
        error: result.as_ref().and_then(text::error),
        key: key.filter(|key| !key.is_empty()),
        payload: payload.unwrap_or_default(),
    })
}

pub(super) fn taken(row: TakenRow) -> Result<Taken, Error> {
    let Row((id, payload, attempts, max_attempts, key)) = row;
    let (attempts, max_attempts) = (text::number(attempts), text::number(max_attempts));
    Ok(Taken { id: id.parse()?, payload, attempts, max_attempts, key })
}

/// Adds the numbers of a queue, unless it has no jobs.
pub(super) fn count(queues: &mut Vec<QueueStats>, row: QueueRow) {
    let Row((name, waiting, scheduled, running, retrying, done, dead, cancelled, oldest)) = row;
    let counts = [
        (JobState::Waiting, waiting),
        (JobState::Scheduled, scheduled),
        (JobState::Running, running),
        (JobState::Retrying, retrying),
        (JobState::Done, done),
        (JobState::Dead, dead),
        (JobState::Cancelled, cancelled),
    ];
    for (state, jobs) in counts {
        if jobs > 0 {
            text::count(queues, name.clone(), state, jobs, oldest);
        }
    }
}
