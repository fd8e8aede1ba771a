//! What the server takes from its clients.

use std::time::Duration;

/// The largest request, in bytes.
pub(super) const REQUEST_BYTES: usize = 8 * 1024;

/// The largest number of headers of a request.
pub(super) const HEADERS: usize = 64;

/// How long a client may take to send its request.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a client may take to read an event, or to go on reading another answer.
pub(super) const STALL_TIME: Duration = Duration::from_secs(5);

/// How long a client may take to read an answer that is no stream.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How long the server waits for a client to close its end, so that the system does not throw away what was sent.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(1);

/// The bytes that are read and thrown away meanwhile.
pub(super) const LINGER_BYTES: usize = 256 * 1024;

/// The time between two events.
pub(super) const EVENT_INTERVAL: Duration = Duration::from_millis(500);

/// An event is not made again before so many times the time that it took.
pub(super) const EVENT_SHARE: u32 = 10;

/// The largest number of tasks in one list.
pub(super) const LISTED_TASKS: usize = 1_000;

/// How long events do without the queues after their source has panicked, so that the messages of its panics do not flood a log.
pub(super) const QUEUES_PAUSE: Duration = Duration::from_secs(5);
