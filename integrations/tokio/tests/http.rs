//! Tests of HTTP: unmodified `axum::serve` and hyper's client, in tasks of Moirai.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use moirai::prelude::*;
use moirai_tokio::{MoiraiExecutor, MoiraiTimer, OnMoirai};

const LONG: Duration = Duration::from_secs(60);

fn executor(name: &str) -> Moirai {
    let driver = moirai_tokio::driver().unwrap();
    let builder = Moirai::builder().worker_threads(2).thread_name_prefix(name);
    builder.plugin(driver).build().unwrap()
}

/// Has `axum::serve` serve `app`.
fn serve(moirai: &Moirai, app: Router) -> SocketAddr {
    let (bound, address) = mpsc::channel();
    drop(moirai.task().name("serve").spawn_async(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        bound.send(listener.local_addr().unwrap()).unwrap();
        axum::serve(listener, app).await.unwrap();
    }));
    address.recv_timeout(LONG).unwrap()
}

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

fn client(moirai: &Moirai) -> HttpClient {
    Client::builder(MoiraiExecutor::new(moirai)).timer(MoiraiTimer).build_http()
}

async fn fetch(client: &HttpClient, address: SocketAddr, path: &str) -> (StatusCode, String) {
    let response = client.get(format!("http://{address}{path}").parse().unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn an_application_is_served_and_its_requests_are_on_record() {
    let moirai = executor("hp-app");
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/wait",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                moirai::time::sleep(Duration::from_millis(1)).await;
                "waited"
            }),
        )
        .route(
            "/compute",
            get(|| async {
                let here = Moirai::current().expect("a handler runs inside of Moirai");
                let (a, b) = here.join(|| 40, || 2);
                (a + b).to_string()
            }),
        )
        .layer(OnMoirai::new(&moirai));
    let address = serve(&moirai, app);
    let client = client(&moirai);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            moirai.task().name("client").spawn_async(async move {
                for _ in 0..20 {
                    for (path, text) in [("/", "hello"), ("/wait", "waited"), ("/compute", "42")] {
                        assert_eq!(
                            fetch(&client, address, path).await,
                            (StatusCode::OK, text.into())
                        );
                    }
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let named = |name: &str| {
        let tasks = moirai.tasks();
        tasks.iter().filter(|task| task.name.as_deref() == Some(name)).count()
    };
    for name in ["GET /", "GET /wait", "GET /compute"] {
        assert_eq!(named(name), 400, "{name}");
    }
    assert!(named("hyper") > 0, "the client's connections");
}

#[test]
fn a_handler_that_panics_is_answered_and_recorded_and_the_rest_goes_on() {
    let moirai = executor("hp-panic");
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("on purpose");
                }
            }),
        )
        .layer(OnMoirai::new(&moirai));
    let address = serve(&moirai, app);
    let client = client(&moirai);
    let task = moirai.spawn_async(async move {
        let panicked = fetch(&client, address, "/panic").await.0;
        (panicked, fetch(&client, address, "/").await.0)
    });
    assert_eq!(task.join().unwrap(), (StatusCode::INTERNAL_SERVER_ERROR, StatusCode::OK));
    let tasks = moirai.tasks();
    let failed = tasks.iter().find(|task| task.name.as_deref() == Some("GET /panic")).unwrap();
    assert_eq!(failed.status, TaskStatus::Failed);
    assert!(failed.error.as_deref().unwrap().contains("on purpose"));
}

#[test]
fn a_request_whose_client_goes_away_is_cancelled() {
    let moirai = executor("hp-gone");
    let (entered, inside) = mpsc::channel();
    let app = Router::new()
        .route(
            "/hang",
            get(move || {
                let entered = entered.clone();
                async move {
                    entered.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
            }),
        )
        .layer(OnMoirai::new(&moirai));
    let address = serve(&moirai, app);
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    inside.recv_timeout(LONG).unwrap();
    drop(stream);
    let deadline = Instant::now() + LONG;
    loop {
        let tasks = moirai.tasks();
        let request = tasks.iter().find(|task| task.name.as_deref() == Some("GET /hang")).unwrap();
        if request.status == TaskStatus::Cancelled {
            break;
        }
        assert!(Instant::now() < deadline, "{request:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn connections_can_be_tasks_of_moirai_too() {
    let moirai = executor("hp-conn");
    let (bound, address) = mpsc::channel();
    drop(moirai.spawn_async(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        bound.send(listener.local_addr().unwrap()).unwrap();
        let app = Router::new().route(
            "/",
            get(|| async {
                Moirai::worker_index().map_or("none".to_owned(), |_| "worker".to_owned())
            }),
        );
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(app.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(MoiraiTimer)
                .serve_connection(TokioIo::new(stream), service);
            drop(Moirai::current().unwrap().task().name("connection").spawn_async(connection));
        }
    }));
    let address = address.recv_timeout(LONG).unwrap();
    let client = client(&moirai);
    let fetched = moirai.spawn_async(async move { fetch(&client, address, "/").await });
    assert_eq!(fetched.join().unwrap(), (StatusCode::OK, "worker".to_owned()));
}
