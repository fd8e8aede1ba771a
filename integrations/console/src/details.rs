//! What is told of a single task that somebody looks at: histograms of its polls, as far as the flight recorder still has them.

use std::time::{Duration, SystemTime};

use console_api::tasks::task_details::PollTimesHistogram;
use console_api::tasks::{DurationHistogram, TaskDetails};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use moirai::{Flight, FlightEventKind, HybridExecutor, PollOutcome, TaskId};

/// The longest time that a histogram has, in nanoseconds: an hour. Longer ones are counted as outliers.
const LONGEST: u64 = 3_600_000_000_000;
/// To how many digits a histogram is exact.
const DIGITS: u8 = 2;

/// The times of a task's polls. Either is `None` if not a single time is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histograms {
    /// How long its polls took.
    polls: Option<DurationHistogram>,
    /// How long it was queued before its polls.
    queued: Option<DurationHistogram>,
}

/// Returns the histograms of a task.
///
/// Its record has the number of its polls and their total time, from which no histogram can be made. The flight recorder has each
/// poll, until newer events of the same thread overwrite it.
pub(crate) fn histograms(executor: &HybridExecutor, id: TaskId) -> Histograms {
    let (polls, queued) = times(&executor.flight(), id);
    Histograms { polls: histogram(&polls), queued: histogram(&queued) }
}

/// Returns how long the polls of a task took, and how long it was queued before them, as far as that is known.
fn times(flight: &Flight, id: TaskId) -> (Vec<Duration>, Vec<Duration>) {
    let (mut polls, mut queued) = (Vec::new(), Vec::new());
    let (mut begun, mut saw_spawn) = (0, false);
    // When the task was queued last, if it is not known to have been polled since.
    let mut since = None;
    for (_, event) in flight.story(id) {
        match event.kind {
            FlightEventKind::Poll { outcome, .. } => {
                begun += 1;
                queued.extend(since.take().map(|since| event.start.saturating_since(since)));
                if outcome != PollOutcome::Running {
                    polls.push(event.duration());
                }
            }
            FlightEventKind::Spawned { .. } => {
                saw_spawn = true;
                since = Some(event.start);
            }
            FlightEventKind::Woken { .. } => since = since.or(Some(event.start)),
            _ => {}
        }
    }
    // The flight does not tell of spawns outside of the executor. The record tells how long the task was queued before the first poll.
    let record = flight.task(id).filter(|record| !saw_spawn && begun >= record.polls);
    queued.extend(record.and_then(|record| record.queue_time()));
    (polls, queued)
}

/// Returns the histogram of these times in the form in which tokio-console decodes it; `None` if there are none.
fn histogram(times: &[Duration]) -> Option<DurationHistogram> {
    let longest = times.iter().max()?;
    let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut histogram = Histogram::<u64>::new_with_max(LONGEST, DIGITS).ok()?;
    // None is refused: `saturating_record` takes what is too long for the longest.
    times.iter().for_each(|time| histogram.saturating_record(nanos(time)));
    let outliers = times.iter().filter(|time| nanos(time) > LONGEST).count();
    let mut raw_histogram = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut raw_histogram).ok()?;
    Some(DurationHistogram {
        raw_histogram,
        max_value: LONGEST,
        high_outliers: outliers as u64,
        highest_outlier: (outliers > 0).then(|| nanos(longest)),
    })
}

/// Returns the message about a task.
pub(crate) fn message(id: TaskId, histograms: Histograms) -> TaskDetails {
    TaskDetails {
        task_id: Some(id.get().into()),
        now: Some(SystemTime::now().into()),
        poll_times_histogram: histograms.polls.map(PollTimesHistogram::Histogram),
        scheduled_times_histogram: histograms.queued,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_the_longest_are_outliers() {
        assert_eq!(histogram(&[]), None);
        let day = Duration::from_secs(86_400);
        let told = histogram(&[Duration::ZERO, Duration::from_micros(3), day, 2 * day]).unwrap();
        assert_eq!((told.high_outliers, told.max_value), (2, LONGEST));
        assert_eq!(told.highest_outlier, Some(2 * 86_400 * 1_000_000_000));
    }
}
