//! A model of contention: how long a task takes, and how many tasks there are in a second, by the number of cores.
//!
//! A task takes some time *t* by itself. Of the lines in the [`inventory`](super::inventory) it moves *m* from core to core, each
//! in a time *T*. If all cores run such tasks and nothing else, then with P cores
//!
//! - a task takes *t* + *m* T, as long as no core waits for another;
//! - no more than 1 / (*s* T) tasks are done in a second by all cores together, where *s* is the number of transfers of the line
//!   that is moved most often of those that all workers share: its transfers come one after the other;
//! - so the throughput is the lesser of P / (*t* + *m* T) and 1 / (*s* T), and the cores are *saturated* when the second one is
//!   less.
//!
//! If each task works for a time *w* besides, *t* + *w* is in the place of *t*. So the line saturates P cores only if *w* is less
//! than P *s* T - *t* - *m* T.

use std::fmt::Write;

use super::inventory::{LINES, Line, Setting, Uses};
use crate::chart::number;

/// How long a line takes from one core to another, and how many cores there are.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// What it is like.
    pub name: &'static str,
    /// The number of cores, and of workers.
    pub cores: usize,
    /// The time of a transfer, in nanoseconds.
    pub transfer: f64,
}

/// The machines for which there are predictions. The times are those that the project `core-to-core-latency` has collected: the
/// median of the large processors that are one die, that of a processor made of several, and the median between two sockets.
pub const MACHINES: [Machine; 3] = [
    Machine { name: "16 cores of one die", cores: 16, transfer: 48.0 },
    Machine { name: "64 cores on several dies", cores: 64, transfer: 107.0 },
    Machine { name: "128 cores in two sockets", cores: 128, transfer: 134.0 },
];

/// The instructions that each path takes on one worker.
const INSTRUCTIONS: &str = include_str!("../../../.ci/instructions.txt");
/// Four instructions in a cycle, at 3 GHz.
const NANOS_PER_INSTRUCTION: f64 = 1.0 / 12.0;
/// The instructions of the registry for one task: `record` with one writer, under callgrind.
const REGISTRY_INSTRUCTIONS: f64 = 338.0;

/// What is repeated on every core.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// What it is called.
    pub name: &'static str,
    /// The recorded path that says how long it takes on one core; `None` for the registry alone.
    pub recorded: Option<&'static str>,
    /// What it uses of the shared lines.
    pub uses: Uses,
}

const ONE_RECORD: Uses = Uses {
    records: 1.0,
    outside: 0.0,
    steals: 0.0,
    joined: 0.0,
    sleeps: 0.0,
    published: 0.0,
    outermost: 0.0,
};

/// The paths for which there are predictions.
pub const PATHS: [Path; 8] = [
    Path { name: "registry alone", recorded: None, uses: ONE_RECORD },
    Path { name: "chain", recorded: Some("chain"), uses: ONE_RECORD },
    Path { name: "inside", recorded: Some("inside"), uses: ONE_RECORD },
    Path { name: "await", recorded: Some("await"), uses: ONE_RECORD },
    Path { name: "ping-pong", recorded: Some("ping_pong"), uses: ONE_RECORD },
    Path {
        name: "inside, stolen",
        recorded: Some("inside"),
        uses: Uses { steals: 1.0, ..ONE_RECORD },
    },
    Path { name: "outside", recorded: Some("outside"), uses: Uses { outside: 1.0, ..ONE_RECORD } },
    Path {
        name: "outside, awaited there",
        recorded: Some("outside"),
        uses: Uses { outside: 1.0, joined: 1.0, ..ONE_RECORD },
    },
];

impl Path {
    /// Returns the time on one core, in nanoseconds.
    ///
    /// # Panics
    ///
    /// If the path is not among those whose instructions are recorded.
    #[must_use]
    pub fn alone(&self) -> f64 {
        let instructions = self.recorded.map_or(REGISTRY_INSTRUCTIONS, recorded_instructions);
        instructions * NANOS_PER_INSTRUCTION
    }
}

fn recorded_instructions(path: &str) -> f64 {
    let mut counts = INSTRUCTIONS.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let count = counts.find_map(|(name, count)| (name == path).then(|| count.trim().parse().ok()));
    count.flatten().expect("the path was recorded")
}

/// What the model says of one path with one number of cores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The time that a core spends for each of its tasks, in nanoseconds.
    pub nanos: f64,
    /// The number of tasks of all cores together, in millions a second.
    pub throughput: f64,
    /// Whether the cores wait for a line.
    pub saturated: bool,
    /// How long the work in a task must be for the cores not to wait, in nanoseconds.
    pub enough_work: f64,
    /// The line that all share and that is moved most often.
    pub narrowest: &'static str,
}

