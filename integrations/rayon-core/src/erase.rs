//! Jobs without their types and lifetimes.

use std::any::Any;

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A closure, of which the lifetime may have been forgotten.
pub(crate) type Erased = Box<dyn FnOnce() + Send>;
