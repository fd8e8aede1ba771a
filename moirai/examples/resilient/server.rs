//! The service: a line in, a line out.

use std::io;
use std::panic;
use std::time::{Duration, Instant};

use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use moirai::prelude::*;

/// How many connections are served at once.
const CONNECTIONS: usize = 10_000;

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// How long a request that misbehaves keeps its worker.
const STALL: Duration = Duration::from_millis(300);

const PLANNED: &str = "this request panics on purpose";

/// Serves connections, for ever.
pub(crate) async fn accept(listener: TcpListener) -> io::Result<()> {
    let executor = Moirai::current().expect("a task has an executor");
    // Holds nothing of connections that have ended, and cancels the others when it is dropped.
    let connections = executor.group().max_tasks(CONNECTIONS);
    loop {
        let (stream, _) = listener.accept().await?;
        // At the limit new connections wait in the listener's backlog.
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

/// What the books call a request.
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
        // A blocking call in an async task, as somebody forgot to wrap it.
        "block" => std::thread::sleep(STALL),
        "spin" => {
            let start = Instant::now();
            while start.elapsed() < STALL {
                std::hint::spin_loop();
            }
        }
        "panic" => panic!("{PLANNED}"),
        // A future that nobody ever wakes: its deadline ends it.
        "leak" => std::future::pending().await,
        _ => {}
    }
    line
}

/// Keeps the planned panics off the terminal.
pub(crate) fn silence_planned_panics() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(PLANNED) {
            hook(info);
        }
    }));
}
