//! The global executor, for programs that need only one.

use std::sync::OnceLock;

use crate::Moirai;

/// Returns the global executor. It has the default configuration, is started by the first call, and never shuts down by itself.
///
/// ```
/// let executor = moirai::global();
/// assert_eq!(executor.spawn_parallel(|| 6 * 7).join().unwrap(), 42);
/// ```
///
/// # Panics
///
/// If its threads cannot be started.
pub fn global() -> &'static Moirai {
    static GLOBAL: OnceLock<Moirai> = OnceLock::new();
    GLOBAL.get_or_init(|| match Moirai::new() {
        Ok(executor) => executor,
        Err(error) => panic!("the global executor could not be started: {error}"),
    })
}

/// Returns the executor that runs the calling thread, or else the global one.
pub(crate) fn current_or_global() -> Moirai {
    Moirai::current().unwrap_or_else(|| global().clone())
}
