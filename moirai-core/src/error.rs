//! The reasons why a task has no result, and why an executor was not built.

use std::any::Any;
use std::sync::Arc;
use std::{fmt, io};

use parking_lot::Mutex;

use crate::text;

/// The reason why a task has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The task was cancelled: by its handle, by its id, by its group, or by a token.
    Cancelled,
    /// The task's timeout passed. (A deadline is only a hint for the scheduler.)
    TimedOut,
    /// The task panicked. The panic can be passed on by [`Panic::into_payload`].
    Panicked(Panic),
    /// The executor was shut down before the task ended, or before it was spawned.
    ShutDown,
    /// The task was refused, because as many tasks were active as `max_active_tasks` or the task's group allows.
    AtCapacity,
    /// A blocking task was refused, because there was no thread for it and the system started none.
    NoThread,
    /// A task waited for its own result, which would never come.
    WouldDeadlock,
    /// The result has been taken before, by `try_join`, by `join_timeout` or by a poll.
    ResultTaken,
}

impl TaskError {
    /// Returns `true` if the task was cancelled, but not by its timeout or a shutdown.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Returns `true` if the task's timeout passed.
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut)
    }

    /// Returns `true` if the task panicked.
    #[must_use]
    pub const fn is_panicked(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Returns `true` if the executor was shut down before the task ended, or before it was spawned.
    #[must_use]
    pub const fn is_shut_down(&self) -> bool {
        matches!(self, Self::ShutDown)
    }

    /// Returns `true` if the task was refused because too many were active.
    #[must_use]
    pub const fn is_at_capacity(&self) -> bool {
        matches!(self, Self::AtCapacity)
    }

    /// Returns `true` if a blocking task was refused because no thread could be started for it.
    #[must_use]
    pub const fn is_no_thread(&self) -> bool {
        matches!(self, Self::NoThread)
    }

    /// Returns `true` if a task waited for its own result.
    #[must_use]
    pub const fn is_would_deadlock(&self) -> bool {
        matches!(self, Self::WouldDeadlock)
    }

    /// Returns `true` if the result has been taken before.
    #[must_use]
    pub const fn is_result_taken(&self) -> bool {
        matches!(self, Self::ResultTaken)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled"),
            Self::TimedOut => f.write_str("the task's timeout passed"),
            Self::Panicked(panic) => write!(f, "the task {panic}"),
            Self::ShutDown => f.write_str("the executor was shut down before the task was spawned or had ended"),
            Self::AtCapacity => f.write_str(
                "the task was refused: a limit on tasks is reached (`max_active_tasks`, the group's `max_tasks`, or \
                 `blocking_queue_limit`); wait for room with `task().spawn_*_when_free`, or raise the limit",
            ),
            Self::NoThread => f.write_str(
                "the task was refused: there was no thread for blocking tasks, and the system started none; raise its limits on \
                 threads and memory, or lower `max_blocking_threads` and `thread_stack_size`",
            ),
            Self::WouldDeadlock => f.write_str("the task waited for its own result, which would never come"),
            Self::ResultTaken => f.write_str("the task's result has already been taken"),
        }
    }
}

impl std::error::Error for TaskError {}

/// A panic that was caught: its message, its payload, and its location if that was captured.
pub struct Panic(Box<PanicInfo>);

/// Boxed, so that a result that may be a panic is not much larger than its value.
struct PanicInfo {
    message: Arc<str>,
    location: Option<Arc<str>>,
    // The lock is there only to make `Panic` `Sync`. No thread ever waits for it.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    /// Creates a panic from the payload that `catch_unwind` returned, and the location, as `file:line:column`, if it is known.
    #[must_use]
    pub fn new(payload: Box<dyn Any + Send>, location: Option<Arc<str>>) -> Self {
        let message = Self::message_of(&*payload);
        Self(Box::new(PanicInfo { message, location, payload: Mutex::new(payload) }))
    }

    /// Returns the message of a panic with this payload, cut to at most [`MAX_MESSAGE_BYTES`](text::MAX_MESSAGE_BYTES) bytes at a
    /// character boundary.
    ///
    /// If the payload is neither a `&'static str` nor a `String`, the message is `a payload that is not a string`.
    #[must_use]
    pub fn message_of(payload: &(dyn Any + Send)) -> Arc<str> {
        let message = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a payload that is not a string");
        text::cut(message, text::MAX_MESSAGE_BYTES).into()
    }

    /// Returns the message, cut to at most [`MAX_MESSAGE_BYTES`](text::MAX_MESSAGE_BYTES) bytes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns where the panic happened, as `file:line:column`. It is known only with `capture_panic_location(true)`.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// Returns the payload, with which [`resume_unwind`](std::panic::resume_unwind) goes on panicking.
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

/// The reason why an executor was not built. Threads that had been started have been stopped again.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of the configuration has a value that is not allowed.
    #[non_exhaustive]
    InvalidField {
        /// The name of the field, as in [`ExecutorConfig`](crate::ExecutorConfig).
        field: &'static str,
        /// The value that was refused, as its `Debug` prints it, cut to [`MAX_NAME_BYTES`](text::MAX_NAME_BYTES) bytes.
        value: String,
        /// What is allowed, and what to do instead.
        remedy: &'static str,
    },
    /// The operating system did not start a thread.
    #[non_exhaustive]
    ThreadNotStarted {
        /// The thread's name.
        thread: String,
        /// The stack size that was asked for, in bytes; `None` if the choice was the standard library's.
        stack_size: Option<usize>,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl BuildError {
    /// Creates the error that refuses `value` for `field`.
    #[must_use]
    pub fn invalid(field: &'static str, value: impl fmt::Debug, remedy: &'static str) -> Self {
        let value = format!("{value:?}");
        Self::InvalidField { field, value: text::cut(&value, text::MAX_NAME_BYTES).into(), remedy }
    }

    /// Creates the error that reports that `thread` could not be started.
    #[must_use]
    pub fn thread(thread: String, stack_size: Option<usize>, source: io::Error) -> Self {
        Self::ThreadNotStarted { thread, stack_size, source }
    }

    /// Returns the name of the field to change: the one that was refused, or, if a thread could not be started, `thread_stack_size`
    /// if it is set and `worker_threads` otherwise.
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
