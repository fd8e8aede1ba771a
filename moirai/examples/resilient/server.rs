//! The service: it answers each line with the same line.

use std::io;
use std::panic;
use std::time::{Duration, Instant};

use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use moirai::prelude::*;

/// How many connections are served at once.
const CONNECTIONS: usize = 10_000;

/// How long a request may take before it is cancelled.
const DEADLINE: Duration = Duration::from_secs(1);

/// How long a request that blocks or spins keeps its worker.
const STALL: Duration = Duration::from_millis(300);

/// The message of a panic that is part of the plan.
const PLANNED: &str = "this request panics on purpose";

/// Serves connections, until the listener fails.
pub(crate) async fn accept(listener: TcpListener) -> io::Result<()> {
    let executor = Moirai::current().expect("a task has an executor");
    // The group keeps nothing of connections that have ended, and cancels the others when it is dropped.
    let connections = executor.group().max_tasks(CONNECTIONS);
    loop {
        let (stream, _) = listener.accept().await?;
        // At the limit, new connections wait in the backlog of the listener.
        connections.task().spawn_async_when_free(serve(stream)).await;
    }
}

async fn serve(stream: TcpStream) -> io::Result<()> {
    let executor = Moirai::current().expect("a task has an executor");
    let mut lines = BufReader::new(stream.clone()).lines();
    let mut stream = stream;
    while let Some(line) = lines.next().await {
        let line = line?;
        let request = executor.task().name(name(&line)).timeout(DEADLINE);
        let answer = match request.spawn_async(answer(line)).await {
            Ok(answer) => answer,
            Err(error) => format!("error: {error}"),
        };
        stream.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Returns the name of the task for a request.
fn name(line: &str) -> &'static str {
    match line {
        "block" => "request that blocks",
        "spin" => "request that spins",
        "panic" => "request that panics",
        "leak" => "request that leaks",
        _ => "echo",
    }
}

async fn answer(line: String) -> String {
    match line.as_str() {
        // A blocking call in an async task that should have been in `spawn_blocking`.
        "block" => std::thread::sleep(STALL),
        "spin" => {
            let start = Instant::now();
            while start.elapsed() < STALL {
                std::hint::spin_loop();
            }
        }
        "panic" => panic!("{PLANNED}"),
        // A future that is never woken. The deadline of its task ends it.
        "leak" => std::future::pending().await,
        _ => {}
    }
    line
}

/// Keeps the planned panics from being printed.
pub(crate) fn silence_planned_panics() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(PLANNED) {
            hook(info);
        }
    }));
}
