//! Work that runs once and returns a value.

/// Work that runs once, on a worker, and returns a value.
///
/// Every `FnOnce() -> R` is a task; implement the trait for a type of your own where a name, or state that tests can look
/// at, is worth having.
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
    label = "not a closure `FnOnce() -> R + Send + 'static`, and no `Task` of its own",
    note = "to run a future, such as an `async` block, use `spawn_async`",
    note = "a task and its output must be `Send + 'static`"
)]
pub trait Task: Send + 'static {
    /// What the task returns.
    type Output: Send + 'static;

    /// Does the work. A panic is caught by the executor and reported as `TaskError::Panicked`.
    fn run(self) -> Self::Output;
}

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
