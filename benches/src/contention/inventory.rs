//! The cache lines that more than one worker writes, and how often.
//!
//! Each number follows from the code: the functions here say how, and name the constants that they copy. A *transfer* is a line
//! that goes from the cache of one core to that of another. A line that only one worker writes, such as its queue, its log or its
//! counts, is not here, unless others read it so often that it travels.

/// The number of tasks for which a worker uses one block of the registry: a test of the registry measures 38 to 64.
const TASKS_PER_BLOCK: f64 = 48.0;
/// The number of pins of an epoch after which crossbeam-epoch attempts to advance it.
const PINS_PER_ADVANCE: f64 = 128.0;
/// The number of writers that threads share which are not workers.
const SHARED_WRITERS: usize = 4;
/// The most records for each worker by which the limit may be exceeded.
const MAX_EXCESS: usize = 64;
/// The number of cells of 192 bytes in a page, and the number in a thread's full list.
const CELLS_PER_PAGE: f64 = 21.0;
const MAGAZINE: f64 = 32.0;
/// The number of tasks in a block of the injector, and the number on a cache line of it.
const INJECTOR_BLOCK: f64 = 31.0;
const INJECTOR_LINE: f64 = 4.0;
/// The number of independent loads that a core has in progress at once.
const LOADS_AT_ONCE: f64 = 8.0;
/// The number of tasks in a stolen batch that is taken for the estimates: half of the most that crossbeam-deque takes.
pub const STOLEN_BATCH: f64 = 16.0;

/// What a task goes through that touches shared lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uses {
    /// The number of records.
    pub records: f64,
    /// The number of tasks that a thread has queued which is not a worker.
    pub outside: f64,
    /// The number of times that a task is stolen.
    pub steals: f64,
    /// The number of tasks that a thread which is not a worker awaits, so that it frees them.
    pub joined: f64,
    /// The number of times that a worker goes to sleep and is woken.
    pub sleeps: f64,
    /// The number of outermost jobs of fork-join work that are stolen out of a worker's slot.
    pub outermost: f64,
    /// The number of other jobs of fork-join work that are published and stolen.
    pub published: f64,
}

impl Uses {
    /// One of everything.
    pub const ALL: Self = Self {
        records: 1.0,
        outside: 1.0,
        steals: 1.0,
        joined: 1.0,
        sleeps: 1.0,
        published: 1.0,
        outermost: 1.0,
    };
}

/// What the numbers depend on.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The number of workers, each on a core of its own.
    pub workers: usize,
    /// The limit on retained records.
    pub limit: usize,
}

impl Setting {
    /// Returns the number of completions that a worker tells at once: `Registry::starting_at` computes it the same way.
    #[must_use]
    pub fn batch(self) -> usize {
        let workers = self.workers.max(1);
        let most = (self.limit / 8).min(workers * MAX_EXCESS);
        // Without room for a batch, each completion is under a lock of all workers.
        (most.saturating_sub(2 * SHARED_WRITERS) / (3 * workers - 1)).max(1)
    }

    /// Returns the share of the other workers among all: how likely it is that a line which any worker may have written last is in
    /// the cache of another core.
    fn elsewhere(self) -> f64 {
        1.0 - 1.0 / self.workers.max(1) as f64
    }

    fn told(self) -> f64 {
        1.0 / self.batch() as f64
    }
}

/// How the transfers of a line limit the throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// All workers take turns at the same line, or at what one lock guards, so that its transfers come one after the other.
    Shared,
    /// There are many such lines, so that the transfers of different workers overlap.
    Many,
}

/// A line, or lines that travel together.
#[derive(Clone, Copy, Debug)]
pub struct SharedLine {
    /// What is in it.
    pub name: &'static str,
    /// Where it is defined.
    pub place: &'static str,
    /// Who writes it, and when.
    pub written: &'static str,
    /// Whether it is one line for all.
    pub line: Line,
    /// Returns the number of transfers for a task.
    pub transfers: fn(Uses, Setting) -> f64,
    /// What can be done about it, or why nothing is.
    pub verdict: &'static str,
}

