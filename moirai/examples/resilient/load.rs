//! The load: clients that send echo requests, and now and then one that misbehaves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_net::TcpStream;
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, io::BufReader};
use moirai::prelude::*;
use moirai::time::sleep;

use crate::table::Echoes;

/// One request in this many misbehaves.
pub(crate) const MISBEHAVES: u64 = 200;

/// How long a client waits between two requests.
const PAUSE: Duration = Duration::from_millis(10);

/// The requests that misbehave.
const BAD: [&str; 4] = ["block", "spin", "panic", "leak"];

/// Runs the clients, until all of them have stopped.
pub(crate) async fn clients(address: SocketAddr, clients: usize, echoes: Arc<Echoes>) {
    let executor = Moirai::current().expect("a task has an executor");
    let mut group = executor.group();
    for number in 0..clients as u64 {
        let echoes = Arc::clone(&echoes);
        group.spawn_async(async move {
            let served = client(address, number, &echoes).await;
            let stopping = Moirai::current().is_some_and(|executor| executor.is_shutting_down());
            if let Err(error) = served
                && !stopping
            {
                eprintln!("client {number} has stopped: {error}");
            }
        });
    }
    // The group keeps no results, so this waits for all of its tasks.
    group.next().await;
}

async fn client(address: SocketAddr, number: u64, echoes: &Echoes) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let mut answers = BufReader::new(stream.clone());
    let mut stream = stream;
    let mut answer = String::new();
    let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for request in 0_u64.. {
        // Marsaglia's xorshift64.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bad = random.is_multiple_of(MISBEHAVES);
        let line = if bad {
            BAD[(random / MISBEHAVES % 4) as usize].to_owned()
        } else {
            format!("echo {request}")
        };
        let sent = Instant::now();
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        answer.clear();
        if answers.read_line(&mut answer).await? == 0 {
            return Ok(());
        }
        if !bad {
            if answer.trim_end() != line {
                return Err(io::Error::other(format!("{line:?} was answered by {answer:?}")));
            }
            echoes.add(sent.elapsed());
        }
        sleep(PAUSE).await;
    }
    Ok(())
}
