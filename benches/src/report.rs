//! The page of benchmarks in the docs, and its charts.

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use crate::chart::{Bar, bars, number};
use crate::peer::DEFAULT_WORKERS;
use crate::results::{CaseResult, GroupResult, Ratio, Results};
use crate::workload::{self, Group, OURS};

/// The text above the tables.
const INTRODUCTION: &str = include_str!("report.md");

/// Returns the ratios and their targets, as a table in Markdown.
#[must_use]
pub fn ratios(results: &Results) -> String {
    let mut text = String::from(
        "| workload | allocator | compared | ratio | range | target |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for group in &results.groups {
        for ratio in &group.ratios {
            let Ratio { percentile, of, baseline, ratio, low, high, reach } = ratio;
            let which = if *percentile == 0.5 { "" } else { " (p99)" };
            let mark = reach.map_or("", |reach| if *ratio <= reach { " ✓" } else { "" });
            let reach = reach.map_or_else(String::new, |reach| format!("≤ {reach}"));
            let _ = writeln!(
                text,
                "| {}{which} | {} | {} ÷ {} | **{ratio:.2}**{mark} | {low:.2}–{high:.2} | {reach} |",
                group.title(),
                group.allocator,
                code(of),
                code(baseline),
            );
        }
    }
    text
}

/// Returns the figures of the probes and their targets, as a table in Markdown.
#[must_use]
pub fn probes(results: &Results) -> String {
    let mut text = String::from("| what | figure | target |\n| --- | --- | --- |\n");
    for probe in &results.probes {
        let mark = probe.reach.map_or("", |reach| if probe.value <= reach { " ✓" } else { "" });
        let reach =
            probe.reach.map_or_else(String::new, |reach| format!("≤ {reach} {}", probe.unit));
        let value = if probe.value < 0.005 { "0".to_owned() } else { number(probe.value) };
        let _ = writeln!(text, "| {} | **{value} {}**{mark} | {reach} |", probe.about, probe.unit);
    }
    text
}

/// The workloads by which schedulers are compared, and the titles of their columns.
const COMPARED: [(&str, &str); 5] = [
    ("scheduler_outside_10k", "from outside"),
    ("scheduler_inside_10k", "from a task"),
    ("scheduler_yield", "yield"),
    ("scheduler_pairs", "ping-pong"),
    ("scheduler_partitioned", "partitioned"),
];

/// Returns the result of the group with this name that charts show: that with the system's allocator and the default workers.
fn drawn<'a>(results: &'a Results, name: &str) -> Option<&'a GroupResult> {
    results.groups.iter().find(|group| {
        group.name == name && group.allocator == "system" && group.workers == DEFAULT_WORKERS
    })
}

/// Returns the time of each scheduler divided by that of the default one, for each workload, with the system's allocator.
fn compared(results: &Results) -> Vec<(&'static str, Vec<(&str, f64)>)> {
    let column = |(name, title)| {
        let cases = &drawn(results, name)?.cases;
        let default = cases.iter().find(|case| case.peer == OURS)?.median;
        let to_default = |case: &'_ CaseResult| case.median / default;
        let ratios = cases.iter().map(|case| (case.peer.as_str(), to_default(case))).collect();
        Some((title, ratios))
    };
    COMPARED.into_iter().filter_map(column).collect()
}

