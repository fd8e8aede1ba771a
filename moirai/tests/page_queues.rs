//! Tests of what the live page's server says of queues of durable jobs, and of who may retry a job.
#![cfg(feature = "page")]

mod common;

use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use common::page_client::{ANY, Answer, Events, get, origin_of, request, token_of};
use common::queues::{HOSTILE, Jobs, SCRIPT};
use common::{named, silence_expected_panics, wait_until, watchdog};
use moirai::metrics::page::{self, Page, PageServer};
use moirai::metrics::{DeadJob, QueueSource, QueueStats};
use serde_json::{Value, json};

/// Encodes everything but letters and digits.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn dead_of(queue: &str) -> String {
    format!("/queues/dead?queue={}", encoded(queue))
}

/// Posts to the target as the page does, with the token that it has.
fn post(server: &PageServer, target: &str) -> Answer {
    let (origin, token) = (origin_of(server), token_of(server));
    let headers = [("Origin", &*origin), ("X-Moirai-Token", &*token)];
    request(server.address(), &format!("POST {target}"), &headers)
}

fn retry_of(queue: &str, id: &str) -> String {
    format!("/queues/retry?queue={}&id={}", encoded(queue), encoded(id))
}

fn has_queues(metrics: &Answer) -> bool {
    metrics.body.contains("moirai_queue_jobs") || metrics.body.contains("moirai_queue_oldest")
}

#[test]
fn queues_and_dead_jobs_are_told_with_texts_as_they_are() {
    let _watchdog = watchdog();
    let executor = named("pq-json", 1).build().unwrap();
    let server = Page::new(&executor).address(ANY).queues(Jobs::new()).serve().unwrap();
    let hostile = json!({
        "name": HOSTILE, "waiting": 1_234, "scheduled": 2, "running": 3, "retrying": 4, "done": 5, "dead": 2,
        "cancelled": 6, "oldest": 1.5e9,
    });
    let empty = json!({
        "name": SCRIPT, "waiting": 0, "scheduled": 0, "running": 0, "retrying": 0, "done": 0, "dead": 0,
        "cancelled": 0, "oldest": null,
    });
    let answer = get(&server, "/queues");
    assert_eq!((answer.status, answer.json()), (200, json!({ "queues": [hostile, empty] })));
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    let event = Events::open(&server).next().unwrap();
    assert_eq!(event["queues"], answer.json()["queues"]);

    let dead = get(&server, &dead_of(HOSTILE)).json();
    let jobs = dead["jobs"].as_array().unwrap();
    let of = |job: &Value, fields: &[&str]| fields.iter().map(|field| job[field].clone()).collect();
    let fields = ["id", "error", "attempts"];
    let first: Vec<Value> = of(&jobs[0], &fields);
    assert_eq!(first, [json!("01J <b>7</b>"), json!(format!("{SCRIPT}\n{HOSTILE}")), json!(5)]);
    let (age, died) = (jobs[0]["age"].as_f64().unwrap(), jobs[0]["died"].as_f64().unwrap());
    assert!((90e9..190e9).contains(&age) && died > 1.7e9, "{dead}");
    let second: Vec<Value> = of(&jobs[1], &["id", "error", "attempts", "age", "died"]);
    assert_eq!(second, [json!("01J 8&id=9"), json!("on fire"), json!(0), json!(null), json!(null)]);
    assert_eq!(jobs.len(), 2);

    let count = |target: &str| get(&server, target).json()["jobs"].as_array().unwrap().len();
    assert_eq!(count(&format!("{}&limit=1", dead_of(HOSTILE))), 1);
    assert_eq!(count(&format!("{}&limit=nonsense", dead_of(HOSTILE))), 2);
    assert_eq!(count(&dead_of("no such queue")), 0);
    assert_eq!(count("/queues/dead?queue="), 0);
    assert_eq!(get(&server, "/queues/dead").status, 400);
    // The page itself says nothing that others have named.
    assert!(!get(&server, "/").body.contains("alert(1)"));
}

