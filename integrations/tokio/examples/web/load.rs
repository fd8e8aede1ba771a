//! Clients that ask for all routes in turn.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use moirai::prelude::*;
use moirai_tokio::{MoiraiExecutor, MoiraiTimer};

use crate::app::USERS;

/// What is asked for: the name of the route, and what the status must be.
const ROUTES: [(&str, StatusCode); 4] = [
    ("/wait", StatusCode::OK),
    ("/users/{id}", StatusCode::OK),
    ("/primes/{limit}", StatusCode::OK),
    ("/panic", StatusCode::INTERNAL_SERVER_ERROR),
];

/// How long each request took, by route.
pub(crate) type Latencies = BTreeMap<&'static str, Vec<Duration>>;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Has clients ask for some time, each in a task of Moirai.
pub(crate) fn run(
    moirai: &Moirai,
    address: SocketAddr,
    clients: usize,
    time: Duration,
) -> Fallible<Latencies> {
    let http: Client<_, Empty<Bytes>> =
        Client::builder(MoiraiExecutor::new(moirai)).pool_timer(MoiraiTimer).build_http();
    let end = Instant::now() + time;
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let http = http.clone();
            moirai.task().name("client").spawn_async(async move {
                let mut latencies = Latencies::new();
                for round in client.. {
                    let (route, expected) = ROUTES[round % ROUTES.len()];
                    if Instant::now() >= end {
                        break;
                    }
                    let path = route
                        .replace("{id}", &(round as u32 % USERS).to_string())
                        .replace("{limit}", "20000");
                    let start = Instant::now();
                    let response = http.get(format!("http://{address}{path}").parse()?).await?;
                    let status = response.status();
                    response.into_body().collect().await?;
                    latencies.entry(route).or_default().push(start.elapsed());
                    if status != expected {
                        return Err(format!("{path}: the status is {status}").into());
                    }
                }
                Fallible::Ok(latencies)
            })
        })
        .collect();
    let mut all = Latencies::new();
    for task in tasks {
        for (route, latencies) in task.join()?? {
            all.entry(route).or_default().extend(latencies);
        }
    }
    Ok(all)
}
