//! The parts that few records have: a name, an error message, hints for the scheduler, details.

use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use moirai_core::shim::cell::UnsafeCell;

use super::details::TaskDetails;
use super::record::TaskHints;
use crate::panics;

/// The rare parts of a record, with the spawn location, whose place in the slot the pointer to them takes.
#[derive(Clone, Debug)]
pub(super) struct Annotations {
    pub(super) location: &'static Location<'static>,
    pub(super) name: Option<Arc<str>>,
    pub(super) error: Option<Arc<str>>,
    pub(super) hints: Option<Box<TaskHints>>,
    pub(super) details: Option<Arc<TaskDetails>>,
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

    /// Returns a copy with details.
    pub(super) fn with_details(&self, details: Arc<TaskDetails>) -> Self {
        Self { details: Some(details), ..self.clone() }
    }

    /// Returns the annotations of a record of which only the location is known.
    pub(super) const fn of(location: &'static Location<'static>) -> Self {
        Self { location, name: None, error: None, hints: None, details: None }
    }

    /// Returns the bytes held: this, and the texts with their reference counts. A text that is shared with a copy of the record
    /// counts here in full.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Option<Arc<str>>| {
            text.as_ref()
                .map_or(0, |text| (text.len() + 2 * size_of::<usize>()).next_multiple_of(8))
        };
        let hints = if self.hints.is_some() { size_of::<TaskHints>() } else { 0 };
        let details = self.details.as_ref().map_or(0, |details| details.bytes());
        size_of::<Self>() + of(&self.name) + of(&self.error) + hints + details
    }

    /// Moves it to the heap, and returns the pointer with the mark (the low bit set).
    pub(super) fn into_marked(self) -> *mut () {
        const { assert!(align_of::<LinkedAnnotations>() >= 2, "the low bit is the mark") };
        let linked = LinkedAnnotations {
            annotations: UnsafeCell::new(self),
            #[cfg(moirai_loom)]
            retired: Default::default(),
        };
        Box::into_raw(Box::new(linked)).cast::<()>().map_addr(|address| address | 1)
    }
}

/// Annotations on the heap, as a slot links them.
///
/// Never changed: to add something, a slot links new ones, and the old ones are retired.
#[derive(Debug)]
pub(super) struct LinkedAnnotations {
    /// In a cell only so that a model sees whether it was written before it is read.
    annotations: UnsafeCell<Annotations>,
    #[cfg(moirai_loom)]
    retired: std::sync::atomic::AtomicBool,
}

impl LinkedAnnotations {
    pub(super) fn get(&self) -> &Annotations {
        self.annotations.with(|annotations| {
            // SAFETY: they are never changed.
            unsafe { &*annotations }
        })
    }

    /// Notes in a model, in which nothing that is retired is freed, that these are retired. Panics if they were before.
    #[cfg(moirai_loom)]
    pub(super) fn retire(&self) {
        let before = self.retired.swap(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!before, "annotations that are retired are still linked");
    }

    /// Returns the annotations that a pointer with the mark points to, or `None` if it does not have the mark.
    pub(super) fn from_marked(pointer: *mut ()) -> Option<NonNull<Self>> {
        if pointer.addr() & 1 == 0 {
            return None;
        }
        NonNull::new(pointer.map_addr(|address| address & !1).cast())
    }
}
