//! The token that tells tasks that a shutdown has begun.

use std::sync::atomic::{AtomicBool, Ordering};

use moirai_sync::CancellationToken;

/// The token of an executor. It is cancelled when a shutdown begins.
#[derive(Debug, Default)]
pub(crate) struct ShutdownToken {
    token: CancellationToken,
    given: AtomicBool,
}

impl ShutdownToken {
    /// Returns a token that is cancelled with this one. Its holder may have it call back.
    pub(crate) fn give(&self) -> CancellationToken {
        // Ordering: Relaxed: if a shutdown that begins meanwhile does not see this, it calls back on its own thread.
        self.given.store(true, Ordering::Relaxed);
        self.token.child_token()
    }

    /// Returns whether [`give`](Self::give) has been called.
    pub(crate) fn was_given(&self) -> bool {
        // Ordering: Relaxed: see `give`.
        self.given.load(Ordering::Relaxed)
    }

    /// Waits until a shutdown has begun.
    pub(crate) fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        self.token.clone().cancelled_owned()
    }

    /// Cancels the token, and those that were given.
    pub(crate) fn cancel(&self) {
        self.token.cancel();
    }
}
