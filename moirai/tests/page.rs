//! Tests of the live page's server: what it answers, whom it refuses, and what it does not fall for.
#![cfg(feature = "page")]

mod common;

use std::future::pending;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use common::page_client::{
    ANY, Events, answer_on, connect, exchange, get, origin_of, request, token_of,
};
use common::queues::Jobs;
use common::{Gate, ON_PURPOSE, named, silence_expected_panics, wait_until, watchdog};
use moirai::metrics::page::{self, Page};
use moirai::prelude::*;
use serde_json::Value;

#[test]
fn the_page_and_its_files_are_there_and_safe_headers_with_them() {
    let _watchdog = watchdog();
    let executor = named("pg-files", 1).build().unwrap();
    let server = page::serve(&executor, ANY).unwrap();
    assert!(server.is_running() && server.url().starts_with("http://127.0.0.1:"));
    let page = get(&server, "/?filter=x");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    // Every file that the page names is there.
    let files = page.body.split('"').filter(|part| part.starts_with("assets/"));
    let files: Vec<String> = files.map(|file| format!("/{file}")).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files.iter().map(|file| &**file).chain(["/favicon.ico", "/", "/metrics", "/tasks"])
    {
        let answer = get(&server, file);
        assert_eq!(answer.status, 200, "{file}");
        assert!(!answer.body.is_empty(), "{file}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Content-Length"), Some(&*answer.body.len().to_string()));
        let policy = answer.header("Content-Security-Policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(!answer.head.to_ascii_lowercase().contains("access-control"), "{}", answer.head);
        let head = request(server.address(), &format!("HEAD {file}"), &[]);
        assert_eq!((head.status, &*head.body), (200, ""));
        assert!(head.header("Content-Length").is_some());
    }
    // Scripts are in files, because the policy forbids others.
    assert!(!page.body.contains("<script>") && !page.body.contains("onclick"));
    for (line, status) in [
        ("GET /nothing", 404),
        ("GET /assets/../page.js", 404),
        ("GET /task/", 404),
        ("GET /task/0", 404),
        ("GET /task/x", 404),
        ("GET /task/99999999999999999999", 404),
        ("PUT /", 405),
        ("OPTIONS /tasks", 405),
        ("POST /tasks", 404),
        ("GET //evil.example/", 404),
    ] {
        assert_eq!(request(server.address(), line, &[]).status, status, "{line}");
    }
}