/// Applies the model to a path that all workers of `at` repeat, each on a core of its own.
#[must_use]
pub fn predict(path: &Path, at: Setting, transfer: f64) -> Prediction {
    let moved: f64 = LINES.iter().map(|line| (line.transfers)(path.uses, at)).sum();
    let (most, narrowest) = narrowest(path.uses, at).unwrap_or((0.0, "none"));
    let unhindered = path.alone() + moved * transfer;
    let bound = at.workers as f64 * most * transfer;
    let nanos = unhindered.max(bound);
    Prediction {
        nanos,
        throughput: at.workers as f64 / nanos * 1e3,
        saturated: bound > unhindered,
        enough_work: (bound - unhindered).max(0.0),
        narrowest,
    }
}

/// Returns the number of cores from which a path is saturated: the least one, if there is one up to 1,024.
#[must_use]
pub fn saturated_from(path: &Path, limit: impl Fn(usize) -> usize, transfer: f64) -> Option<usize> {
    (1..=1_024).find(|&workers| {
        predict(path, Setting { workers, limit: limit(workers) }, transfer).saturated
    })
}

/// A limit on retained records, by the number of workers.
pub type Limit = fn(usize) -> usize;

/// The limits for which there are predictions, with their names.
pub const LIMITS: [(&str, Limit); 2] = [
    ("10,000 records, the default", |_| 10_000),
    ("512 records for each worker", |workers| (512 * workers).max(10_000)),
];

/// Returns the inventory as a table in Markdown, with the transfers on the machines, each for one of what uses the line.
#[must_use]
pub fn inventory_table() -> String {
    let mut table = String::from("| line | who writes it, and when |");
    for machine in MACHINES {
        let _ = write!(table, " {} |", machine.cores);
    }
    table.push_str(" what can be done |\n| --- | --- | ---: | ---: | ---: | --- |\n");
    for line in LINES {
        let bold = if line.line == Line::Shared { "**" } else { "" };
        let _ = write!(table, "| {bold}{}{bold}, `{}` | {} |", line.name, line.place, line.written);
        for machine in MACHINES {
            let at = Setting { workers: machine.cores, limit: 10_000 };
            let _ = write!(table, " {:.2} |", (line.transfers)(Uses::ALL, at));
        }
        let _ = writeln!(table, " {} |", line.verdict);
    }
    table
}

/// What happens at one shared line, for which there is a bound.
const EVENTS: [(&str, Uses); 7] = [
    ("a task is recorded", ONE_RECORD),
    ("a task is spawned outside", Uses { records: 0.0, outside: 1.0, ..ONE_RECORD }),
    ("a task is freed outside", Uses { records: 0.0, joined: 1.0, ..ONE_RECORD }),
    ("a worker sleeps and is woken", Uses { records: 0.0, sleeps: 1.0, ..ONE_RECORD }),
    ("an outermost job of a `join` is stolen", Uses { records: 0.0, outermost: 1.0, ..ONE_RECORD }),
    ("another job of a `join` is stolen", Uses { records: 0.0, published: 1.0, ..ONE_RECORD }),
    ("a task is stolen", Uses { records: 0.0, steals: 1.0, ..ONE_RECORD }),
];

/// Returns what things take in transfers, and how often they can happen at most, as a table in Markdown.
#[must_use]
pub fn bound_table() -> String {
    let mut table = String::from("| what happens | line that bounds it |");
    for machine in MACHINES {
        let _ = write!(table, " {} |", machine.name);
    }
    table.push_str("\n| --- | --- | ---: | ---: | ---: |\n");
    for (what, uses) in EVENTS {
        let settings = MACHINES.map(|machine| Setting { workers: machine.cores, limit: 10_000 });
        let narrowest = settings.map(|at| narrowest(uses, at));
        let mut names: Vec<_> = narrowest.iter().flatten().map(|&(_, name)| name).collect();
        names.dedup();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", then ") };
        let _ = write!(table, "| {what} | {names} |");
        for ((machine, at), narrowest) in MACHINES.iter().zip(settings).zip(narrowest) {
            let moved: f64 = LINES.iter().map(|line| (line.transfers)(uses, at)).sum();
            let took = number((moved * machine.transfer).round());
            let _ = match narrowest {
                None => write!(table, " {took} ns |"),
                Some((transfers, _)) => {
                    let most = number(1e3 / (transfers * machine.transfer));
                    write!(table, " {took} ns, {most} M/s |")
                }
            };
        }
        table.push('\n');
    }
    table
}

