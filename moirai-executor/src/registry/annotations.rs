//! What few records have: a name, a message, hints for the scheduler.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use super::record::Hints;
use crate::panics;

/// What few records have, and the spawn place, whose pointer it takes. Never changed once a slot links it: a new one takes
/// its place, and it is retired.
#[derive(Clone, Debug)]
pub(super) struct Annotations {
    pub(super) location: &'static Location<'static>,
    pub(super) name: Option<Arc<str>>,
    pub(super) error: Option<Arc<str>>,
    pub(super) hints: Option<Box<Hints>>,
}

impl Annotations {
    /// The same, with one more message.
    pub(super) fn with_error(&self, error: Arc<str>) -> Self {
        let error = match &self.error {
            None => error,
            Some(first) => panics::joined(Some(first), &error),
        };
        Self { error: Some(error), ..self.clone() }
    }

    /// Bytes held: this, and the texts with their counts. A text that is shared with a copy of the record counts here.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Option<Arc<str>>| {
            text.as_ref()
                .map_or(0, |text| (text.len() + 2 * size_of::<usize>()).next_multiple_of(8))
        };
        let hints = if self.hints.is_some() { size_of::<Hints>() } else { 0 };
        size_of::<Self>() + of(&self.name) + of(&self.error) + hints
    }

    /// Moves it to the heap, as a pointer with the mark.
    pub(super) fn into_marked(self) -> *mut () {
        Box::into_raw(Box::new(self)).cast::<()>().map_addr(|address| address | 1)
    }

    /// The text that a pointer with the mark names; `None` without the mark.
    pub(super) fn from_marked(pointer: *mut ()) -> Option<NonNull<Self>> {
        if pointer.addr() & 1 == 0 {
            return None;
        }
        NonNull::new(pointer.map_addr(|address| address & !1).cast())
    }
}
