//! Tests of the page for Prometheus against what reads such pages: `promtool`, and the parser of OpenMetrics in Prometheus' client for
//! Python. Where one is not installed its tests are skipped, with a line on the standard error; with `MOIRAI_REQUIRE_SERVERS=1` in the
//! environment they fail instead.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io::Write;
use std::process::{Command, Stdio};

use common::queues::Jobs;
use common::{Gate, HOUR, ON_PURPOSE, named, silence_expected_panics, wait_until, watchdog};
use moirai::metrics::QueueSource;
use moirai::metrics::prometheus::{self, Format};
use moirai::prelude::*;

/// Debian's Python, which has Debian's modules, unless there is none.
fn python() -> &'static str {
    let debian = "/usr/bin/python3";
    if std::path::Path::new(debian).exists() { debian } else { "python3" }
}

fn page_of(executor: &Moirai, format: Format) -> String {
    prometheus::encode(format, &executor.metrics(), &executor.runtime_stats())
}

/// The page of an executor with queues of durable jobs beside it, whose names have to be escaped.
fn page_with_queues(executor: &Moirai, format: Format) -> String {
    let mut families = prometheus::families(&executor.metrics(), &executor.runtime_stats());
    families.extend(prometheus::queue_families(&Jobs::new().queues()));
    prometheus::encode_families(format, &families)
}

/// Pipes the page to a command. `None` if the command is not there.
fn feed(command: &mut Command, page: &str) -> Option<std::process::Output> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.ok()?;
    // It may have failed before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(page.as_bytes());
    Some(child.wait_with_output().unwrap())
}

fn skip(what: &str, package: &str) {
    let line = format!("{what} is not installed (Debian's package `{package}`)");
    assert!(std::env::var_os("MOIRAI_REQUIRE_SERVERS").is_none(), "{line}");
    // The test harness would capture the output of `eprintln!`.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {line}");
}

fn check_by_promtool(page: &str) {
    let Some(output) = feed(Command::new("promtool").args(["check", "metrics"]), page) else {
        return skip("promtool", "prometheus");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}

/// Has the strict parser of OpenMetrics read the page, and compares the number of numbers.
fn check_by_parser(page: &str) {
    const SCRIPT: &str = "
import sys
try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
except ImportError:
    sys.exit(77)
families = list(parse(sys.stdin.read()))
print(sum(len(family.samples) for family in families))
";
    let output = feed(Command::new(python()).args(["-c", SCRIPT]), page);
    let Some(output) = output.filter(|output| output.status.code() != Some(77)) else {
        return skip("the parser of OpenMetrics", "python3-prometheus-client");
    };
    assert!(output.status.success(), "{}\n{page}", String::from_utf8_lossy(&output.stderr));
    let numbers = page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), numbers.to_string());
}

/// An executor on which something of everything has happened, and happens: with classes whose names have to be escaped.
fn busy(prefix: &str, gate: &Gate) -> Moirai {
    silence_expected_panics();
    let limits = Retention { max_records: 3, max_age: HOUR };
    let executor = named(prefix, 2)
        .retention("a \"quoted\" \\ name\nof two lines", limits)
        .retention("default", limits)
        .retention("<script>alert(1)</script> ä", limits)
        .retain_failures(limits)
        .build()
        .unwrap();
    for _ in 0..10 {
        executor.task().retention("default").spawn_async(yield_now()).join().unwrap();
        executor.spawn_blocking(|| ()).join().unwrap();
        executor.join(|| (), || ());
    }
    assert!(executor.spawn_parallel(|| panic!("{ON_PURPOSE}")).join().is_err());
    let cancelled = executor.spawn_async(pending::<()>());
    cancelled.cancel();
    assert!(cancelled.join().is_err());
    let (closed, blocked) = (gate.clone(), gate.clone());
    executor.spawn_blocking(move || closed.wait());
    let stuck = executor.spawn_async(async move { blocked.wait() });
    wait_until("a poll stalls, and a thread blocks", || {
        let stats = executor.runtime_stats();
        stats.stalled == 1 && stats.active[2].running == 1
    });
    drop(stuck);
    executor
}