/// All of them.
pub const LINES: [SharedLine; 18] = [
    SharedLine {
        name: "tally",
        place: "registry/tally.rs",
        written: "a worker, twice for each batch that it tells: `told` before it evicts, `evicted` after",
        line: Line::Shared,
        transfers: |uses, at| uses.records * 2.0 * at.told() * at.elsewhere(),
        verdict: "on its own line; fewer transfers with a larger limit, which makes batches larger",
    },
    SharedLine {
        name: "depot of blocks",
        place: "registry/depot.rs",
        written: "a worker, three times for each block: it gives one back, takes one, and reports that half of one is free; two lines under the lock or four, if the list is written",
        line: Line::Shared,
        transfers: |uses, at| uses.records * (2.0 + 4.0 + 4.0) / TASKS_PER_BLOCK * at.elsewhere(),
        verdict: "on lines of its own; a list of ready blocks for each writer would remove it",
    },
    SharedLine {
        name: "slots",
        place: "registry/slot.rs",
        written: "the spawner of the next task in it: the depot gives blocks to any worker, so the slot was written last by another",
        line: Line::Many,
        transfers: |uses, at| uses.records * at.elsewhere(),
        verdict: "as for the depot",
    },
    SharedLine {
        name: "masks of freed slots",
        place: "registry/page.rs",
        written: "a worker that evicts, for each batch and each block in it; four blocks share a line",
        line: Line::Many,
        transfers: |uses, at| uses.records * (at.told() + 1.0 / TASKS_PER_BLOCK) * at.elsewhere(),
        verdict: "a line for each block would take 1.2 % more memory",
    },
    SharedLine {
        name: "epochs",
        place: "registry/garbage.rs",
        written: "a worker that evicts pins an epoch; one pin in 128 reads those of all threads, and advances the epoch that all read",
        line: Line::Many,
        transfers: |uses, at| {
            let workers = at.workers as f64;
            let read_back = (2.0 * workers / PINS_PER_ADVANCE).min(2.0);
            uses.records
                * at.told()
                * (read_back + (workers / PINS_PER_ADVANCE).min(1.0))
                * at.elsewhere()
        },
        verdict: "a pin for each batch; rarer with a larger limit",
    },
    SharedLine {
        name: "end of the injector",
        place: "crossbeam-deque",
        written: "a thread that is not a worker, for each task",
        line: Line::Shared,
        transfers: |uses, _| uses.outside,
        verdict: "one queue is what makes tasks from outside start in order; spawn inside a task what is short",
    },
    SharedLine {
        name: "blocks of the injector",
        place: "crossbeam-deque",
        written: "the thread that pushes, and the worker that takes a batch; four tasks share a line",
        line: Line::Many,
        transfers: |uses, _| uses.outside * (2.0 / INJECTOR_LINE + 2.0 / INJECTOR_BLOCK),
        verdict: "as above",
    },
    SharedLine {
        name: "shared writers",
        place: "registry/task_registry.rs",
        written: "a thread that is not a worker, for each task: the lock with the writer, and the writer's counts; there are four",
        line: Line::Shared,
        transfers: |uses, _| uses.outside * 2.0 / SHARED_WRITERS as f64,
        verdict: "each on lines of its own; more of them would take away from the batches of the workers",
    },
    SharedLine {
        name: "cell and record of a task that moves",
        place: "task/header.rs",
        written: "the worker that runs the task, after another thread has made it: two lines of the cell, and the slot",
        line: Line::Many,
        transfers: |uses, at| {
            (3.0 * uses.outside + 3.0 * uses.steals) * at.elsewhere().max(uses.outside)
        },
        verdict: "that is what moving a task is",
    },
    SharedLine {
        name: "depot of cells",
        place: "task/memory/depot.rs",
        written: "a worker that has freed a list of cells, and a thread that needs cells, if they are not the same: the lock and the pages' heads",
        line: Line::Shared,
        transfers: |uses, _| uses.outside * (3.0 / MAGAZINE + 2.0 / CELLS_PER_PAGE),
        verdict: "a lock for each size class, on a line of its own; not used as long as each thread allocates as much as it frees",
    },
    SharedLine {
        name: "batches in flight",
        place: "work_stealing/in_flight.rs",
        written: "a worker, for each batch that it steals; a search reads those of all workers twice",
        line: Line::Many,
        transfers: |uses, at| {
            let read = at.workers as f64 / LOADS_AT_ONCE;
            uses.steals / STOLEN_BATCH * (1.0 + read) * at.elsewhere()
        },
        verdict: "grows with the number of workers, but is paid by who has nothing to do",
    },
    SharedLine {
        name: "ends of the queues",
        place: "crossbeam-deque",
        written: "the owner at each push and pop, and thieves; a search reads on average half of them, one after the other, and each owner then fetches its own back",
        line: Line::Many,
        transfers: |uses, at| {
            let read = 2.0 * at.workers as f64 / 2.0;
            uses.steals / STOLEN_BATCH * (2.0 + read) * at.elsewhere()
        },
        verdict: "as above",
    },
    SharedLine {
        name: "tasks in a stolen queue",
        place: "crossbeam-deque",
        written: "the victim; eight tasks share a line",
        line: Line::Many,
        transfers: |uses, at| uses.steals / 8.0 * at.elsewhere(),
        verdict: "that is what moving a task is",
    },
    SharedLine {
        name: "count of cells",
        place: "runtime/cell_count.rs",
        written: "a thread without a core that frees a cell, because it held the last handle",
        line: Line::Shared,
        transfers: |uses, _| uses.joined,
        verdict: "on a line of its own; a worker counts in its core",
    },
    SharedLine {
        name: "sleepers",
        place: "sleep/sleepers.rs",
        written: "a worker that searches (the counts), announces itself (lock, list, counts), is woken (the counts, read first, then lock, list, counts), and has found work (the counts)",
        line: Line::Shared,
        transfers: |uses, _| uses.sleeps * 8.0,
        verdict: "counts and list each on lines of their own; the system takes longer to wake a thread; busy workers only read the counts",
    },
    SharedLine {
        name: "shared jobs",
        place: "fork_join/shared_jobs.rs",
        written: "a thread that publishes a job, and one that takes it: the lock and the list",
        line: Line::Shared,
        transfers: |uses, _| uses.published * 4.0,
        verdict: "few jobs are published; the list is on lines of its own",
    },
    SharedLine {
        name: "counts of shared jobs",
        place: "fork_join/shared_jobs.rs",
        written: "as above; every worker reads them between two tasks, and at each `join`",
        line: Line::Many,
        transfers: |uses, at| uses.published * 2.0 * (at.workers as f64 - 1.0),
        verdict: "as above",
    },
    SharedLine {
        name: "job slots",
        place: "fork_join/job_slot.rs",
        written: "a worker, for each outermost `join`: it puts the job there and takes it back, or a thief does; a worker that finds nothing to do reads all of them",
        line: Line::Many,
        transfers: |uses, at| uses.outermost * (2.0 + at.workers as f64) * at.elsewhere(),
        verdict: "the worker's own line while nobody is idle",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_those_of_the_registry() {
        // The same table is in the tests of the registry.
        let table = [(1, 28), (2, 24), (4, 22), (8, 21), (16, 21), (32, 13), (64, 6), (128, 3)];
        for (workers, batch) in table {
            assert_eq!(Setting { workers, limit: 10_000 }.batch(), batch, "{workers} workers");
            if workers > 1 {
                let roomy = Setting { workers, limit: (512 * workers).max(10_000) }.batch();
                assert!((21..=24).contains(&roomy), "{workers} workers: {roomy}");
            }
        }
    }

    #[test]
    fn a_single_worker_moves_no_line() {
        let alone = Setting { workers: 1, limit: 10_000 };
        let uses = Uses { records: 1.0, steals: 1.0, ..Uses::default() };
        for line in LINES {
            assert_eq!((line.transfers)(uses, alone), 0.0, "{}", line.name);
        }
    }

    #[test]
    fn every_line_is_used_by_something() {
        let at = Setting { workers: 16, limit: 10_000 };
        for line in LINES {
            assert!((line.transfers)(Uses::ALL, at) > 0.0, "{}", line.name);
        }
    }
}
