//! Logging that does not unwind. A subscriber of `tracing` is user code, and its panic must not skip what the executor does next.

/// Logs an event with the target `moirai`, as the macro of `tracing` that the first argument names. A panic of the subscriber is
/// contained, and is not reported: the subscriber is what would report it.
macro_rules! log {
    ($level:ident, $($event:tt)*) => {{
        let _ = $crate::panics::contain(|| ::tracing::$level!(target: "moirai", $($event)*));
    }};
}

pub(crate) use log;
