//! What a scheduler promises beyond the contract.

use super::Schedulable;
use crate::Priority;

/// What a scheduler promises of order, fairness and priorities. What is claimed is tested by the conformance kit.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Guarantees {
    /// The order in which one worker takes what threads that are no workers pushed while it was the only worker.
    pub order: Order,
    /// How many others one worker that goes on taking tasks takes at most before the task that has waited longest of all. `None`: a
    /// task can wait for ever.
    pub fairness: Option<u32>,
    /// How many less urgent tasks one worker takes at most before one of the most urgent that wait. `None`: priorities may be
    /// disregarded.
    pub inversion: Option<u32>,
}

/// An order in which tasks come out.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Order {
    /// Any.
    #[default]
    Any,
    /// Tasks of the same priority come out in the order in which they were pushed.
    Fifo,
    /// By a number, smallest first, and for equal numbers in the order in which they were pushed.
    ByKey(fn(&dyn Schedulable, Priority) -> u64),
}

impl Guarantees {
    /// No claim at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Guarantees an order.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Guarantees that at most `others` tasks go before the one that has waited longest.
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
