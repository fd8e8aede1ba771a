//! Where the tasks of a builder go: each to a handle of its own, or into a group.

use std::future::{Future, ready};

use crate::handle::TaskHandle;

/// Keeps the trait for the types of this crate.
pub(crate) mod sealed {
    /// A destination of this crate.
    pub trait Sealed {}
}

/// Where the tasks of a [`TaskBuilder`](crate::TaskBuilder) go. It decides what a spawn returns.
///
/// There are two: [`Standalone`], the default, and [`InGroup`](crate::InGroup), which
/// [`in_group`](crate::TaskBuilder::in_group) chooses. No other crate can add one.
pub trait Destination<T: Send + 'static>: sealed::Sealed + Send + Sync + 'static {
    /// What a spawn returns: the task's handle, or its id if its group has the handle.
    type Spawned;

    /// Takes a place for one task, if there is one.
    #[doc(hidden)]
    fn try_take_place(&self) -> bool;

    /// Waits for a place for one task, and takes it.
    #[doc(hidden)]
    fn take_place(&self) -> impl Future<Output = ()> + Send;

    /// Gives a place back that no task came to.
    #[doc(hidden)]
    fn give_place_back(&self);

    /// Takes in a task that has a place, whether the executor has admitted it or not.
    #[doc(hidden)]
    fn accept(&self, handle: TaskHandle<T>) -> Self::Spawned;

    /// Counts a task that found no place.
    #[doc(hidden)]
    fn refuse(&self, handle: TaskHandle<T>) -> Self::Spawned;
}

/// The task belongs to no group. A spawn returns its [`TaskHandle`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Standalone;

impl sealed::Sealed for Standalone {}

impl<T: Send + 'static> Destination<T> for Standalone {
    type Spawned = TaskHandle<T>;

    #[inline]
    fn try_take_place(&self) -> bool {
        true
    }

    fn take_place(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    fn give_place_back(&self) {}

    #[inline]
    fn accept(&self, handle: TaskHandle<T>) -> TaskHandle<T> {
        handle
    }

    fn refuse(&self, handle: TaskHandle<T>) -> TaskHandle<T> {
        handle
    }
}
