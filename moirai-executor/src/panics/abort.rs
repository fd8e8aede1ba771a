//! The guard of regions that must not unwind.

use std::process::abort;

/// Aborts the process if it is dropped: unwinding would free memory that another thread uses.
///
/// Nothing in such a region is meant to panic, and what users bring is contained there. The guard is for what was overlooked, so
/// that a mistake ends the process and is not undefined behaviour. End the region with [`disarm`](Self::disarm).
///
/// A model does not abort, because loom reports its errors by panicking, and then drops what is on its threads' stacks.
#[must_use]
pub(crate) struct AbortOnUnwind;

impl AbortOnUnwind {
    /// Ends the region.
    #[inline]
    pub(crate) const fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for AbortOnUnwind {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        if !cfg!(moirai_loom) {
            eprintln!("moirai: a panic while other threads use the stack of this one: aborting");
            abort();
        }
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use std::panic::catch_unwind;
    use std::process::{Command, exit};

    use super::AbortOnUnwind;

    /// Says that this process is the one that is to abort.
    const ABORTS: &str = "MOIRAI_TEST_ABORTS";

    #[test]
    fn unwinding_out_of_a_guarded_region_ends_the_process() {
        if std::env::var_os(ABORTS).is_some() {
            let _caught = catch_unwind(|| {
                let _guard = AbortOnUnwind;
                panic!("a panic in a guarded region");
            });
            exit(0);
        }
        let this = "panics::abort::tests::unwinding_out_of_a_guarded_region_ends_the_process";
        let mut test = Command::new(std::env::current_exe().unwrap());
        let output = test.args([this, "--exact", "--nocapture"]).env(ABORTS, "1").output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "the unwinding was caught");
        assert!(message.contains("while other threads use the stack"), "{message}");
    }
}
