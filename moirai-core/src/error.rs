//! Why a task has no result, and why an executor was not built.

use std::any::Any;
use std::sync::Arc;
use std::{fmt, io};

use parking_lot::Mutex;

use crate::text;

/// Why a task has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The task was cancelled: by its handle, by id, or by a token.
    Cancelled,
    /// The task's deadline passed.
    TimedOut,
    /// The task panicked.
    Panicked(Panic),
    /// The executor was shut down before the task ended, or before it was spawned.
    ShutDown,
    /// The task was refused: as many tasks were active as `max_active_tasks` allows.
    AtCapacity,
    /// A task waited for itself, which would never end.
    WouldDeadlock,
    /// The result was taken already, by an earlier `try_join`, `join_timeout` or poll.
    ResultTaken,
}

impl TaskError {
    /// Whether the task was cancelled by handle, id or token.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether the task's deadline passed.
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut)
    }

    /// Whether the task panicked.
    #[must_use]
    pub const fn is_panicked(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether the executor was shut down.
    #[must_use]
    pub const fn is_shut_down(&self) -> bool {
        matches!(self, Self::ShutDown)
    }

    /// Whether the task was refused because too many were active.
    #[must_use]
    pub const fn is_at_capacity(&self) -> bool {
        matches!(self, Self::AtCapacity)
    }

    /// Whether a task waited for itself.
    #[must_use]
    pub const fn is_would_deadlock(&self) -> bool {
        matches!(self, Self::WouldDeadlock)
    }

    /// Whether the result was taken before.
    #[must_use]
    pub const fn is_result_taken(&self) -> bool {
        matches!(self, Self::ResultTaken)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled"),
            Self::TimedOut => f.write_str("the task's deadline passed"),
            Self::Panicked(panic) => write!(f, "the task {panic}"),
            Self::ShutDown => f.write_str("the executor was shut down before the task ended"),
            Self::AtCapacity => f.write_str(
                "the task was refused: the executor's limit on tasks is reached; wait for room with \
                 `spawn_*_when_free`, or raise the limit",
            ),
            Self::WouldDeadlock => f.write_str("the task waited for its own end"),
            Self::ResultTaken => f.write_str("the task's result was taken before"),
        }
    }
}

impl std::error::Error for TaskError {}

/// What is known of a panic: its message, where it happened if that was captured, and the payload.
pub struct Panic(Box<PanicInfo>);

/// Boxed, so that a result that may be a panic is not much larger than the value.
struct PanicInfo {
    message: Arc<str>,
    location: Option<Arc<str>>,
    // Behind a lock only so that `Panic` is `Sync`; nobody ever waits for it.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// Describes a panic by what `catch_unwind` returned.
    #[must_use]
    pub fn new(payload: Box<dyn Any + Send>, location: Option<Arc<str>>) -> Self {
        let message = Self::message_of(&*payload);
        Self(Box::new(PanicInfo { message, location, payload: Mutex::new(payload) }))
    }

    /// The message of a panic, cut to [`MAX_MESSAGE_BYTES`](text::MAX_MESSAGE_BYTES) at a character boundary.
    #[must_use]
    pub fn message_of(payload: &(dyn Any + Send)) -> Arc<str> {
        let message = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a payload that is not a string");
        text::cut(message, text::MAX_MESSAGE_BYTES).into()
    }

    /// What the panic said, cut to [`MAX_MESSAGE_BYTES`](text::MAX_MESSAGE_BYTES).
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it happened, as `file:line:column`; known only with `capture_panic_location(true)`.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// The payload, for `std::panic::resume_unwind`.
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.0.payload.into_inner()
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("message", &self.0.message)
            .field("location", &self.0.location)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.0.message)?;
        match &self.0.location {
            Some(location) => write!(f, " (at {location})"),
            None => Ok(()),
        }
    }
}

/// Why an executor was not built. Nothing was started, or what was started has been stopped again.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of the configuration has a value that means nothing.
    #[non_exhaustive]
    InvalidField {
        /// The field, as in [`ExecutorConfig`](crate::ExecutorConfig).
        field: &'static str,
        /// The value that was refused.
        value: String,
        /// What is allowed, and what to do.
        remedy: &'static str,
    },
    /// The operating system would not start a thread.
    #[non_exhaustive]
    ThreadNotStarted {
        /// The thread's name.
        thread: String,
        /// The stack size that was asked for, in bytes.
        stack_size: Option<usize>,
        /// What the system said.
        source: io::Error,
    },
}

impl BuildError {
    /// Refuses `value` for `field`.
    #[must_use]
    pub fn invalid(field: &'static str, value: impl fmt::Debug, remedy: &'static str) -> Self {
        let value = format!("{value:?}");
        Self::InvalidField { field, value: text::cut(&value, text::MAX_NAME_BYTES).into(), remedy }
    }

    /// Reports that `thread` could not be started.
    #[must_use]
    pub fn thread(thread: String, stack_size: Option<usize>, source: io::Error) -> Self {
        Self::ThreadNotStarted { thread, stack_size, source }
    }

    /// The field of the configuration that is to blame, if one is.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::InvalidField { field, .. } => Some(field),
            Self::ThreadNotStarted { stack_size: Some(_), .. } => Some("thread_stack_size"),
            Self::ThreadNotStarted { .. } => Some("worker_threads"),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidField { field, value, remedy } => {
                write!(f, "`{field}` is {value}: {remedy}")
            }
            Self::ThreadNotStarted { thread, stack_size: Some(size), source } => write!(
                f,
                "thread {thread:?} could not be started ({source}): lower `thread_stack_size` ({size} bytes) or \
                 `worker_threads`, or raise the system's limits"
            ),
            Self::ThreadNotStarted { thread, stack_size: None, source } => write!(
                f,
                "thread {thread:?} could not be started ({source}): lower `worker_threads` or raise the system's \
                 limit on threads"
            ),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InvalidField { .. } => None,
            Self::ThreadNotStarted { source, .. } => Some(source),
        }
    }
}
