//! Calling the hooks of plugins.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use moirai_core::{BuildError, ExecutorPlugin};

use crate::panics::{self, log};
use crate::runtime::hook_host::HookHost;

/// The registered plugins.
#[derive(Default)]
pub(crate) struct Plugins {
    plugins: Vec<Plugin>,
    /// Whether any of them wants to be called before and after each poll.
    wants_polls: bool,
    /// Where idle workers are to sleep: what each plugin says that has a say in it.
    park_hooks: Vec<HookHost>,
}

struct Plugin {
    plugin: Box<dyn ExecutorPlugin>,
    /// Whether it wants to be called before and after each poll.
    wants_polls: bool,
    /// Whether one of its panics was reported. Only the first is, so that a hook that panics for each task does not flood the log.
    reported: AtomicBool,
}

impl Plugins {
    pub(crate) fn add(&mut self, plugin: impl ExecutorPlugin) {
        let mut added = Plugin {
            plugin: Box::new(plugin),
            wants_polls: false,
            reported: AtomicBool::new(false),
        };
        let mut wants_polls = false;
        added.call("wants_poll_hooks", |plugin| wants_polls = plugin.wants_poll_hooks());
        added.wants_polls = wants_polls;
        self.wants_polls |= wants_polls;
        let mut hook = None;
        added.call("park_hook", |plugin| hook = plugin.park_hook());
        self.park_hooks.extend(hook.map(HookHost::new));
        self.plugins.push(added);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// Returns where idle workers are to sleep, if a plugin says that.
    ///
    /// # Errors
    ///
    /// If more than one does.
    pub(crate) fn park_hook(&self) -> Result<Option<HookHost>, BuildError> {
        match &*self.park_hooks {
            [] => Ok(None),
            [hook] => Ok(Some(hook.clone())),
            more => Err(BuildError::invalid(
                "plugin",
                more.len(),
                "that many plugins have a park hook, and at most one may, because a worker sleeps in one place",
            )),
        }
    }

    /// Returns whether any plugin wants to be called before and after each poll.
    #[inline]
    pub(crate) fn wants_polls(&self) -> bool {
        self.wants_polls
    }

    /// Calls a hook of every plugin, in the order in which they were registered. Panics are contained.
    #[inline]
    pub(crate) fn call(&self, hook: &str, call: impl Fn(&dyn ExecutorPlugin)) {
        self.plugins.iter().for_each(|plugin| plugin.call(hook, &call));
    }

    /// Calls a hook of every plugin that wants to be called before and after each poll.
    pub(crate) fn call_around_poll(&self, hook: &str, call: impl Fn(&dyn ExecutorPlugin)) {
        let wanting = self.plugins.iter().filter(|plugin| plugin.wants_polls);
        wanting.for_each(|plugin| plugin.call(hook, &call));
    }
}

impl Plugin {
    fn call(&self, hook: &str, call: impl FnOnce(&dyn ExecutorPlugin)) {
        if let Some(message) = panics::contain(|| call(&*self.plugin))
            // Ordering: Relaxed: the flag protects nothing.
            && !self.reported.swap(true, Ordering::Relaxed)
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

impl Drop for Plugins {
    fn drop(&mut self) {
        // Each by itself: two destructors that panic at once would abort the process.
        for Plugin { plugin, .. } in self.plugins.drain(..) {
            if let Some(message) = panics::contain(|| drop(plugin)) {
                log!(error, panic = &*message, "the destructor of a plugin panicked");
            }
        }
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugins").field(&self.plugins.len()).finish()
    }
}