/// Returns the families of a page in the text format, each of which must be described once, and all of whose numbers must differ in
/// their labels.
fn families(page: &str) -> BTreeSet<String> {
    let mut families = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let family = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family), "described twice: {line}");
        } else if !line.starts_with('#') {
            let (number, value) = line.rsplit_once(' ').unwrap();
            assert!(numbers.insert(number.to_owned()), "twice: {number}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    families
}

#[test]
fn what_reads_such_pages_reads_ours() {
    let _watchdog = watchdog();
    let fresh = named("pm-fresh", 2).build().unwrap();
    let gate = Gate::new();
    let busy = busy("pm-busy", &gate);
    for executor in [&fresh, &busy] {
        check_by_promtool(&page_of(executor, Format::Text));
        check_by_parser(&page_of(executor, Format::OpenMetrics));
    }
    check_by_promtool(&page_with_queues(&busy, Format::Text));
    check_by_parser(&page_with_queues(&busy, Format::OpenMetrics));
    gate.open();
}

#[test]
fn no_family_is_there_twice_and_the_guide_names_each() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let executor = busy("pm-names", &gate);
    let page = page_with_queues(&executor, Format::Text);
    gate.open();
    let families = families(&page);
    assert_eq!(families.len(), 27, "{families:?}");
    let guide = include_str!("../../docs/src/guide/metrics.md");
    for family in &families {
        assert!(guide.contains(&format!("`{family}`")), "the guide does not name {family}");
    }
    let named = guide.split('`').filter(|word| word.starts_with("moirai_"));
    let suffixes = ["_bucket", "_sum", "_count"];
    for name in named {
        let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(
            families.contains(family) || families.contains(&format!("{family}_total")),
            "the guide names {name}, which there is not"
        );
    }
    // The names in OpenMetrics are the same without their suffixes.
    let open_metrics = page_with_queues(&executor, Format::OpenMetrics);
    let described = open_metrics.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(described, families.len());
}

#[test]
fn numbers_are_those_of_the_executor_and_labels_are_escaped() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let executor = busy("pm-lines", &gate);
    let page = page_of(&executor, Format::Text);
    for line in [
        r#"moirai_active_tasks{kind="async",status="running"} 1"#,
        r#"moirai_active_tasks{kind="blocking",status="running"} 1"#,
        r#"moirai_active_tasks{kind="parallel",status="queued"} 0"#,
        r#"moirai_spawned_tasks_total 24"#,
        r#"moirai_cancelled_tasks_total{cause="handle"} 1"#,
        r#"moirai_cancelled_tasks_total{cause="shutdown"} 0"#,
        r#"moirai_retained_records{limits="class",class="a \"quoted\" \\ name\nof two lines"} 0"#,
        r#"moirai_retained_records{limits="class",class="<script>alert(1)</script> ä"} 0"#,
        r#"moirai_retained_records{limits="class",class="default"} 3"#,
        r#"moirai_retained_records{limits="default",class=""} 11"#,
        r#"moirai_retained_records{limits="failures",class=""} 1"#,
        r#"moirai_evicted_records_total{cause="count"} 7"#,
        r#"moirai_threads{pool="blocking",state="busy"} 1"#,
        r#"moirai_threads_limit{pool="blocking"} 512"#,
        r#"moirai_workers{state="polling"} 1"#,
        r#"moirai_stalled_polls 1"#,
        r#"moirai_stalls_total 1"#,
        r#"moirai_shutting_down 0"#,
    ] {
        assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
    }
    gate.open();
}

