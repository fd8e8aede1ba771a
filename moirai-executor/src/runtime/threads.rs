//! Starting the executor's threads, their names, and the hooks that plugins have for them.

use std::io;
use std::sync::Arc;

use moirai_core::ThreadKind;

use crate::runtime::shared::Shared;

/// Returns the name of a thread that runs tasks.
pub(crate) fn thread_name(shared: &Shared, kind: ThreadKind, number: usize) -> String {
    let given = shared.thread_names.given(kind, number);
    given.unwrap_or_else(|| format!("{}-{kind}-{number}", shared.config.thread_name_prefix))
}

/// Calls the hooks of a thread that runs tasks: `on_thread_start` when this is created, `on_thread_stop` when it is dropped.
pub(crate) struct ThreadHooks<'a> {
    shared: &'a Shared,
    kind: ThreadKind,
    number: usize,
}

impl<'a> ThreadHooks<'a> {
    pub(crate) fn start(shared: &'a Shared, kind: ThreadKind, number: usize) -> Self {
        shared.plugins.call("on_thread_start", |plugin| plugin.on_thread_start(kind, number));
        Self { shared, kind, number }
    }
}

impl Drop for ThreadHooks<'_> {
    fn drop(&mut self) {
        let Self { shared, kind, number } = *self;
        shared.plugins.call("on_thread_stop", |plugin| plugin.on_thread_stop(kind, number));
    }
}

impl Shared {
    /// Starts a thread of the executor.
    ///
    /// # Errors
    ///
    /// The error of the operating system, or an error that says that the executor is gone.
    pub(crate) fn start_thread(
        &self,
        name: String,
        body: impl FnOnce(Arc<Self>) + Send + 'static,
    ) -> io::Result<()> {
        // The thread keeps the executor alive, as the caller does now.
        let Some(shared) = self.arc() else {
            return Err(io::Error::other("the executor is gone"));
        };
        let mut builder = std::thread::Builder::new().name(name);
        if let Some(size) = self.config.thread_stack_size {
            builder = builder.stack_size(size);
        }
        let prefix = self.config.thread_name_prefix.clone();
        builder
            .spawn(move || {
                name_for_system(&prefix);
                body(shared);
            })
            .map(drop)
    }
}

/// The number of bytes of a thread's name that Linux keeps and shows.
#[cfg(all(any(target_os = "linux", test), not(moirai_loom)))]
const SHOWN: usize = 15;

/// Makes the system show the part of the calling thread's name that tells it from others, if the name begins with the prefix that all
/// threads of the executor have in common.
#[cfg(all(target_os = "linux", not(moirai_loom)))]
pub(crate) fn name_for_system(prefix: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    if name.len() > SHOWN
        && name.starts_with(prefix)
        && let Ok(name) = std::ffi::CString::new(shown_name(name, prefix.len()))
    {
        // If it fails, the system shows the beginning of the name.
        let _ = rustix::thread::set_name(&name);
    }
}

#[cfg(not(all(target_os = "linux", not(moirai_loom))))]
pub(crate) fn name_for_system(_: &str) {}

/// Returns a name of at most [`SHOWN`] bytes: what follows the prefix is cut to an initial and the number, and the prefix to what is
/// left.
#[cfg(all(any(target_os = "linux", test), not(moirai_loom)))]
fn shown_name(name: &str, prefix: usize) -> String {
    let (prefix, rest) = name.split_at(prefix);
    let mut parts = rest.split('-').skip(1);
    let initial = parts.next().and_then(|word| word.chars().next());
    let short = format!("-{}{}", initial.unwrap_or_default(), parts.next().unwrap_or_default());
    let kept = prefix.floor_char_boundary(SHOWN.saturating_sub(short.len()));
    format!("{}{short}", &prefix[..kept])
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_system_shows_what_tells_threads_apart() {
        let shown = |prefix: &str, rest: &str| shown_name(&format!("{prefix}{rest}"), prefix.len());
        assert_eq!(shown("moirai", "-worker-12"), "moirai-w12");
        assert_eq!(shown("moirai", "-blocking-512"), "moirai-b512");
        assert_eq!(shown("image-service", "-comp-1"), "image-servic-c1");
        assert_eq!(shown("größe-prüfung", "-spare-10"), "größe-pr-s10");
        assert_eq!(shown("image-service", "-watchdog"), "image-service-w");
    }
}