/// Returns the comparison of the schedulers, as text and a table in Markdown.
fn schedulers(results: &Results) -> String {
    let columns = compared(results);
    let Some((_, first)) = columns.first() else { return String::new() };
    let mut text = String::from(
        "The time of each scheduler divided by that of the default one, which does the same work in the same processes; less is better. The \
         columns: 10,000 tasks spawned from outside and from a task, 200 tasks that yield, 1,000 pairs of tasks that play ping-pong, and requests \
         to partitioned data. *WorkStealing, chosen* is the default scheduler, passed to the builder like one of your own: what it takes longer \
         is the price of the vtable, and noise.\n\n\
         ![Time of each scheduler to that of the default, on five workloads](figures/schedulers.svg)\n\n| scheduler |",
    );
    for (title, _) in &columns {
        let _ = write!(text, " {title} |");
    }
    let _ = write!(text, "\n| --- |{}\n", " --- |".repeat(columns.len()));
    for (peer, _) in first.iter().filter(|(peer, _)| *peer != OURS) {
        let _ = write!(text, "| {peer} |");
        for (_, ratios) in &columns {
            let ratio = ratios.iter().find(|(other, _)| other == peer);
            let _ = match ratio {
                Some((_, ratio)) => write!(text, " {ratio:.2} |"),
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    }
    text
}

/// Returns the comparison of the schedulers as a chart.
fn schedulers_chart(results: &Results) -> String {
    let columns = compared(results);
    let rows = columns.iter().flat_map(|(title, ratios)| {
        let others = ratios.iter().filter(|(peer, _)| *peer != OURS);
        others.enumerate().map(move |(at, (peer, ratio))| Bar {
            label: if at == 0 { format!("{title}: {peer}") } else { (*peer).to_owned() },
            value: *ratio,
            low: *ratio,
            high: *ratio,
            ours: at == 0,
        })
    });
    bars("time to that of the default scheduler, called directly", "×", &rows.collect::<Vec<_>>())
}

/// Returns a name for Markdown, where angle brackets would be taken for a tag.
fn code(name: &str) -> String {
    if name.contains('<') { format!("`{name}`") } else { name.to_owned() }
}

fn group_section(text: &mut String, group: &Group, results: &[&GroupResult]) {
    let _ = write!(
        text,
        "\n### {}\n\n{}. Times are in nanoseconds per {}.\n\n",
        group.name,
        sentence(group.about),
        group.unit
    );
    if let Some(reach) = group.reach {
        let _ = writeln!(text, "Target for Moirai: at most {} ns.\n", number(reach));
    }
    let _ = writeln!(text, "![{}](figures/bench-{}.svg)\n", group.about, group.name);
    for workers in group.worker_counts() {
        let of: Vec<_> = results.iter().filter(|result| result.workers == *workers).collect();
        if of.is_empty() {
            continue;
        }
        if *workers == 1 {
            text.push_str("\nWith one worker:\n\n");
        }
        times(text, &of);
    }
}

/// Writes a table of the times of all peers. There is no column of CPU times if nobody has one.
fn times(text: &mut String, results: &[&&GroupResult]) {
    let cases = || results.iter().flat_map(|result| &result.cases);
    let has_cpu = cases().any(|case| case.cpu.is_some());
    text.push_str("| allocator | peer | median | least | min | max |");
    text.push_str(if has_cpu { " CPU median | CPU least |\n" } else { "\n" });
    text.push_str(&"| --- ".repeat(if has_cpu { 8 } else { 6 }));
    text.push_str("|\n");
    for result in results {
        for CaseResult { peer, median, least, min, max, cpu, .. } in &result.cases {
            let peer = if peer == OURS { format!("**{OURS}**") } else { code(peer) };
            let _ = write!(text, "| {} | {peer} |", result.allocator);
            for time in [median, least, min, max] {
                let _ = write!(text, " {} |", number(*time));
            }
            if let Some(cpu) = cpu {
                let _ = write!(text, " {} | {} |", number(cpu.median), number(cpu.least));
            }
            text.push('\n');
        }
        for peer in &result.hung {
            let _ = writeln!(text, "| {} | {} | hung | | | |", result.allocator, code(peer));
        }
    }
}

/// Returns the text with its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Returns the whole page.
#[must_use]
pub fn page(results: &Results) -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n## Ratios\n\n");
    text.push_str(&ratios(results));
    text.push_str("\n## The schedulers beside each other\n\n");
    text.push_str(&schedulers(results));
    text.push_str("\n## Memory, sweeps, lookups, idling\n\n");
    text.push_str(&probes(results));
    text.push_str("\n## Measured on\n\n| | |\n| --- | --- |\n");
    for (name, value) in &results.machine {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n## Every group\n");
    text.push_str(&groups(results));
    text
}

/// Returns a section for each group, with the times of all peers.
#[must_use]
pub fn groups(results: &Results) -> String {
    let mut text = String::new();
    for group in workload::all() {
        let of: Vec<_> = results.groups.iter().filter(|result| result.name == group.name).collect();
        if !of.is_empty() {
            group_section(&mut text, &group, &of);
        }
    }
    text
}

/// Writes the page, the charts and the results to `src`, the source directory of the book.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(results: &Results, src: &Path) -> io::Result<()> {
    let figures = src.join("figures");
    fs::create_dir_all(&figures)?;
    for group in workload::all() {
        let Some(result) = drawn(results, group.name) else { continue };
        let bar = |case: &CaseResult| Bar {
            label: case.peer.clone(),
            value: case.median,
            low: case.min,
            high: case.max,
            ours: case.peer == OURS,
        };
        let title =
            format!("{}: ns per {} ({} allocator)", group.name, group.unit, result.allocator);
        let all: Vec<Bar> = result.cases.iter().map(bar).collect();
        let svg = bars(&title, "ns", &all);
        fs::write(figures.join(format!("bench-{}.svg", group.name)), svg)?;
    }
    fs::write(figures.join("schedulers.svg"), schedulers_chart(results))?;
    results.write(&figures.join("benchmarks.json"))?;
    fs::write(src.join("benchmarks.md"), page(results))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::CpuResult;

    fn result(workers: usize, cpu: Option<CpuResult>) -> GroupResult {
        let case = CaseResult {
            peer: OURS.to_owned(),
            median: 30.0,
            least: 20.0,
            min: 10.0,
            max: 40.0,
            p99: 40.0,
            cpu,
        };
        GroupResult {
            name: "chained_spawn_1k".to_owned(),
            allocator: "system".to_owned(),
            workers,
            cases: vec![case],
            ratios: Vec::new(),
            hung: Vec::new(),
        }
    }

    #[test]
    fn a_group_has_a_table_for_each_number_of_workers() {
        let groups =
            vec![result(2, Some(CpuResult { median: 60.0, least: 50.0 })), result(1, None)];
        let text = page(&Results { groups, ..Results::default() });
        let (_, section) = text.split_once("### chained_spawn_1k").unwrap();
        let (two, one) = section.split_once("With one worker:").unwrap();
        assert!(two.contains("| CPU median | CPU least |"), "{two}");
        assert!(two.contains("| system | **moirai** | 30 | 20 | 10 | 40 | 60 | 50 |"), "{two}");
        assert!(!one.contains("CPU"), "{one}");
        assert!(one.contains("| system | **moirai** | 30 | 20 | 10 | 40 |"), "{one}");
    }
}