/// Returns the line that is moved most often of those that all workers share, with the number of transfers.
fn narrowest(uses: Uses, at: Setting) -> Option<(f64, &'static str)> {
    let shared = LINES.iter().filter(|line| line.line == Line::Shared);
    let transfers = shared.map(|line| ((line.transfers)(uses, at), line.name));
    transfers.filter(|&(transfers, _)| transfers > 0.0).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Returns the predictions for one way to set the limit as a table in Markdown.
#[must_use]
pub fn prediction_table(limit: Limit) -> String {
    let mut table = String::from("| path | one core |");
    for machine in MACHINES {
        let _ = write!(table, " {} |", machine.name);
    }
    table.push_str(" saturated from | by |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n");
    for path in PATHS {
        let _ = write!(table, "| {} | {} ns |", path.name, number(path.alone().round()));
        for machine in MACHINES {
            let at = Setting { workers: machine.cores, limit: limit(machine.cores) };
            let said = predict(&path, at, machine.transfer);
            let throughput = number(said.throughput);
            let _ = match said.enough_work.round() {
                0.0 => write!(table, " {throughput} M/s |"),
                nanos => write!(table, " {throughput} M/s, {} ns |", number(nanos)),
            };
        }
        let transfer = MACHINES[1].transfer;
        let _ = match saturated_from(&path, limit, transfer) {
            Some(cores) => {
                let at = Setting { workers: cores, limit: limit(cores) };
                let by = predict(&path, at, transfer).narrowest;
                writeln!(table, " {cores} cores | {by} |")
            }
            None => writeln!(table, " never | none |"),
        };
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Limit = LIMITS[0].1;

    fn setting(workers: usize) -> Setting {
        Setting { workers, limit: 10_000 }
    }

    #[test]
    fn one_core_takes_the_time_that_was_recorded() {
        for path in PATHS.iter().filter(|path| path.uses.outside == 0.0) {
            let said = predict(path, setting(1), 100.0);
            assert_eq!(said.nanos, path.alone());
            assert!(!said.saturated && said.enough_work == 0.0);
        }
        let by_hand = recorded_instructions("chain") / 12.0;
        assert!((PATHS[1].alone() - by_hand).abs() < 1e-9);
    }

    #[test]
    fn a_line_bounds_the_throughput_of_all_cores_together() {
        let (workers, transfer) = (64, 100.0);
        for path in PATHS {
            let said = predict(&path, setting(workers), transfer);
            for line in LINES.iter().filter(|line| line.line == Line::Shared) {
                let transfers = (line.transfers)(path.uses, setting(workers));
                // Millions a second times nanoseconds are thousandths.
                assert!(
                    said.throughput * transfers * transfer / 1e3 <= 1.0 + 1e-9,
                    "{}",
                    line.name
                );
            }
            assert!(said.throughput <= workers as f64 / path.alone() * 1e3);
        }
    }

    #[test]
    fn enough_work_is_where_the_line_and_the_cores_take_equally_long() {
        let (at, transfer) = (setting(64), 107.0);
        let chain = PATHS[1];
        let said = predict(&chain, at, transfer);
        assert!(said.saturated);
        // By hand: two transfers for a batch of six, by one of 64 workers, of which the line is elsewhere for 63.
        let bound = 64.0 * (2.0 / 6.0) * (63.0 / 64.0) * transfer;
        assert!((said.nanos - bound).abs() < 1e-6, "{} and {bound}", said.nanos);
        let moved: f64 = LINES.iter().map(|line| (line.transfers)(chain.uses, at)).sum();
        let busy = chain.alone() + said.enough_work + moved * transfer;
        assert!((busy - bound).abs() < 1e-6);
    }

    #[test]
    fn a_path_is_saturated_from_some_number_of_cores_on() {
        for path in PATHS {
            let from = saturated_from(&path, DEFAULT, 107.0).expect("each shares a line");
            assert!(predict(&path, setting(from), 107.0).saturated);
            assert!(from == 1 || !predict(&path, setting(from - 1), 107.0).saturated);
            assert!(predict(&path, setting(2 * from), 107.0).saturated);
        }
    }

    #[test]
    fn a_larger_limit_never_makes_it_slower() {
        for path in PATHS {
            for machine in MACHINES {
                let workers = machine.cores;
                let [default, roomy] = LIMITS.map(|(_, limit)| {
                    predict(&path, Setting { workers, limit: limit(workers) }, machine.transfer)
                });
                assert!(roomy.throughput >= default.throughput, "{} {workers}", path.name);
            }
        }
    }

    #[test]
    fn the_docs_have_these_tables() {
        let page = include_str!("../../../docs/src/architecture/many-cores.md");
        let tables = [
            inventory_table(),
            bound_table(),
            prediction_table(LIMITS[0].1),
            prediction_table(LIMITS[1].1),
        ];
        for table in tables {
            assert!(
                page.contains(&table),
                "replace a table by what `contention --model` prints:\n{table}"
            );
        }
    }
}
