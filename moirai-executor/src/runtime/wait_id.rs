//! What tells waits of threads apart.

/// What a thread waits for: an address that is only compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitId(*const ());

// SAFETY: the pointer is never followed.
unsafe impl Send for WaitId {}
// SAFETY: as above.
unsafe impl Sync for WaitId {}

impl WaitId {
    pub(crate) const fn new(identity: *const ()) -> Self {
        Self(identity)
    }

    pub(crate) const fn identity(self) -> *const () {
        self.0
    }
}
