//! Several hosts: network namespaces, joined by a bridge. Packets to a host that is cut off vanish, as they do when a cable is pulled.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::farm::Farm;
use crate::process::Process;
use crate::scenarios::many;
use crate::server::Server;

/// The address of the host that has the server.
const SERVER: &str = "10.77.0.1";
const LONG: Duration = Duration::from_secs(60);
/// The status with which a process says that this user may not make networks.
const NOT_ALLOWED: u8 = 77;

#[cfg(feature = "postgres")]
pub(crate) fn postgres_hosts() {
    in_a_network_of_its_own("postgres");
}

#[cfg(feature = "redis")]
pub(crate) fn redis_hosts() {
    in_a_network_of_its_own("redis");
}

/// Runs [`run`] in a process whose network is not the machine's. Skipped where that is not allowed.
fn in_a_network_of_its_own(kind: &str) {
    let program = std::env::current_exe().unwrap();
    let status = Command::new("unshare").arg("--net").arg(program).args(["hosts", kind]).status();
    match status.ok().and_then(|status| status.code()) {
        Some(0) => {}
        // `unshare` has ended with one of its own, or is not there.
        Some(1 | 77) | None => println!("SKIPPED: this user may not make networks"),
        code => panic!("the process has ended with {code:?}"),
    }
}

/// What that process does.
pub(crate) fn run(kind: &str) -> u8 {
    let bridge = [
        "link set lo up",
        "link add bridge type bridge",
        &format!("addr add {SERVER}/24 dev bridge"),
        "link set bridge up",
    ];
    if !bridge.iter().all(|arguments| ip(arguments)) {
        return NOT_ALLOWED;
    }
    match kind {
        #[cfg(feature = "postgres")]
        "postgres" => {
            let server = Server::postgres_at(SERVER);
            server.inspect(|server| {
                scenario(kind, &format!("postgres://moirai@{SERVER}:{}/postgres", server.port()));
            });
        }
        #[cfg(feature = "redis")]
        "redis" => {
            let server = Server::durable_redis_at(SERVER);
            server
                .inspect(|server| scenario(kind, &format!("redis://{SERVER}:{}/", server.port())));
        }
        _ => panic!("hosts postgres|redis, and not {kind}"),
    }
    0
}

/// Three hosts run jobs. One is cut off for longer than its lease and comes back; one breaks down, so that the server hears nothing more
/// of it, and another takes its place.
fn scenario(name: &str, address: &str) {
    let mut farm = Farm::new(&format!("{name}-hosts"), Some(address.to_owned()), 0, &many());
    for host in 1..=3 {
        farm.add(|arguments| start(host, arguments));
    }
    for index in 0..3 {
        until("each host runs jobs", || farm.of_process(index) >= 10);
    }
    let (cut_off, broken) = (farm.processes[1].id(), farm.processes[2].id());
    set(2, "down");
    set(3, "down");
    farm.processes[2].signal(Signal::KILL);
    farm.add(|arguments| start(4, arguments));
    // What the two had is taken over.
    until("others take over", || {
        let attempts = farm.attempts();
        let had = |process| attempts.iter().filter(move |(_, _, id)| *id == process);
        let taken_over =
            |job: &str| attempts.iter().any(|(other, attempt, _)| other == job && *attempt == 2);
        [cut_off, broken].iter().all(|process| had(*process).any(|(job, ..)| taken_over(job)))
    });
    // There is work left for who comes back.
    farm.push(&vec![100; 1_000]);
    let before = farm.of_process(1);
    set(2, "up");
    until("the host is back", || farm.of_process(1) > before);
    // The process of the broken host has ended, and cannot be drained.
    drop(farm.processes.remove(2));
    let attempts = farm.finish();
    println!("3000 jobs took {attempts} attempts");
    assert!(attempts > 3_000, "some were taken over");
}

/// Starts a process on a host of its own.
fn start(host: u8, arguments: &[&str]) -> Process {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.arg("--net").arg(program);
    let process = Process::start_by(command, arguments);
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let space = format!("/proc/{}/ns/net", process.id());
    until("the process has its network", || fs::read_link(&space).unwrap() != own);
    let id = process.id();
    let cable = format!("link add host{host} type veth peer name eth0 netns {id}");
    let plug = format!("link set host{host} master bridge up");
    assert!(ip(&cable) && ip(&plug));
    for arguments in [format!("addr add 10.77.0.1{host}/24 dev eth0"), "link set eth0 up".into()] {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net={space}")).arg("ip").args(arguments.split(' '));
        assert!(inside.status().unwrap().success());
    }
    process
}

/// Plugs a host's cable in, or pulls it.
fn set(host: u8, to: &str) {
    assert!(ip(&format!("link set host{host} {to}")));
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).status().is_ok_and(|status| status.success())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LONG, "gave up waiting until {what}");
        sleep(Duration::from_millis(10));
    }
}
