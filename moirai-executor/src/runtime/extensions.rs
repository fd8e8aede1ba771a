//! Values that a program hangs on an executor, and finds again from inside of it: one of each type.

use std::any::Any;
use std::fmt;

/// The extensions of an executor.
#[derive(Default)]
pub(crate) struct Extensions(Vec<Box<dyn Any + Send + Sync>>);

impl Extensions {
    /// Adds a value. Returns the one of the same type that was there before.
    pub(crate) fn insert<T: Any + Send + Sync>(
        &mut self,
        value: T,
    ) -> Option<Box<dyn Any + Send + Sync>> {
        let before = self.0.iter().position(|extension| extension.is::<T>());
        let before = before.map(|place| self.0.swap_remove(place));
        self.0.push(Box::new(value));
        before
    }

    /// Returns the value of a type.
    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.iter().find_map(|extension| extension.downcast_ref())
    }

    /// Takes all values.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Box<dyn Any + Send + Sync>> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.0.len()).finish()
    }
}
