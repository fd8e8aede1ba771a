//! Values that belong to a task: a future, and what it awaits, find them wherever they are polled.
//!
//! [`task_local!`](crate::task_local) declares a key, and [`LocalKey::scope`] gives it a value for the time of a future. Between
//! its polls the value is kept in the future; during a poll it is in a thread-local of the thread that polls. So this works in
//! every executor, and also in none. The idea and the names are tokio's.

use pin_project_lite::pin_project;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

#[cfg(all(test, not(moirai_loom)))]
mod tests;

/// Declares keys of task-local values, as `thread_local!` does for those of threads.
///
/// ```
/// use moirai_sync::task_local;
///
/// task_local! {
///     /// The user for whom a request is answered.
///     pub static USER: String;
///     static DEPTH: u32;
/// }
///
/// async fn greet() -> String {
///     USER.with(|user| format!("Hello, {user}."))
/// }
///
/// # futures_lite::future::block_on(async {
/// let greeting = USER.scope("Clotho".to_owned(), greet());
/// assert_eq!(greeting.await, "Hello, Clotho.");
/// assert!(USER.try_with(|_| ()).is_err(), "the scope has ended");
/// # DEPTH.sync_scope(1, || ());
/// # });
/// ```
///
/// Each key is a static of the type [`LocalKey`].
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attribute])* $visibility static $name: $type);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty) => {
        $(#[$attribute])*
        $visibility static $name: $crate::local::LocalKey<$type> = {
            ::std::thread_local! {
                static PLACE: $crate::local::Place<$type> = const { $crate::local::Place::EMPTY };
            }
            $crate::local::LocalKey::new(PLACE)
        };
    };
}

/// Where a thread has the value during a poll.
#[doc(hidden)]
pub struct Place<T>(RefCell<Option<T>>);

impl<T> Place<T> {
    #[allow(clippy::declare_interior_mutable_const, reason = "it is what a new thread begins with")]
    pub const EMPTY: Self = Self(RefCell::new(None));
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// A key of task-local values, which [`task_local!`](crate::task_local) declares.
///
/// The value is there in polls of the future that was passed to [`scope`](Self::scope), and in its destructor. A task that the
/// future spawns does not inherit it; wrap that task's future in a scope, too. Nor do closures of a `join` or a `scope` that other
/// threads run. A task that is run in the middle of a poll, as `try_run` does, finds the values of that poll.
pub struct LocalKey<T: 'static>(thread::LocalKey<Place<T>>);

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(place: thread::LocalKey<Place<T>>) -> Self {
        Self(place)
    }

    /// Runs a future with a value for this key. In an inner scope of the same key that one's value takes its place.
    ///
    /// ```
    /// moirai_sync::task_local! { static REQUEST: u64; }
    ///
    /// # futures_lite::future::block_on(async {
    /// let answer = REQUEST.scope(7, async {
    ///     let inner = REQUEST.scope(8, async { REQUEST.get() }).await;
    ///     (inner, REQUEST.get())
    /// });
    /// assert_eq!(answer.await, (8, 7));
    /// # });
    /// ```
    ///
    /// The future panics if it is polled inside of [`with`](Self::with) of the same key, where the value is borrowed, or after it
    /// was ready.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture { key: self, value: Some(value), future: Some(future) }
    }

    /// Calls a closure with a value for this key.
    ///
    /// ```
    /// moirai_sync::task_local! { static REQUEST: u64; }
    /// assert_eq!(REQUEST.sync_scope(7, || REQUEST.get() + 1), 8);
    /// ```
    ///
    /// # Panics
    ///
    /// If it is called inside of [`with`](Self::with) of the same key, where the value is borrowed, or if the closure panics.
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut value = Some(value);
        match self.lend(&mut value, f) {
            Ok(result) => result,
            Err((refused, _)) => refused.panic(),
        }
    }

    /// Calls a closure with the value.
    ///
    /// # Panics
    ///
    /// If there is no value, because the caller is not in a scope of this key. [`try_with`](Self::try_with) returns an error
    /// instead.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls a closure with the value, if there is one.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the caller is not in a scope of this key, or the thread is ending and its thread-locals are gone.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        // A value is borrowed mutably only while it is exchanged, where no other code runs.
        let found = self.0.try_with(|place| place.0.borrow().as_ref().map(f));
        found.ok().flatten().ok_or(AccessError(()))
    }

    /// Returns a copy of the value.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    #[track_caller]
    #[must_use]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Calls `f` while the thread has the value, and takes it back afterwards, also if `f` unwinds. Gives `f` back if the thread
    /// cannot have the value.
    fn lend<R, F: FnOnce() -> R>(
        &'static self,
        value: &mut Option<T>,
        f: F,
    ) -> Result<R, (Refused, F)> {
        struct TakeBack<'a, T: 'static>(&'static LocalKey<T>, &'a mut Option<T>);
        impl<T> Drop for TakeBack<'_, T> {
            fn drop(&mut self) {
                // It has been exchanged before, and whatever has borrowed it since has ended.
                let _ = self.0.exchange(self.1);
            }
        }
        if let Err(refused) = self.exchange(value) {
            return Err((refused, f));
        }
        let _back = TakeBack(self, value);
        Ok(f())
    }

    /// Exchanges the thread's value with this one.
    fn exchange(&'static self, value: &mut Option<T>) -> Result<(), Refused> {
        let exchanged = self.0.try_with(|place| match place.0.try_borrow_mut() {
            Ok(mut place) => {
                std::mem::swap(&mut *place, value);
                Ok(())
            }
            Err(_) => Err(Refused::Borrowed),
        });
        exchanged.unwrap_or(Err(Refused::NoThreadLocals))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// Why a thread cannot have a value.
#[derive(Clone, Copy)]
enum Refused {
    Borrowed,
    NoThreadLocals,
}

impl Refused {
    #[track_caller]
    fn panic(self) -> ! {
        match self {
            Self::Borrowed => panic!(
                "a scope of a task-local value was entered while the value is borrowed: not inside of `with` of the same key"
            ),
            Self::NoThreadLocals => panic!(
                "a scope of a task-local value was entered after the thread's locals were destroyed"
            ),
        }
    }
}

/// The error of [`LocalKey::try_with`]: there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the task-local value is not set: the caller is not inside of a `scope` of its key",
        )
    }
}

impl std::error::Error for AccessError {}

pin_project! {
    /// The future that [`LocalKey::scope`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // The value between polls.
        value: Option<T>,
        // `None` once it was ready.
        #[pin]
        future: Option<F>,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        /// The destructor of the future finds the value, too, if the thread can have it.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if std::mem::needs_drop::<F>() && this.future.is_some() {
                let _ = this.key.lend(this.value, || this.future.set(None));
            }
        }
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut future = this.future;
        let polled = this.key.lend(this.value, || {
            let polled = future.as_mut().as_pin_mut().map(|future| future.poll(context));
            if matches!(polled, Some(Poll::Ready(_))) {
                future.set(None);
            }
            polled
        });
        match polled {
            Ok(Some(polled)) => polled,
            Ok(None) => panic!("the future of a scope was polled after it was ready"),
            Err((refused, _)) => refused.panic(),
        }
    }
}

impl<T: 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture").finish_non_exhaustive()
    }
}
