//! The live page in a real browser, which `tests/browser/page.py` drives. Where Chromium or the module that drives it is not installed the
//! test is skipped, with a line on the standard error; with `MOIRAI_REQUIRE_SERVERS=1` in the environment it fails instead.
#![cfg(all(unix, feature = "page"))]

mod common;

use std::future::pending;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::queues::{HOSTILE, Jobs};
use common::{Gate, ON_PURPOSE, named, silence_expected_panics};
use moirai::FlightRecorderConfig;
use moirai::metrics::page::{self, Page};
use moirai::prelude::*;

/// Debian's Python, which has Debian's modules, unless there is none.
fn python() -> &'static str {
    let debian = "/usr/bin/python3";
    if std::path::Path::new(debian).exists() { debian } else { "python3" }
}

#[test]
fn a_person_can_use_the_page() {
    silence_expected_panics();
    // Large enough that the polls of the first task are still there, however slow the browser is.
    let flight_recorder =
        FlightRecorderConfig { bytes_per_thread: 16 << 20, ..FlightRecorderConfig::default() };
    let executor = named("pg-browser", 2)
        .stall_budget(Duration::from_millis(20))
        .flight_recorder(flight_recorder)
        .build()
        .unwrap();
    let plain = page::serve(&executor, "127.0.0.1:0").unwrap();
    let jobs = Jobs::new();
    let of_jobs = || Page::new(&executor).address("127.0.0.1:0").queues(Arc::clone(&jobs) as _);
    let with_queues = of_jobs().allow_cancel(true).serve().unwrap();
    let with_retry = of_jobs().allow_retry(true).serve().unwrap();
    let broken = Jobs::new();
    broken.set_broken(true);
    let with_broken = Page::new(&executor).address("127.0.0.1:0").queues(broken).serve().unwrap();
    let with_cancel =
        Page::new(&executor).address("127.0.0.1:0").allow_cancel(true).serve().unwrap();

    let script = executor.task().name("<script>alert(1)</script>").tag("order", 7);
    script.spawn_async(yield_now()).join().unwrap();
    let forever = executor.task().name("never ends").spawn_async(pending::<()>());
    assert!(
        executor.task().name("fails").spawn_parallel(|| panic!("{ON_PURPOSE}")).join().is_err()
    );
    let gate = Gate::new();
    let closed = gate.clone();
    let stuck = executor.task().name("stuck").spawn_async(async move { closed.wait() });
    let over = AtomicBool::new(false);
    let output = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let request = executor.task().name("request");
                let request = request.spawn_async(moirai::time::sleep(Duration::from_millis(5)));
                request.join().unwrap();
            }
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/page.py");
        let mut command = Command::new(python());
        command.args([script, &plain.url(), &with_cancel.url()]);
        // An argument cannot have a zero in it, but its JSON can.
        let queue = serde_json::Value::from(HOSTILE).to_string();
        command.args([&with_queues.url(), &with_retry.url(), &with_broken.url(), &queue]);
        // For a person who wants to see it: where to leave pictures.
        command.args(std::env::var_os("MOIRAI_PICTURES"));
        let output = command.output();
        over.store(true, Ordering::Relaxed);
        output
    });
    gate.open();
    stuck.join().unwrap();
    let output = output.ok().filter(|output| output.status.code() != Some(77));
    let Some(output) = output else {
        let line = "Chromium or what drives it is not installed (Debian's packages `chromium` and `python3-websocket`)";
        assert!(std::env::var_os("MOIRAI_REQUIRE_SERVERS").is_none(), "{line}");
        // The test harness would capture the output of `eprintln!`.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {line}");
        return;
    };
    let said = [&*output.stdout, &*output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(forever.join().unwrap_err().is_cancelled(), "the button has cancelled it");
    assert_eq!(jobs.retried(), ["01J <b>7</b>"], "the other button has retried this one alone");
}
