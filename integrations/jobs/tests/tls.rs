//! Encrypted connections to servers.

#[path = "../../tokio/tests/servers/server.rs"]
mod server;

use std::process::{Command, Output};
use std::time::Duration;

use moirai::prelude::*;
use moirai_jobs::{Job, JobState, Jobs};

use server::Server;

/// Where a process finds the address of the storage.
const ADDRESS: &str = "MOIRAI_TEST_STORAGE";

/// Runs [`a_job_runs`] in a process that trusts this authority, since a process chooses once whom it trusts.
fn runs_a_job(address: &str, authority: &std::path::Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_job_runs", "--ignored"])
        .env(ADDRESS, address)
        .env("SSL_CERT_FILE", authority)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "the other tests run it in processes of their own"]
fn a_job_runs() {
    let address = std::env::var(ADDRESS).expect("the address of a storage");
    let driver = moirai_tokio::driver().unwrap();
    let tokio = driver.handle();
    let moirai = Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
    moirai_tokio::block_on(&moirai.clone(), tokio, async {
        let jobs = open(&address).await;
        let queue = jobs.queue::<u32>("encrypted");
        let id = queue.push(&7).await.unwrap();
        let consumer = queue.run(&moirai, async |job: Job<u32>| {
            assert_eq!(job.payload, 7);
            Ok::<_, std::io::Error>(())
        });
        while jobs.status(id).await.unwrap().unwrap().record.state != JobState::Done {
            moirai::time::sleep(Duration::from_millis(5)).await;
        }
        consumer.unwrap().drain().await;
    });
}

/// A server accepts connections before it serves them.
async fn open(address: &str) -> Jobs {
    let started = std::time::Instant::now();
    loop {
        match Jobs::open(address).await {
            Ok(jobs) => return jobs,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(60), "{error}"),
        }
        moirai::time::sleep(Duration::from_millis(10)).await;
    }
}

fn tool(address: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moirai-jobs"));
    command.args(["--storage", address, "queues"]).env_remove("SSL_CERT_FILE").output().unwrap()
}

/// The tool does not reach the storage. Returns what it says.
fn refusal(address: &str) -> String {
    let output = tool(address);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn postgres() {
    let Some(server) = Server::encrypted_postgres() else { return };
    let authority = server.authority();
    let address =
        |how: &str| format!("postgres://moirai@127.0.0.1:{}/postgres?sslmode={how}", server.port());
    let trusted = address(&format!("verify-full&sslrootcert={}", authority.display()));
    runs_a_job(&trusted, &authority);
    let output = tool(&trusted);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && table.contains("encrypted"), "{table}");
    let unknown = refusal(&address("verify-full"));
    assert!(unknown.contains("certificate"), "{unknown}");
    let plain = refusal(&address("disable"));
    assert!(plain.contains("no encryption"), "{plain}");
}

#[test]
fn redis() {
    let Some(server) = Server::encrypted_redis() else { return };
    let address = format!("rediss://127.0.0.1:{}/", server.port());
    runs_a_job(&address, &server.authority());
    let unknown = refusal(&address);
    assert!(unknown.contains("certificate"), "{unknown}");
    // Who does not encrypt gets no answer, and is told so.
    let plain = refusal(&address.replace("rediss", "redis"));
    assert!(plain.contains("redis://127.0.0.1"), "{plain}");
}
