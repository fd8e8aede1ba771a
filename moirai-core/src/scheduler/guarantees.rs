//! What a scheduler promises beyond the contract.

use super::Schedulable;
use crate::Priority;

/// What a scheduler promises about order, fairness and priorities. The conformance kit tests each promise.
///
/// ```
/// use moirai_core::{Guarantees, Order};
///
/// let guarantees = Guarantees::none().order(Order::Fifo).fairness(100);
/// assert_eq!(guarantees.fairness, Some(100));
/// assert_eq!(guarantees.inversion, None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Guarantees {
    /// The order in which a worker takes the tasks that threads other than workers have pushed, while it is the only worker.
    pub order: Order,
    /// The largest number of other tasks that a worker which keeps taking tasks takes before the task that has waited longest of
    /// all. `None`: a task can wait forever.
    pub fairness: Option<u32>,
    /// The largest number of less urgent tasks that a worker takes before one of the most urgent tasks that wait. `None`: the
    /// scheduler may disregard priorities.
    pub inversion: Option<u32>,
}

/// The order in which tasks are taken.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Order {
    /// No particular order.
    #[default]
    Any,
    /// Tasks of the same priority are taken in the order in which they were pushed.
    Fifo,
    /// By the number that the function returns for a task and its priority, the smallest first; tasks with equal numbers in the
    /// order in which they were pushed.
    ByKey(fn(&dyn Schedulable, Priority) -> u64),
}

impl Guarantees {
    /// Creates a value that guarantees nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Guarantees the given order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Guarantees that at most `others` other tasks go before the one that has waited longest.
    #[must_use]
    pub fn fairness(mut self, others: u32) -> Self {
        self.fairness = Some(others);
        self
    }

    /// Guarantees that at most `others` less urgent tasks go before one of the most urgent that wait.
    #[must_use]
    pub fn inversion(mut self, others: u32) -> Self {
        self.inversion = Some(others);
        self
    }
}
