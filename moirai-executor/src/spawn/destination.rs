//! Where the handles of a builder's tasks go: to the caller, or into a group.

use std::fmt::Display;
use std::future::{Future, ready};

use crate::handle::TaskHandle;
use crate::spawn::check::{Check, ErrIsFailure, NeverFails};

/// Seals the trait, so that only this crate implements it.
pub(crate) mod sealed {
    /// A destination of this crate.
    pub trait Sealed {}
}

/// Where the handle of a [`TaskBuilder`](crate::TaskBuilder)'s task goes, which decides what a spawn returns.
///
/// There are two: [`Standalone`], which is the default, and [`InGroup`](crate::InGroup), which
/// [`in_group`](crate::TaskBuilder::in_group) chooses; and [`FailsOnErr`] of each. The trait is sealed.
pub trait Destination<T: Send + 'static>: sealed::Sealed + Send + Sync {
    /// What a spawn returns: the task's handle, or its id if the handle belongs to the task's group.
    type Spawned;

    /// What makes the task fail that has returned a value.
    #[doc(hidden)]
    type Check: Check<T>;

    /// Takes a place for one task, if there is one.
    #[doc(hidden)]
    fn try_take_place(&self) -> bool;

    /// Waits for a place for one task, and takes it.
    #[doc(hidden)]
    fn take_place(&self) -> impl Future<Output = ()> + Send;

    /// Gives a place back for which no task came.
    #[doc(hidden)]
    fn give_place_back(&self);

    /// Accepts a task that has a place, whether the executor has admitted it or not.
    #[doc(hidden)]
    fn accept(&self, handle: TaskHandle<T>) -> Self::Spawned;

    /// Counts a task for which there was no place.
    #[doc(hidden)]
    fn refuse(&self, handle: TaskHandle<T>) -> Self::Spawned;
}

/// A [`Destination`] whose group can be replaced. The trait is sealed.
pub trait Regroup: sealed::Sealed {
    /// The same with another group.
    #[doc(hidden)]
    type In<N>;

    #[doc(hidden)]
    fn regroup<N>(self, group: N) -> Self::In<N>;
}

impl Regroup for Standalone {
    type In<N> = N;

    fn regroup<N>(self, group: N) -> N {
        group
    }
}

impl<D: Regroup> Regroup for FailsOnErr<D> {
    type In<N> = FailsOnErr<D::In<N>>;

    fn regroup<N>(self, group: N) -> FailsOnErr<D::In<N>> {
        FailsOnErr(self.0.regroup(group))
    }
}

/// The [`Destination`] of tasks that belong to no group. A spawn returns the [`TaskHandle`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Standalone;

impl sealed::Sealed for Standalone {}

impl<T: Send + 'static> Destination<T> for Standalone {
    type Spawned = TaskHandle<T>;
    type Check = NeverFails;

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

/// A [`Destination`] of tasks that fail when they return an `Err`. [`fails_on_err`](crate::TaskBuilder::fails_on_err) chooses it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailsOnErr<D>(pub(crate) D);

impl<D> sealed::Sealed for FailsOnErr<D> {}

impl<T, E, D> Destination<Result<T, E>> for FailsOnErr<D>
where
    T: Send + 'static,
    E: Display + Send + 'static,
    D: Destination<Result<T, E>>,
{
    type Spawned = D::Spawned;
    type Check = ErrIsFailure;

    fn try_take_place(&self) -> bool {
        self.0.try_take_place()
    }

    fn take_place(&self) -> impl Future<Output = ()> + Send {
        self.0.take_place()
    }

    fn give_place_back(&self) {
        self.0.give_place_back();
    }

    fn accept(&self, handle: TaskHandle<Result<T, E>>) -> D::Spawned {
        self.0.accept(handle)
    }

    fn refuse(&self, handle: TaskHandle<Result<T, E>>) -> D::Spawned {
        self.0.refuse(handle)
    }
}