#[test]
fn without_a_source_there_are_no_queues_and_nothing_to_retry() {
    let _watchdog = watchdog();
    let executor = named("pq-none", 1).build().unwrap();
    let server = Page::new(&executor).address(ANY).allow_retry(true).serve().unwrap();
    assert_eq!(token_of(&server), "", "a token would be for nothing");
    assert_eq!(get(&server, "/queues").status, 404);
    assert_eq!(get(&server, &dead_of("mail")).status, 404);
    assert_eq!(post(&server, &retry_of("mail", "7")).status, 404);
    assert!(!has_queues(&get(&server, "/metrics")));
    assert_eq!(Events::open(&server).next().unwrap()["queues"], json!([]));
}

#[test]
fn the_metrics_have_the_queues_in_either_format_and_labels_are_escaped() {
    let _watchdog = watchdog();
    let executor = named("pq-metrics", 1).build().unwrap();
    let server = Page::new(&executor).address(ANY).queues(Jobs::new()).serve().unwrap();
    let accept = [("Accept", "application/openmetrics-text;version=1.0.0")];
    let name = "a \\\"quoted\\\" \\\\ name\\nof & two=lines?\r\0 \u{2028}%41+#</title>ä}";
    for (headers, is_open) in [(&[][..], false), (&accept[..], true)] {
        let body = request(server.address(), "GET /metrics", headers).body;
        assert_eq!(body.ends_with("# EOF\n"), is_open);
        for family in ["moirai_queue_jobs", "moirai_queue_oldest_waiting_seconds"] {
            assert_eq!(body.matches(&format!("\n# TYPE {family} gauge\n")).count(), 1);
        }
        for (state, jobs) in [
            ("waiting", 1_234),
            ("scheduled", 2),
            ("running", 3),
            ("retrying", 4),
            ("done", 5),
            ("dead", 2),
            ("cancelled", 6),
        ] {
            let line =
                format!("\nmoirai_queue_jobs{{queue=\"{name}\",state=\"{state}\"}} {jobs}\n");
            assert!(body.contains(&line), "no {line:?} in\n{body}");
        }
        let line = format!("\nmoirai_queue_oldest_waiting_seconds{{queue=\"{name}\"}} 1.5\n");
        assert!(body.contains(&line), "no {line:?} in\n{body}");
        assert!(
            body.contains(&format!(
                "\nmoirai_queue_oldest_waiting_seconds{{queue=\"{SCRIPT}\"}} 0\n"
            ))
        );
    }
}

