//! The parts that few records have: a name, an error message, hints for the scheduler.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use super::record::TaskHints;
use crate::panics;

/// The rare parts of a record, with the spawn location, whose place in the slot the pointer to them takes.
///
/// Never changed once a slot links it: to add something, a slot links a new one, and the old one is retired.
#[derive(Clone, Debug)]
pub(super) struct Annotations {
    pub(super) location: &'static Location<'static>,
    pub(super) name: Option<Arc<str>>,
    pub(super) error: Option<Arc<str>>,
    pub(super) hints: Option<Box<TaskHints>>,
}

impl Annotations {
    /// Returns a copy with one more error message, which is appended to the first if there is one.
    pub(super) fn with_error(&self, error: Arc<str>) -> Self {
        let error = match &self.error {
            None => error,
            Some(first) => panics::joined(Some(first), &error),
        };
        Self { error: Some(error), ..self.clone() }
    }

    /// Returns the bytes held: this, and the texts with their reference counts. A text that is shared with a copy of the record
    /// counts here in full.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Option<Arc<str>>| {
            text.as_ref()
                .map_or(0, |text| (text.len() + 2 * size_of::<usize>()).next_multiple_of(8))
        };
        let hints = if self.hints.is_some() { size_of::<TaskHints>() } else { 0 };
        size_of::<Self>() + of(&self.name) + of(&self.error) + hints
    }

    /// Moves it to the heap, and returns the pointer with the mark (the low bit set).
    pub(super) fn into_marked(self) -> *mut () {
        Box::into_raw(Box::new(self)).cast::<()>().map_addr(|address| address | 1)
    }

    /// Returns the annotations that a pointer with the mark points to, or `None` if it does not have the mark.
    pub(super) fn from_marked(pointer: *mut ()) -> Option<NonNull<Self>> {
        if pointer.addr() & 1 == 0 {
            return None;
        }
        NonNull::new(pointer.map_addr(|address| address & !1).cast())
    }
}