#[test]
fn only_who_names_the_server_is_answered() {
    let _watchdog = watchdog();
    let executor = named("pg-hosts", 1).build().unwrap();
    let server = Page::new(&executor).address(ANY).allow_host("dash.example").serve().unwrap();
    let status = |host| request(server.address(), "GET /tasks", &[("Host", host)]).status;
    for host in ["localhost", "127.0.0.1:9464", "[::1]", "dash.example", "DASH.example:443"] {
        assert_eq!(status(host), 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:9464", "192.0.2.1", ""] {
        assert_eq!(status(host), 421, "{host}");
    }
    let nameless = exchange(server.address(), b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(nameless.status, 400);
    let other = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(request(server.address(), "GET /tasks", &other).status, 403);
    assert_eq!(request(server.address(), "GET /events", &other).status, 403);
    // A link to the page is followed.
    assert_eq!(request(server.address(), "GET /", &other).status, 200);
}

#[test]
fn the_format_of_the_metrics_is_the_one_that_is_asked_for() {
    let _watchdog = watchdog();
    let executor = named("pg-metrics", 1).build().unwrap();
    executor.spawn_async(async {}).join().unwrap();
    let server = page::serve(&executor, ANY).unwrap();
    let text = get(&server, "/metrics");
    assert_eq!(text.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.body.contains("\nmoirai_spawned_tasks_total 1\n"));
    let accept = [("Accept", "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.1")];
    let open = request(server.address(), "GET /metrics", &accept);
    assert!(open.header("Content-Type").unwrap().starts_with("application/openmetrics-text"));
    assert!(open.body.ends_with("# EOF\n"));
}

#[test]
fn tasks_are_listed_filtered_and_told_of() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = named("pg-tasks", 1).build().unwrap();
    let server = page::serve(&executor, ANY).unwrap();
    let script = "<script>alert(1)</script>";
    let named = executor.task().name(script).tag("order", 7).spawn_parallel(|| ());
    let id = named.id();
    named.join().unwrap();
    for n in 0..20 {
        let name = format!("job {n:02}");
        executor.task().name(name).spawn_parallel(|| ()).join().unwrap();
    }
    let failing =
        executor.task().name("fails").spawn_parallel(|| panic!("{ON_PURPOSE} \u{7} \"x\""));
    let failed = failing.id();
    assert!(failing.join().is_err());

    let list = get(&server, "/tasks?filter=job&sort=-name&limit=3").json();
    assert_eq!((&list["all"], &list["matching"]), (&22.into(), &20.into()));
    let names: Vec<_> = list["tasks"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(names, ["job 19", "job 18", "job 17"]);
    let tagged = get(&server, "/tasks?filter=tag:order%3D7").json();
    assert_eq!(tagged["tasks"][0]["name"], script);
    assert_eq!(tagged["tasks"][0]["tags"], serde_json::json!([["order", "7"]]));
    let failures = get(&server, "/tasks?filter=status:failed").json();
    let error = failures["tasks"][0]["error"].as_str().unwrap();
    assert!(error.contains("\u{7} \"x\""), "{error}");
    for nonsense in ["limit=-1", "limit=x", "sort=%00", "filter=%22%ff", "&&&", "limit=99999999999"]
    {
        assert_eq!(get(&server, &format!("/tasks?{nonsense}")).status, 200, "{nonsense}");
    }

    let task = get(&server, &format!("/task/{id}"));
    assert_eq!((&task.json()["task"]["name"], task.status), (&script.into(), 200));
    assert_eq!(task.header("Content-Type"), Some("application/json"));
    assert_eq!(task.json()["task"]["id"], id.to_string(), "ids are texts");
    let task = get(&server, &format!("/task/{failed}")).json();
    assert_eq!(
        (&task["task"]["status"], &task["task"]["name"]),
        (&"failed".into(), &"fails".into())
    );
    assert_eq!(get(&server, "/task/12345678901").status, 404);
    assert!(task.get("events").is_none());
    // With its events, if they are asked for.
    let waits = executor.spawn_async(async {
        moirai::time::sleep(Duration::from_millis(2)).await;
    });
    let waited = waits.id();
    waits.join().unwrap();
    let story = get(&server, &format!("/task/{waited}?events")).json();
    let events = story["events"].as_array().unwrap();
    let polls = |what: &str| events.iter().filter(|event| event["what"] == what).count();
    assert_eq!((polls("poll"), polls("completed")), (1, 1), "{story}");
    for event in events {
        assert!(event["from"].as_f64().unwrap() <= event["to"].as_f64().unwrap(), "{event}");
    }
    // The page itself says nothing that users have named.
    assert!(!get(&server, "/").body.contains("alert(1)"));
}

#[test]
fn a_record_that_was_evicted_is_told_from_one_that_never_was() {
    let _watchdog = watchdog();
    let cleanup = CleanupConfig { max_retained_tasks: 1, ..CleanupConfig::default() };
    let executor = named("pg-evicted", 1).cleanup_config(cleanup).build().unwrap();
    let server = page::serve(&executor, ANY).unwrap();
    let [first, _] = [(); 2].map(|()| {
        let task = executor.spawn_parallel(|| ());
        let id = task.id();
        task.join().unwrap();
        id
    });
    assert_eq!(get(&server, &format!("/task/{first}")).status, 410);
}

#[test]
fn events_say_what_is_going_on_and_are_made_once_for_all() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = named("pg-events", 2).stall_budget(Duration::from_millis(20)).build().unwrap();
    let server = page::serve(&executor, ANY).unwrap();
    let mut readers = [Events::open(&server), Events::open(&server)];
    for reader in &mut readers {
        let first = reader.next().unwrap();
        assert_eq!((&first["phase"], &first["workers"]), (&"running".into(), &2.into()));
    }
    let gate = Gate::new();
    let closed = gate.clone();
    let stuck = executor.task().name("stuck").spawn_async(async move { closed.wait() });
    assert!(executor.spawn_parallel(|| panic!("{ON_PURPOSE}")).join().is_err());
    let [one, other] = &mut readers;
    let is_stuck = |event: &Value| {
        event["stalled"].as_array().is_some_and(|stalled| stalled.len() == 1)
            && event["failures"].as_array().is_some_and(|failures| failures.len() == 1)
    };
    let event = one.until("a stall", is_stuck);
    assert_eq!(event["stalled"][0]["name"], "stuck");
    assert!(event["failures"][0]["error"].as_str().unwrap().contains(ON_PURPOSE));
    let busy = event["worker"].as_array().unwrap().iter().find(|of| of["state"] == "polling");
    let busy = busy.expect("a worker polls it");
    assert_eq!((&busy["name"], &busy["task"]), (&"stuck".into(), &stuck.id().to_string().into()));
    assert!(busy["since"].as_f64().unwrap() > 0.0);
    // Both have read the same event, to the nanosecond at which it was made.
    let same = other.until("the same", |other| other["t"] == event["t"]);
    assert_eq!(same, event);
    gate.open();
    stuck.join().unwrap();
    let event = one.until("it is over", |event| event["completed"] == 1);
    assert_eq!((&event["failed"], &event["stalls"]), (&1.into(), &1.into()));
}

#[test]
fn tasks_are_cancelled_by_the_page_alone_and_only_if_it_may() {
    let _watchdog = watchdog();
    let executor = named("pg-cancel", 1).build().unwrap();
    let task = executor.spawn_async(pending::<()>());
    let line = format!("POST /task/{}/cancel", task.id());

    let server = page::serve(&executor, ANY).unwrap();
    assert_eq!(token_of(&server), "");
    let origin = origin_of(&server);
    let headers = [("Origin", &*origin), ("X-Moirai-Token", "")];
    assert_eq!(request(server.address(), &line, &headers).status, 404);

    let server = Page::new(&executor).address(ANY).allow_cancel(true).serve().unwrap();
    let origin = origin_of(&server);
    let token = token_of(&server);
    assert_eq!(token.len(), 32);
    let other = Page::new(&executor).address(ANY).allow_cancel(true).serve().unwrap();
    assert_ne!(token, token_of(&other));
    let wrong = token.replace(|char: char| char.is_ascii_digit(), "x");
    for headers in [
        &[][..],
        &[("Origin", &*origin)],
        &[("X-Moirai-Token", &*token)],
        &[("Origin", &*origin), ("X-Moirai-Token", &*wrong)],
        &[("Origin", &*origin), ("X-Moirai-Token", &token[1..])],
        &[("Origin", "http://evil.example"), ("X-Moirai-Token", &*token)],
        &[("Origin", "null"), ("X-Moirai-Token", &*token)],
        &[("Origin", &*origin), ("Sec-Fetch-Site", "same-site"), ("X-Moirai-Token", &*token)],
    ] {
        assert_eq!(request(server.address(), &line, headers).status, 403, "{headers:?}");
    }
    assert!(executor.task_status(task.id()).unwrap().is_active());
    let headers = [("Origin", &*origin), ("X-Moirai-Token", &*token)];
    let get_line = line.replace("POST", "GET");
    assert_eq!(request(server.address(), &get_line, &headers).status, 404);
    assert_eq!(request(server.address(), &line, &headers).status, 202);
    assert!(task.join().unwrap_err().is_cancelled());
    assert_eq!(request(server.address(), &line, &headers).status, 404, "it has ended");
    let nonsense = "POST /task/x/cancel";
    assert_eq!(request(server.address(), nonsense, &headers).status, 404);
}

#[test]
fn the_server_ends_with_its_handle_and_frees_the_address() {
    let _watchdog = watchdog();
    let executor = named("pg-drop", 1).build().unwrap();
    let server = page::serve(&executor, ANY).unwrap();
    let address = server.address();
    let mut events = Events::open(&server);
    assert!(events.next().is_some());
    let held = connect(address);
    let error = page::serve(&executor, address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(server);
    while events.next().is_some() {}
    drop((held, events));
    let again = page::serve(&executor, address).unwrap();
    assert_eq!(get(&again, "/tasks").status, 200);
}

#[test]
fn the_server_keeps_no_executor_and_ends_with_it() {
    let _watchdog = watchdog();
    let executor = named("pg-weak", 1).build().unwrap();
    let weak = executor.downgrade();
    let server = page::serve(&weak, ANY).unwrap();
    let mut events = Events::open(&server);
    assert!(events.next().is_some());
    drop(executor);
    wait_until("the executor is gone", || !weak.is_alive());
    while events.next().is_some() {}
    wait_until("the server has ended", || !server.is_running());
    assert!(TcpListener::bind(server.address()).is_ok());

    let executor = named("pg-shut", 1).build().unwrap();
    let server = page::serve(&executor, ANY).unwrap();
    executor.shutdown();
    wait_until("the server has ended, too", || !server.is_running());
}

#[test]
fn an_address_that_cannot_be_bound_is_an_error() {
    let _watchdog = watchdog();
    let executor = named("pg-bind", 1).build().unwrap();
    assert!(page::serve(&executor, "192.0.2.1:1").is_err());
    assert!(page::serve(&executor, "no such address").is_err());
}

#[test]
fn slow_and_half_closed_clients_hinder_nobody() {
    let _watchdog = watchdog();
    let executor = named("pg-slow", 1).build().unwrap();
    let server = Page::new(&executor).address(ANY).max_connections(8).serve().unwrap();
    let address = server.address();
    // As many as there may be but one: some say nothing, and some say a little.
    let mut slow: Vec<_> = (0..7).map(|_| connect(address)).collect();
    for stream in &mut slow[..4] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    }
    assert_eq!(get(&server, "/tasks").status, 200);
    // One that has sent everything may close its half.
    let mut half = connect(address);
    half.write_all(b"GET /tasks HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer_on(&mut half).unwrap().status, 200);
    // One that has not is gone.
    let mut half = connect(address);
    half.write_all(b"GET /tasks HT").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert!(answer_on(&mut half).is_none());
    // The slow ones do not stay.
    for (index, mut stream) in slow.into_iter().enumerate() {
        let answer = answer_on(&mut stream);
        assert_eq!(answer.map(|answer| answer.status), (index < 4).then_some(408));
    }
    assert_eq!(get(&server, "/tasks").status, 200);
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[test]
fn no_bytes_bring_it_down() {
    let _watchdog = watchdog();
    let executor = named("pg-fuzz", 1).build().unwrap();
    let page = Page::new(&executor).address(ANY).allow_cancel(true);
    let server = page.queues(Jobs::new()).allow_retry(true).serve().unwrap();
    let address = server.address();
    let seeds: [&[u8]; 6] = [
        b"GET /tasks?filter=a%20b&sort=-id&limit=3 HTTP/1.1\r\nHost: localhost\r\nAccept: a;q=1,b\r\n\r\n",
        b"POST /task/4294967298/cancel HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nX-Moirai-Token: 0\r\n\r\n",
        b"GET /queues/dead?queue=%3Cscript%3E&limit=3 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\nHost: [::1]:1\r\n\r\n",
        b"GET /task/%31 HTTP/1.1\r\nhost:127.0.0.1\r\n\r\n",
        b"",
    ];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for round in 0..600 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        if bytes.is_empty() {
            bytes = (0..random.below(300)).map(|_| random.next() as u8).collect();
        }
        for _ in 0..random.below(6) {
            let at = random.below(bytes.len().max(1)).min(bytes.len());
            match random.below(4) {
                0 => bytes.insert(at, random.next() as u8),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 if at < bytes.len() => bytes[at] = random.next() as u8,
                3 => bytes.truncate(at.max(1)),
                _ => {}
            }
        }
        let mut stream = connect(address);
        let _ = stream.write_all(&bytes);
        // Otherwise a request without an end would be waited for.
        let _ = stream.shutdown(Shutdown::Write);
        if random.below(3) > 0 {
            let mut read = Vec::new();
            // An answer, or none.
            let _ = stream.read_to_end(&mut read);
            assert!(read.is_empty() || read.starts_with(b"HTTP/1.1 "), "{read:?}");
        }
    }
    let long = [b"GET /".as_slice(), &vec![b'x'; 1 << 20]].concat();
    let answer = exchange(address, &long);
    assert!(answer.is_none_or(|answer| answer.status == 431));
    assert!(server.is_running());
    assert_eq!(get(&server, "/tasks").status, 200);
}

/// Lets the process open more files, if it may.
#[cfg(unix)]
fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(unix)]
#[test]
fn a_thousand_connections_are_refused_or_served_and_then_all_is_well() {
    let _watchdog = watchdog();
    let executor = named("pg-many", 1).build().unwrap();
    let server = Page::new(&executor).address(ANY).max_connections(16).serve().unwrap();
    let count = if raise_file_limit() > 2_000 { 1_000 } else { 400 };
    let address = server.address();
    let mut streams: Vec<_> = (0..count).map(|_| connect(address)).collect();
    // All but sixteen are told that there are too many, and those are still waited for.
    let mut refused = 0;
    for stream in &mut streams[16..] {
        let answer = answer_on(stream);
        refused += usize::from(answer.is_some_and(|answer| answer.status == 503));
    }
    assert!(refused > 0, "nobody was told");
    drop(streams);
    wait_until("there is room again", || {
        let host = address.to_string();
        let text = format!("GET /tasks HTTP/1.1\r\nHost: {host}\r\n\r\n");
        exchange(address, text.as_bytes()).is_some_and(|answer| answer.status == 200)
    });
    assert!(server.is_running());
}
