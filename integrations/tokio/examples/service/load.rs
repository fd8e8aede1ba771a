//! Clients that start jobs and ask how far they have come, until the service is not ready any more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use moirai::prelude::*;
use moirai_tokio::{MoiraiExecutor, MoiraiTimer};

use super::Fallible;

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// What a client has seen.
#[derive(Default)]
struct Seen {
    /// How long each request took, by route.
    latencies: BTreeMap<&'static str, Vec<Duration>>,
    /// The requests that came while the service was draining.
    during_drain: usize,
    /// Jobs that were not accepted, at the limit on their rate.
    limited: usize,
    failures: Vec<String>,
}

/// Clients that are asking.
pub(crate) struct Load {
    clients: Vec<TaskHandle<Seen>>,
    started: Instant,
}

/// Starts clients, each in a task of Moirai.
pub(crate) fn start(moirai: &Moirai, address: SocketAddr, clients: usize) -> Load {
    let http: HttpClient =
        Client::builder(MoiraiExecutor::new(moirai)).pool_timer(MoiraiTimer).build_http();
    let clients = (0..clients).map(|client| {
        let http = http.clone();
        moirai.task().name("client").spawn_async(ask(http, address, client))
    });
    Load { clients: clients.collect(), started: Instant::now() }
}

async fn ask(http: HttpClient, address: SocketAddr, client: usize) -> Seen {
    let mut seen = Seen::default();
    let mut job = None;
    let token = moirai::shutdown_token();
    for round in 0_usize.. {
        let new_job = format!("/jobs/customer-{}/{}", client % 8, 1 + round % 5);
        let (route, method, path) = match (round % 4, &job) {
            (0, _) => ("POST /jobs", Method::POST, new_job),
            (3, _) => ("GET /ready", Method::GET, "/ready".to_owned()),
            (2, Some(_)) => {
                ("GET /customers", Method::GET, format!("/customers/customer-{}", client % 8))
            }
            (_, Some(id)) => ("GET /jobs/{id}", Method::GET, format!("/jobs/{id}")),
            _ => ("GET /metrics", Method::GET, "/metrics".to_owned()),
        };
        let start = Instant::now();
        let draining = token.is_cancelled();
        let answer = send(&http, method, address, &path).await;
        seen.latencies.entry(route).or_default().push(start.elapsed());
        seen.during_drain += usize::from(draining);
        match answer {
            Ok((StatusCode::ACCEPTED, body)) => {
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                job = body["id"].as_str().map(str::to_owned);
            }
            Ok((StatusCode::TOO_MANY_REQUESTS, _)) if route == "POST /jobs" => seen.limited += 1,
            // It says so before it ends.
            Ok((StatusCode::SERVICE_UNAVAILABLE, _)) if route == "GET /ready" => break,
            Ok((StatusCode::OK, _)) => {}
            Ok((status, body)) => {
                let body = String::from_utf8_lossy(&body);
                seen.failures.push(format!("{route} {path}: {status} {body}"));
            }
            Err(error) => {
                seen.failures.push(format!("{route}: {error}"));
                break;
            }
        }
    }
    seen
}

async fn send(
    http: &HttpClient,
    method: Method,
    address: SocketAddr,
    path: &str,
) -> Fallible<(StatusCode, Bytes)> {
    let uri = format!("http://{address}{path}");
    let request = Request::builder().method(method).uri(uri).body(Empty::new())?;
    let response = http.request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

/// Waits for the clients, and prints what they have seen.
pub(crate) fn report(load: Load) -> Fallible<()> {
    let mut all = Seen::default();
    for client in load.clients {
        let seen = client.join()?;
        for (route, latencies) in seen.latencies {
            all.latencies.entry(route).or_default().extend(latencies);
        }
        all.during_drain += seen.during_drain;
        all.limited += seen.limited;
        all.failures.extend(seen.failures);
    }
    let seconds = load.started.elapsed().as_secs_f64();
    println!("{:16} {:>10} {:>10} {:>10}", "route", "requests/s", "p50", "p99");
    for (route, mut latencies) in all.latencies {
        latencies.sort();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        let rate = latencies.len() as f64 / seconds;
        println!("{route:16} {rate:>10.0} {:>10.1?} {:>10.1?}", at(50), at(99));
    }
    println!("\n{} jobs were refused at the limit on their rate", all.limited);
    println!("{} requests came while the service drained", all.during_drain);
    println!("{} requests failed", all.failures.len());
    match all.failures.first() {
        None => Ok(()),
        Some(first) => Err(format!("a request failed: {first}").into()),
    }
}
