//! The table that is drawn while the farm works.

use std::io::{self, IsTerminal, Write};

use moirai_jobs::QueueStats;

/// A table that is drawn over itself on a terminal, and elsewhere is a line now and then.
pub(crate) struct Table {
    jobs: u32,
    is_terminal: bool,
    lines: usize,
    ticks: u32,
}

impl Table {
    pub(crate) fn new(jobs: u32) -> Self {
        Self { jobs, is_terminal: io::stdout().is_terminal(), lines: 0, ticks: 0 }
    }

    /// Draws it: the queue, and how many jobs each process has.
    pub(crate) fn draw(
        &mut self,
        stats: &QueueStats,
        processes: &[(u32, usize)],
        killed: Option<u32>,
    ) {
        let ended = stats.done >= u64::from(self.jobs);
        self.ticks += 1;
        let head = format!(
            "{:>9} waiting {:>6} running {:>6} retrying {:>6} done {:>6} dead",
            stats.waiting, stats.running, stats.retrying, stats.done, stats.dead
        );
        let rows = processes.iter().map(|(process, jobs)| {
            let note = if killed == Some(*process) { "   killed" } else { "" };
            format!("  process {process:>8} {:<8}{note}", "#".repeat(*jobs))
        });
        let mut out = io::stdout().lock();
        if self.is_terminal {
            if self.lines > 0 {
                let _ = write!(out, "\x1b[{}A", self.lines);
            }
            let _ = writeln!(out, "\x1b[2K{head}");
            for row in rows {
                let _ = writeln!(out, "\x1b[2K{row}");
            }
            self.lines = processes.len() + 1;
        } else if ended || self.ticks % 8 == 1 {
            let held: Vec<_> =
                processes.iter().map(|(process, jobs)| format!("{process}: {jobs}")).collect();
            let _ = writeln!(out, "{head}   by process {}", held.join(", "));
        }
        let _ = out.flush();
    }
}