#[test]
fn jobs_are_retried_by_the_page_alone() {
    let _watchdog = watchdog();
    let executor = named("pq-retry", 1).build().unwrap();
    let jobs = Jobs::new();
    let page = Page::new(&executor).address(ANY).queues(Arc::clone(&jobs) as _);
    let server = page.allow_retry(true).serve().unwrap();
    let (origin, token) = (origin_of(&server), token_of(&server));
    assert_eq!(token.len(), 32);
    let wrong = token.replace(|char: char| char.is_ascii_digit(), "x");
    let id = "01J 8&id=9";
    let line = format!("POST {}", retry_of(HOSTILE, id));
    for headers in [
        &[][..],
        &[("Origin", &*origin)],
        &[("X-Moirai-Token", &*token)],
        &[("Origin", &*origin), ("X-Moirai-Token", "")],
        &[("Origin", &*origin), ("X-Moirai-Token", &*wrong)],
        &[("Origin", &*origin), ("X-Moirai-Token", &token[1..])],
        &[("Origin", "http://evil.example"), ("X-Moirai-Token", &*token)],
        &[("Origin", "null"), ("X-Moirai-Token", &*token)],
        &[("Origin", &*origin), ("Sec-Fetch-Site", "same-site"), ("X-Moirai-Token", &*token)],
    ] {
        assert_eq!(request(server.address(), &line, headers).status, 403, "{headers:?}");
    }
    assert_eq!(request(server.address(), &line.replace("POST", "GET"), &[]).status, 404);
    for (target, status) in [
        ("/queues/retry?id=7", 400),
        ("/queues/retry?queue=mail", 400),
        ("/queues/retry/7", 404),
        ("/queues", 404),
    ] {
        assert_eq!(post(&server, target).status, status, "{target}");
    }
    assert!(jobs.retried().is_empty());

    let answer = post(&server, &retry_of(HOSTILE, id));
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": true })));
    assert_eq!(jobs.retried(), [id]);
    for (queue, id) in [(HOSTILE, id), (HOSTILE, "no such job"), ("no such queue", "01J <b>7</b>")]
    {
        let answer = post(&server, &retry_of(queue, id));
        assert_eq!((answer.status, answer.json()), (409, json!({ "accepted": false })));
    }
    let dead = get(&server, &dead_of(HOSTILE)).json();
    assert_eq!(dead["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_permit_is_for_one_thing() {
    let _watchdog = watchdog();
    let executor = named("pq-permits", 1).build().unwrap();
    let jobs = Jobs::new();
    for (cancel, retry) in [(false, false), (true, false), (false, true), (true, true)] {
        let task = executor.spawn_async(pending::<()>());
        let page = Page::new(&executor).address(ANY).queues(Arc::clone(&jobs) as _);
        let server = page.allow_cancel(cancel).allow_retry(retry).serve().unwrap();
        assert_eq!(token_of(&server).is_empty(), !cancel && !retry);
        let permits = ["cancel", "retry"].into_iter().zip([cancel, retry]);
        let permits: Vec<_> = permits.filter(|(_, may)| *may).map(|(name, _)| name).collect();
        let meta = format!("<meta name=\"moirai-permits\" content=\"{}\">", permits.join(" "));
        assert!(get(&server, "/").body.contains(&meta), "{meta}");

        let retried = post(&server, &retry_of(HOSTILE, "no such job")).status;
        assert_eq!(retried, if retry { 409 } else { 404 }, "{cancel} {retry}");
        let cancelled = post(&server, &format!("/task/{}/cancel", task.id())).status;
        assert_eq!(cancelled, if cancel { 202 } else { 404 }, "{cancel} {retry}");
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
    }
}

#[test]
fn a_source_that_panics_is_told_of_and_ends_nothing() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = named("pq-panic", 1).build().unwrap();
    let jobs = Jobs::new();
    let page = Page::new(&executor).address(ANY).queues(Arc::clone(&jobs) as _);
    let server = page.allow_retry(true).serve().unwrap();
    let mut events = Events::open(&server);
    assert_eq!(events.next().unwrap()["queues"].as_array().unwrap().len(), 2);

    let broken_at = Instant::now();
    jobs.set_broken(true);
    events.until("the queues are unknown", |event| event["queues"].is_null());
    assert_eq!(get(&server, "/queues").status, 500);
    assert_eq!(get(&server, &dead_of(HOSTILE)).status, 500);
    assert_eq!(post(&server, &retry_of(HOSTILE, "7")).status, 500);
    // Everything else is as it was.
    let metrics = get(&server, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("moirai_spawned_tasks_total"));
    assert!(!has_queues(&metrics));
    assert!(server.is_running());

    jobs.set_broken(false);
    assert_eq!(get(&server, "/queues").status, 200);
    // The events wait before they ask again, so that a source that always panics does not fill a log.
    let event = events.until("the queues are there again", |event| !event["queues"].is_null());
    assert_eq!(event["queues"].as_array().unwrap().len(), 2);
    assert!(broken_at.elapsed() >= Duration::from_secs(5));
}

/// Says nothing, and panics when it is dropped.
struct Bomb;

impl QueueSource for Bomb {
    fn queues(&self) -> Vec<QueueStats> {
        Vec::new()
    }

    fn dead_jobs(&self, _: &str, _: usize) -> Vec<DeadJob> {
        Vec::new()
    }

    fn retry(&self, _: &str, _: &str) -> bool {
        false
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", common::ON_PURPOSE)
    }
}

#[test]
fn the_source_is_let_go_with_the_server_and_with_the_executor() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = named("pq-drop", 1).build().unwrap();
    let bomb = Arc::new(Bomb);
    let weak = Arc::downgrade(&bomb);
    let is_gone = |weak: &Weak<Bomb>| weak.strong_count() == 0;
    let server = Page::new(&executor).address(ANY).queues(bomb).serve().unwrap();
    assert!(!is_gone(&weak));
    let address = server.address();
    drop(server);
    assert!(is_gone(&weak));
    let again = page::serve(&executor, address).unwrap();
    assert_eq!(get(&again, "/queues").status, 404);

    let bomb = Arc::new(Bomb);
    let weak = Arc::downgrade(&bomb);
    let server = Page::new(&executor).address(ANY).queues(bomb).serve().unwrap();
    executor.shutdown();
    wait_until("the source is gone", || is_gone(&weak));
    drop(server);
}
