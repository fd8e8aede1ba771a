//! What happens to the processes and the servers.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::farm::Farm;
#[cfg(any(feature = "postgres", feature = "redis"))]
use crate::server::Server;
use crate::worker::LEASE;

const SECOND: Duration = Duration::from_secs(1);

/// All scenarios, by name.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("sqlite_full_disk", crate::full::sqlite_full_disk),
    ("sqlite_takeover", sqlite_takeover),
    ("sqlite_kills_and_a_stop", sqlite_kills_and_a_stop),
    #[cfg(feature = "postgres")]
    ("postgres_kills_a_stop_and_crashes", postgres_kills_a_stop_and_crashes),
    #[cfg(feature = "postgres")]
    ("postgres_partition", postgres_partition),
    #[cfg(feature = "postgres")]
    ("postgres_hosts", crate::hosts::postgres_hosts),
    #[cfg(feature = "redis")]
    ("redis_hosts", crate::hosts::redis_hosts),
    #[cfg(feature = "redis")]
    ("redis_partition", redis_partition),
    #[cfg(feature = "redis")]
    ("redis_kills_a_stop_and_crashes", redis_kills_a_stop_and_crashes),
];

/// 2,000 jobs of 100 ms.
pub(crate) fn many() -> Vec<u64> {
    vec![100; 2_000]
}

/// Kills one process after the other, one a second, and stops one for longer than the lease.
fn harass(farm: &mut Farm, mut crash: impl FnMut(usize)) {
    farm.until_done(20);
    for second in 0..8 {
        // The second process is stopped, as if its network had been cut. It goes on when all that it had was taken over.
        match second {
            1 => farm.processes[1].signal(Signal::STOP),
            6 => farm.processes[1].signal(Signal::CONT),
            _ => {}
        }
        farm.kill(second % 2 * 2);
        crash(second);
        sleep(SECOND);
    }
}

fn sqlite_kills_and_a_stop() {
    let mut farm = Farm::new("sqlite", None, 3, &many());
    harass(&mut farm, |_| {});
    let attempts = farm.finish();
    println!("2000 jobs took {attempts} attempts");
    assert!(attempts > 2_000, "some were taken over");
}

/// After a kill, jobs are taken over within four thirds of the lease, and a second.
fn sqlite_takeover() {
    let mut farm = Farm::new("takeover", None, 1, &[600_000, 600_000]);
    while farm.attempts().len() < 2 {
        sleep(Duration::from_millis(5));
    }
    let killed = Instant::now();
    let first = farm.processes[0].id();
    farm.kill(0);
    while farm.attempts().len() < 4 {
        assert!(killed.elapsed() < LEASE * 20, "nobody takes over");
        sleep(Duration::from_millis(5));
    }
    let took = killed.elapsed();
    println!("taken over after {took:.1?}, with a lease of {LEASE:?}");
    for (job, attempt, process) in farm.attempts().split_off(2) {
        assert_eq!(attempt, 2, "{job}");
        assert_ne!(process, first);
    }
    assert!(took >= LEASE * 2 / 3, "{took:?}");
    // On a machine that has better things to do, it may take longer.
    assert!(took < LEASE * 4 / 3 + 10 * SECOND, "{took:?}");
}

#[cfg(feature = "postgres")]
fn postgres_kills_a_stop_and_crashes() {
    let Some(server) = Server::postgres() else { return };
    let address = format!("postgres://moirai@127.0.0.1:{}/postgres", server.port());
    harass_with_crashes("postgres", server, address);
}

#[cfg(feature = "redis")]
fn redis_kills_a_stop_and_crashes() {
    let Some(server) = Server::durable_redis() else { return };
    let address = format!("redis://127.0.0.1:{}/", server.port());
    harass_with_crashes("redis", server, address);
}

/// Kills the server twice, too.
#[cfg(any(feature = "postgres", feature = "redis"))]
fn harass_with_crashes(name: &str, mut server: Server, address: String) {
    let mut farm = Farm::new(name, Some(address), 3, &many());
    harass(&mut farm, |second| {
        if second == 1 || second == 4 {
            server.crash_and_restart();
        }
    });
    let attempts = farm.finish();
    println!("2000 jobs took {attempts} attempts");
    assert!(attempts > 2_000, "some were taken over, or tried again");
}

#[cfg(feature = "postgres")]
fn postgres_partition() {
    let Some(server) = Server::postgres() else { return };
    partition("postgres-partition", server.port(), |port| {
        format!("postgres://moirai@127.0.0.1:{port}/postgres")
    });
}

#[cfg(feature = "redis")]
fn redis_partition() {
    let Some(server) = Server::redis() else { return };
    partition("redis-partition", server.port(), |port| format!("redis://127.0.0.1:{port}/"));
}

/// The network swallows all that one of two processes sends and is sent, for longer than the lease, and than a request may take.
#[cfg(any(feature = "postgres", feature = "redis"))]
fn partition(name: &str, port: u16, address: fn(u16) -> String) {
    let proxy = crate::proxy::Proxy::start(port);
    let mut farm = Farm::new(name, Some(address(port)), 1, &[50; 600]);
    farm.start(&address(proxy.port()));
    while farm.of_process(1) < 20 {
        sleep(Duration::from_millis(5));
    }
    let (cut_off, consumer, stuck) = farm.consumer_that_is_stuck(&address(proxy.port()));
    proxy.freeze();
    let frozen = Instant::now();
    // A drain ends, although nobody answers, and says what it has left behind.
    let drained = farm.block_on(consumer.drain());
    assert!(frozen.elapsed() < 30 * SECOND, "{:?}", frozen.elapsed());
    assert_eq!((drained.left, drained.given_back), (vec![stuck], vec![]));
    // A request ends, too.
    let answer = farm.block_on(cut_off.queues());
    assert!(answer.is_err() && frozen.elapsed() < 90 * SECOND, "{:?}", frozen.elapsed());
    // The other one takes over what the first has.
    farm.until_done(600);
    sleep((12 * SECOND).saturating_sub(frozen.elapsed()));
    let before = farm.of_process(1);
    farm.push(&[1; 2_000]);
    proxy.thaw();
    // It comes back to its place.
    while farm.of_process(1) == before {
        assert!(frozen.elapsed() < 120 * SECOND, "the process does not come back");
        sleep(Duration::from_millis(20));
    }
    let attempts = farm.finish();
    println!("2600 jobs took {attempts} attempts");
    assert!(attempts > 2_600, "some were taken over");
}
