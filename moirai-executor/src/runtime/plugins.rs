//! Calling the hooks of plugins.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use moirai_core::ExecutorPlugin;

use crate::panics::{self, log};

/// The registered plugins.
#[derive(Default)]
pub(crate) struct Plugins(Vec<Plugin>);

struct Plugin {
    plugin: Box<dyn ExecutorPlugin>,
    /// Whether one of its panics was reported. Only the first is, so that a hook that panics for each task does not flood the log.
    reported: AtomicBool,
}

impl Plugins {
    pub(crate) fn add(&mut self, plugin: impl ExecutorPlugin) {
        let reported = AtomicBool::new(false);
        self.0.push(Plugin { plugin: Box::new(plugin), reported });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls a hook of every plugin, in the order in which they were registered. Panics are contained.
    #[inline]
    pub(crate) fn call(&self, hook: &str, call: impl Fn(&dyn ExecutorPlugin)) {
        for plugin in &self.0 {
            if let Some(message) = panics::contain(|| call(&*plugin.plugin))
                // Ordering: Relaxed: the flag protects nothing.
                && !plugin.reported.swap(true, Ordering::Relaxed)
            {
                log!(
                    error,
                    hook,
                    panic = &*message,
                    "a plugin panicked; its further panics are not logged"
                );
            }
        }
    }
}

impl Drop for Plugins {
    fn drop(&mut self) {
        // Each by itself: two destructors that panic at once would abort the process.
        for Plugin { plugin, .. } in self.0.drain(..) {
            if let Some(message) = panics::contain(|| drop(plugin)) {
                log!(error, panic = &*message, "the destructor of a plugin panicked");
            }
        }
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugins").field(&self.0.len()).finish()
    }
}
