//! Work that runs once and returns a value.

/// Work that runs once, on a worker, and returns a value.
///
/// Every closure `FnOnce() -> R` is a task. Implement the trait for a type of your own if it is worth having a name for the type,
/// or fields that tests can look at.
///
/// ```
/// use moirai_core::Task;
/// struct Sum(Vec<u64>);
/// impl Task for Sum {
///     type Output = u64;
///     fn run(self) -> u64 {
///         self.0.iter().sum()
///     }
/// }
/// assert_eq!(Sum(vec![1, 2, 3]).run(), 6);
/// assert_eq!((|| 7).run(), 7);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Task`",
    label = "neither a closure `FnOnce() -> R + Send + 'static` nor a type that implements `Task`",
    note = "to run a future, such as an `async` block, use `spawn_async`",
    note = "a task and its output must be `Send + 'static`"
)]
pub trait Task: Send + 'static {
    /// The type of the value that the task returns.
    type Output: Send + 'static;

    /// Does the work. The executor catches a panic, and the task's handle returns it as
    /// [`TaskError::Panicked`](crate::TaskError::Panicked).
    fn run(self) -> Self::Output;
}

// Otherwise the compiler says of anything else that it is no `FnOnce`, which nobody asked for.
#[diagnostic::do_not_recommend]
impl<F, R> Task for F
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    type Output = R;

    fn run(self) -> R {
        self()
    }
}
