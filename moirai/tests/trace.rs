//! Timelines of a real load, checked by Google's descriptors of Perfetto's format.
#![cfg(feature = "trace")]

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use moirai::metrics::trace;
use moirai::prelude::*;

/// Runs tasks of all kinds, and returns what the threads did.
fn flight() -> moirai::Flight {
    let executor = Moirai::builder().worker_threads(2).build().unwrap();
    executor.block_on(async {
        let requests = (0..20).map(|number| {
            executor.task().name(format!("request {number}")).spawn_async(async move {
                for _ in 0..5 {
                    moirai::spawn_async(yield_now()).await.unwrap();
                    moirai::time::sleep(Duration::from_millis(1)).await;
                }
            })
        });
        let requests: Vec<_> = requests.collect();
        let failed = executor.task().name("fails").spawn_async(async { panic!("as planned") });
        let disk = executor.task().name("disk").spawn_blocking(|| ());
        let stays = executor.task().name("stays").spawn_async(std::future::pending::<()>());
        executor.spawn_parallel(|| moirai::join(|| 1, || 2)).await.unwrap();
        for request in requests {
            request.await.unwrap();
        }
        let _ = failed.await;
        disk.await.unwrap();
        stays.cancel();
        let _ = stays.await;
    });
    executor.flight()
}

/// Runs the script that checks a file; see there for what it needs.
fn check(file: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace/check.py");
    let python = std::env::var_os("MOIRAI_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python).arg(script).arg(file).output();
    let output = match output {
        Ok(output) if output.status.code() == Some(77) => Err(output.stdout),
        Ok(output) => Ok(output),
        Err(error) => Err(error.to_string().into_bytes()),
    };
    match output {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        Err(why) => {
            let why = String::from_utf8_lossy(&why).trim().to_owned();
            assert!(std::env::var_os("MOIRAI_REQUIRE_SERVERS").is_none(), "{why}");
            eprintln!("SKIPPED: the trace is not checked: {why}");
        }
    }
}

#[test]
fn perfetto_reads_what_was_written_for_it() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flight.pftrace");
    let mut out = BufWriter::new(File::create(&file).unwrap());
    trace::perfetto(&flight(), &mut out).unwrap();
    drop(out);
    check(&file);
}

#[test]
fn chrome_gets_json_with_a_track_for_each_thread() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flight.json");
    let mut out = BufWriter::new(File::create(&file).unwrap());
    let flight = flight();
    trace::chrome(&flight, &mut out).unwrap();
    drop(out);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let tracks = events.iter().filter(|event| event["name"] == "thread_name").count();
    assert_eq!(tracks, flight.threads.len());
    let polls = events.iter().filter(|event| event["ph"] == "B" && event["cat"] == "poll").count();
    assert!(polls >= 200, "{polls}");
}
