//! The executor of programs that want just one.

use std::sync::OnceLock;

use crate::Moirai;

/// The global executor: default configuration, started at the first call, never shut down by itself.
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

/// The executor that runs the caller, or else the global one.
pub(crate) fn current_or_global() -> Moirai {
    Moirai::current().unwrap_or_else(|| global().clone())
}