/// Calls `f` with every expression of a dashboard.
fn each_expression(value: &serde_json::Value, f: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            if let (true, Some(text)) = (["expr", "query"].contains(&&**name), value.as_str()) {
                f(text);
            }
            each_expression(value, f);
        }),
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| each_expression(value, f))
        }
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let executor = busy("pm-board", &gate);
    let page = page_with_queues(&executor, Format::Text);
    gate.open();
    // The names of all numbers, each with its labels.
    let mut there: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (number, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = number.split_once('{').unwrap_or((number, ""));
        let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0));
        there.entry(name).or_default().extend(labels);
    }
    let board = include_str!("../../docs/src/grafana/moirai.json");
    let board: serde_json::Value = serde_json::from_str(board).unwrap();
    let mut rules = String::from("groups:\n- name: board\n  rules:\n");
    let mut asked = BTreeSet::new();
    each_expression(&board, &mut |expression| {
        let names = expression.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        for name in names.filter(|name| name.starts_with("moirai_")) {
            assert!(there.contains_key(name), "{expression} asks for {name}, which there is not");
            asked.insert(name.to_owned());
        }
        // What a panel groups by must be labels of what it asks for, or those that Prometheus adds.
        for by in expression.split("by (").skip(1) {
            for label in
                by.split(')').next().unwrap().split(", ").filter(|label| *label != "instance")
            {
                let of = asked.iter().filter(|name| by.contains(&***name));
                assert!(of.clone().count() > 0, "{expression}");
                for name in of {
                    assert!(there[&**name].contains(label), "{name} has no label {label}");
                }
            }
        }
        if !expression.starts_with("label_values") && expression.contains("moirai_") {
            let text = expression.replace("$__rate_interval", "1m").replace('\'', "\"");
            rules += &format!("  - record: board:{}\n    expr: '{text}'\n", rules.len());
        }
    });
    for name in there.keys() {
        let used = asked.contains(*name)
            || ["_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix));
        assert!(used, "no panel shows {name}");
    }
    let path = std::env::temp_dir().join(format!("moirai-board-{}.yml", std::process::id()));
    std::fs::write(&path, &rules).unwrap();
    let output = Command::new("promtool").args(["check", "rules"]).arg(&path).output();
    let _ = std::fs::remove_file(&path);
    let Ok(output) = output else { return skip("promtool", "prometheus") };
    assert!(output.status.success(), "{}\n{rules}", String::from_utf8_lossy(&output.stderr));
}

/// The numbers of a page, with their names and labels.
#[cfg(feature = "prometheus-client")]
fn numbers(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let numbers = lines.map(|line| line.rsplit_once(' ').unwrap());
    let numbers = numbers.map(|(name, value)| {
        // Theirs begin with the bound of a bucket, and ours end with it.
        let bound = name.split_once("{le=").and_then(|(name, labels)| {
            let (bound, labels) = labels.split_once(',')?;
            Some(format!("{name}{{{},le={bound}}}", labels.trim_end_matches('}')))
        });
        (bound.unwrap_or_else(|| name.to_owned()), value.parse().unwrap())
    });
    numbers.collect()
}

#[cfg(feature = "prometheus-client")]
#[test]
fn a_registry_of_prometheus_client_exports_the_same() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let executor = busy("pm-client", &gate);
    let mut registry = prometheus_client::registry::Registry::default();
    let collector = prometheus::Collector::new(&executor).queues(Jobs::new());
    registry.register_collector(Box::new(collector));
    let encode = || {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        page
    };
    let theirs = encode();
    check_by_parser(&theirs);
    let ours = page_with_queues(&executor, Format::OpenMetrics);
    let described = |page: &str| {
        let lines = page.lines().filter(|line| line.starts_with("# ")).map(str::to_owned);
        lines.collect::<BTreeSet<_>>()
    };
    assert_eq!(described(&theirs), described(&ours));
    let (theirs, ours) = (numbers(&theirs), numbers(&ours));
    assert!(theirs.keys().eq(ours.keys()), "{:#?}\n{:#?}", theirs.keys(), ours.keys());
    for (name, value) in &ours {
        // Time goes on, and workers look for work now and then.
        let changes = ["uptime", "parks", "workers", "bytes"].iter().any(|it| name.contains(it));
        assert!(changes || (theirs[name] - value).abs() < 1e-9, "{name} {} {value}", theirs[name]);
    }
    let weak = executor.downgrade();
    gate.open();
    drop(executor);
    wait_until("it is gone", || !weak.is_alive());
    assert_eq!(encode(), "# EOF\n");
}
