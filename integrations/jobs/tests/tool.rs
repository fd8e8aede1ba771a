//! Tests of the command-line tool.

use std::path::PathBuf;
use std::process::{Command, Output};

use moirai::prelude::*;
use moirai_jobs::{Job, JobId, JobState, Jobs, Permanent};

struct Case {
    path: PathBuf,
    jobs: Jobs,
    tokio: tokio::runtime::Handle,
    moirai: Moirai,
}

impl Case {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("moirai-tool-{name}-{}.db", std::process::id()));
        let driver = moirai_tokio::driver().unwrap();
        let tokio = driver.handle();
        let moirai = Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
        let jobs = moirai_tokio::block_on(&moirai, tokio.clone(), Jobs::sqlite(&path)).unwrap();
        Self { path, jobs, tokio, moirai }
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        moirai_tokio::block_on(&self.moirai, self.tokio.clone(), future)
    }

    /// Three jobs of which those with even payloads die.
    fn with_dead_jobs(name: &str) -> (Self, Vec<JobId>) {
        let case = Self::new(name);
        let queue = case.jobs.queue::<u32>("work");
        let ids = case.block_on(async {
            let ids = queue.push_all(&[1, 2, 4]).await.unwrap();
            let consumer = queue.run(&case.moirai, async |job: Job<u32>| match job.payload % 2 {
                0 => Err(Permanent::new("no \x1b[31mred\x1b[0m numbers")),
                _ => Ok(()),
            });
            for id in &ids {
                while !case.jobs.status(*id).await.unwrap().unwrap().record.state.has_ended() {
                    moirai::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
            consumer.unwrap().drain().await;
            ids
        });
        (case, ids)
    }

    fn tool(&self, arguments: &[&str]) -> Output {
        tool(&[&["--storage", self.path.to_str().unwrap()], arguments].concat())
    }

    fn state(&self, id: JobId) -> JobState {
        self.block_on(self.jobs.status(id)).unwrap().unwrap().record.state
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(end);
            let _ = std::fs::remove_file(path);
        }
    }
}

fn tool(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_moirai-jobs"))
        .args(arguments)
        .env_remove("MOIRAI_JOBS")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn it_lists_shows_retries_and_cancels() {
    let (case, ids) = Case::with_dead_jobs("list");
    let queues = text(&case.tool(&["queues"]));
    let row: Vec<_> = queues.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["work", "0", "0", "0", "0", "1", "2", "0", "-"]);
    let dead = text(&case.tool(&["list", "--queue", "work", "--state", "dead"]));
    assert_eq!(dead.lines().count(), 3, "{dead}");
    assert!(dead.contains("no  [31mred [0m numbers"), "no escape sequence comes through: {dead}");
    let one = text(&case.tool(&["list", "--limit", "1", "--before", &ids[2].to_string()]));
    assert!(one.contains(&ids[1].to_string()), "{one}");
    let shown = text(&case.tool(&["show", &ids[1].to_string(), "--json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["state"], &shown["payload"]), (&"dead".into(), &2.into()));
    assert!(text(&case.tool(&["show", &ids[0].to_string()])).contains("state     done"));

    text(&case.tool(&["retry", &ids[1].to_string()]));
    assert_eq!(case.state(ids[1]), JobState::Waiting);
    text(&case.tool(&["cancel", &ids[1].to_string()]));
    assert_eq!(case.state(ids[1]), JobState::Cancelled);
    assert!(text(&case.tool(&["retry", "--queue", "work"])).contains("1 jobs wait again"));
    assert_eq!(case.state(ids[2]), JobState::Waiting);
    assert!(error(&case.tool(&["retry", &ids[0].to_string()]), 1).contains("has not failed"));
    assert!(error(&case.tool(&["cancel", &ids[0].to_string()]), 1).contains("has ended"));
}

#[test]
fn it_moves_dead_jobs_and_purges() {
    let (case, ids) = Case::with_dead_jobs("move");
    let moved = text(&case.tool(&["move-dead", "--from", "work", "--to", "later"]));
    assert_eq!(moved, "moved 2 jobs\n");
    assert_eq!(case.state(ids[1]), JobState::Waiting);
    let purged = text(&case.tool(&["purge", "--state", "done", "--older-than", "1h"]));
    assert_eq!(purged, "deleted 0 jobs\n");
    // What has ended in this very second is not older than it.
    let mut purged = String::new();
    while purged != "deleted 1 jobs\n" {
        assert!(purged.is_empty() || purged == "deleted 0 jobs\n", "{purged}");
        purged = text(&case.tool(&["purge", "--state", "done", "--older-than", "0s"]));
    }
    assert!(error(&case.tool(&["show", &ids[0].to_string()]), 1).contains("there is no job"));
}

#[test]
fn wrong_arguments_are_named() {
    assert!(error(&tool(&["queues"]), 2).contains("--storage"));
    assert!(error(&tool(&["-s", "/none/such.db", "queues"]), 1).contains("there is no file"));
    assert!(error(&tool(&["-s", "x", "show", "7"]), 2).contains("is no id of a job"));
    assert!(
        error(&tool(&["-s", "x", "purge", "--state", "running", "--older-than", "1d"]), 2)
            .contains("running")
    );
    assert!(error(&tool(&["-s", "ftp://host", "queues"]), 1).contains("scheme ftp"));
    let secret = tool(&["-s", "postgres://me:secret@localhost:1/none", "queues"]);
    let error = error(&secret, 1);
    assert!(error.contains("localhost:1") && !error.contains("secret"), "{error}");
    assert!(text(&tool(&["--help"])).contains("move-dead"));
}
