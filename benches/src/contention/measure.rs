//! Measures operations in turns.

use super::operations::Operation;
use super::threads::Load;
use crate::stats::{median, range};

/// What was measured of one operation with one number of threads and of workers, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The least value of all rounds.
    pub least: f64,
    /// The median of all rounds.
    pub median: f64,
}

/// What was measured of one operation with one number of threads.
#[derive(Clone, Debug)]
pub struct Row {
    /// The operation.
    pub operation: Operation,
    /// The number of threads.
    pub threads: usize,
    /// One for each number of workers; `None` where the operation needs more of them.
    pub cells: Vec<Option<Cell>>,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operations.
    pub operations: Vec<Operation>,
    /// The numbers of workers.
    pub workers: Vec<usize>,
    /// The numbers of threads.
    pub threads: Vec<usize>,
    /// How often each operation is measured.
    pub rounds: usize,
    /// The number of operations in a run, if not that of the operation.
    pub times: Option<usize>,
}

/// Measures the operations in turns, round by round.
#[must_use]
pub fn measure(plan: &Plan) -> Vec<Row> {
    let mut rows: Vec<(Operation, usize, Vec<Vec<f64>>)> = Vec::new();
    for operation in &plan.operations {
        for &threads in plan.threads.iter().filter(|&&threads| threads <= operation.threads) {
            rows.push((*operation, threads, vec![Vec::new(); plan.workers.len()]));
        }
    }
    for _ in 0..plan.rounds {
        for (operation, threads, nanos) in &mut rows {
            for (&workers, nanos) in plan.workers.iter().zip(nanos) {
                if workers < *threads * operation.least {
                    continue;
                }
                let times = plan.times.unwrap_or(operation.times);
                nanos.push((operation.run)(Load { workers, threads: *threads, times }));
            }
        }
    }
    let cell = |nanos: &Vec<f64>| {
        (!nanos.is_empty()).then(|| Cell { least: range(nanos).0, median: median(nanos) })
    };
    rows.into_iter()
        .map(|(operation, threads, nanos)| Row {
            operation,
            threads,
            cells: nanos.iter().map(cell).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contention::operations::OPERATIONS;

    #[test]
    fn every_operation_can_be_done_with_every_number_of_threads() {
        let plan = Plan {
            operations: OPERATIONS.to_vec(),
            workers: vec![1, 2, 5],
            threads: vec![1, 2],
            rounds: 1,
            times: Some(20),
        };
        for row in measure(&plan) {
            let Row { operation, threads, cells } = row;
            for (workers, cell) in plan.workers.iter().zip(cells) {
                let measured = cell.map(|cell| cell.least > 0.0 && cell.least <= cell.median);
                let wanted = (*workers >= threads * operation.least).then_some(true);
                assert_eq!(measured, wanted, "{} of {workers} by {threads}", operation.name);
            }
        }
    }
}
