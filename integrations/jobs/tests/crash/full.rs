//! A full disk.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai_jobs::{Job, JobState, Jobs};

/// Runs [`fill`] in a process of its own, with a file system of two megabytes. Skipped where that is not allowed.
pub(crate) fn sqlite_full_disk() {
    let folder = crate::farm::Folder::new("full");
    let disk = folder.file("disk");
    fs::create_dir(&disk).unwrap();
    let program = std::env::current_exe().unwrap();
    let script = "mount -t tmpfs -o size=2m none \"$1\" || exit 77; exec \"$2\" fill \"$1\"";
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", &disk])
        .arg(program)
        .status();
    match status.ok().and_then(|status| status.code()) {
        Some(0) => {}
        // `unshare` has ended with one of its own, or is not there.
        Some(1 | 77) | None if fs::read_dir(&disk).unwrap().next().is_none() => {
            println!("SKIPPED: this user may not mount a file system");
        }
        code => panic!("the process has ended with {code:?}"),
    }
}

/// Pushes until the disk is full, and goes on when there is room.
pub(crate) fn fill(disk: &str) {
    let disk = Path::new(disk);
    let (path, ballast) = (disk.join("jobs.db"), disk.join("ballast"));
    fs::write(&ballast, vec![0; 1_200_000]).unwrap();
    let driver = moirai_tokio::driver().unwrap();
    let tokio = driver.handle();
    let moirai = Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
    moirai_tokio::block_on(&moirai.clone(), tokio, async {
        let jobs = Jobs::sqlite(&path).await.unwrap();
        let queue = jobs.queue::<String>("full");
        let payload = "x".repeat(10_000);
        let mut ids = Vec::new();
        let error = loop {
            match queue.push(&payload).await {
                Ok(id) => ids.push(id),
                Err(error) => break error.to_string(),
            }
            assert!(ids.len() < 1_000, "the disk is not full");
        };
        assert!(
            !ids.is_empty() && error.contains("disk is full"),
            "{} jobs, then {error}",
            ids.len()
        );
        // What runs and cannot be said is said when there is room.
        let consumer = queue.run(&moirai, async |_: Job<String>| Ok::<_, std::io::Error>(()));
        for id in &ids {
            assert!(jobs.status(*id).await.unwrap().is_some(), "{id} was lost");
        }
        fs::remove_file(&ballast).unwrap();
        let started = Instant::now();
        for id in &ids {
            while jobs.status(*id).await.unwrap().unwrap().record.state != JobState::Done {
                assert!(started.elapsed() < Duration::from_secs(60), "{id} is not done");
                moirai::time::sleep(Duration::from_millis(20)).await;
            }
        }
        println!("{} jobs were pushed until: {error}", ids.len());
        consumer.unwrap().drain().await;
    });
    // The whole of it, or the file system could not go with the process.
    drop(moirai);
}
