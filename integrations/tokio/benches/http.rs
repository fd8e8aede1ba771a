//! HTTP requests per CPU-second: servers on Moirai beside the same server on tokio's own runtime.
//!
//! `cargo bench -p moirai-tokio --bench http`
//!
//! Each server is a process of its own, which measures the CPU time that it needs for a fixed number of requests. The requests come from
//! this process. The servers take turns.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use moirai::Moirai;
use moirai_tokio::OnMoirai;
use tokio::net::TcpListener;

const USAGE: &str = "usage: http [--rounds N] [--workers N] [--connections N] [--requests N] [--test]
Prints how many HTTP requests each kind of server answers per second of CPU time and per second, and the ratio to tokio.
--rounds N        rounds that count, in each of which every server is measured (default: 7)
--workers N       threads of each server (default: 2)
--connections N   connections, each of which has one request under way (default: 64)
--requests N      requests for each server in each round (default: 40000)
--test            one short round";

/// The servers. The first is what the others are compared with.
const SERVERS: [(&str, &str); 5] = [
    ("tokio", "axum::serve on tokio's multi-thread runtime"),
    ("moirai", "axum::serve in a task of Moirai; the connections are tasks of tokio's"),
    ("requests", "the same with the layer OnMoirai: each request is a task of Moirai"),
    ("connections", "each connection is a task of Moirai"),
    ("both", "each connection and each request is a task of Moirai"),
];

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Clone, Copy, Debug)]
struct Arguments {
    rounds: usize,
    workers: usize,
    connections: usize,
    requests: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [serve, server, workers] = &*arguments
        && serve == "serve"
    {
        return finish(
            workers
                .parse()
                .map_err(Into::into)
                .and_then(|workers| serve_until_told(server, workers)),
        );
    }
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match parse(arguments.into_iter()) {
        Ok(arguments) => finish(compare(arguments)),
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn finish(result: Fallible<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments { rounds: 7, workers: 2, connections: 64, requests: 40_000 };
    while let Some(argument) = arguments.next() {
        let field = match &*argument {
            "--rounds" => &mut parsed.rounds,
            "--workers" => &mut parsed.workers,
            "--connections" => &mut parsed.connections,
            "--requests" => &mut parsed.requests,
            "--test" => {
                parsed = Arguments { rounds: 1, requests: 2_000, ..parsed };
                continue;
            }
            // cargo passes this to benches.
            "--bench" => continue,
            _ => return Err(format!("unknown argument {argument:?}")),
        };
        let text = arguments.next().ok_or(format!("{argument} needs a value"))?;
        let number = text.parse().ok().filter(|&number| number > 0);
        *field = number.ok_or(format!("{argument}: {text:?} is not a number above zero"))?;
    }
    Ok(parsed)
}

fn app() -> Router {
    // A little work for each request.
    let hello =
        || async { format!("hello {}", (0..200_u64).fold(1, |a: u64, b| a.wrapping_mul(31) ^ b)) };
    Router::new().route("/", get(hello))
}

/// Serves until standard input ends. Prints the address, and at each line of input the CPU time of the process in nanoseconds.
fn serve_until_told(server: &str, workers: usize) -> Fallible<()> {
    let answer = || {
        for line in std::io::stdin().lines() {
            line?;
            println!("{}", cpu_time()?.as_nanos());
        }
        Fallible::Ok(())
    };
    if server == "tokio" {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()?;
        runtime.spawn(serve(app()));
        answer()?;
        runtime.shutdown_background();
        return Ok(());
    }
    let moirai =
        Moirai::builder().worker_threads(workers).plugin(moirai_tokio::driver()?).build()?;
    match server {
        "moirai" => drop(moirai.spawn_async(serve(app()))),
        "requests" => drop(moirai.spawn_async(serve(app().layer(OnMoirai::new(&moirai))))),
        "connections" => drop(moirai.spawn_async(serve_in_tasks(app()))),
        "both" => {
            drop(moirai.spawn_async(serve_in_tasks(app().layer(OnMoirai::new(&moirai)))));
        }
        _ => return Err(format!("no server is called {server:?}").into()),
    }
    answer()
}

async fn bind() -> Fallible<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

async fn serve(app: Router) -> Fallible<()> {
    let listener = bind().await?.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}

async fn serve_in_tasks(app: Router) -> Fallible<()> {
    let listener = bind().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(app.clone());
        moirai::spawn_detached(async move {
            let server = hyper::server::conn::http1::Builder::new();
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// Returns the CPU time of this process.
fn cpu_time() -> Fallible<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
}

/// A server in a process of its own.
struct Server {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(server: &str, workers: usize) -> Fallible<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["serve", server, &workers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("{server} did not start"))?;
        Ok(Self { child, output, address })
    }

    fn cpu_time(&mut self) -> Fallible<Duration> {
        writeln!(self.child.stdin.as_mut().ok_or("no input")?)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(Duration::from_nanos(line.trim().parse()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Sends a request on each connection, and waits for the responses, until there were `requests`.
fn load(address: SocketAddr, connections: usize, requests: usize) -> Fallible<()> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        streams.push(stream);
    }
    let mut buffer = [0; 4096];
    let mut left = requests;
    while left > 0 {
        let batch = streams.len().min(left);
        for stream in &mut streams[..batch] {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        }
        for stream in &mut streams[..batch] {
            // A response is short enough for one segment.
            let read = stream.read(&mut buffer)?;
            if !buffer[..read].starts_with(b"HTTP/1.1 200") {
                return Err("the response is not what was expected".into());
            }
        }
        left -= batch;
    }
    Ok(())
}

/// What one server did in one round: requests per second of CPU time, and per second.
#[derive(Clone, Copy, Debug)]
struct Rates {
    cpu: f64,
    wall: f64,
}

fn measure(server: &mut Server, arguments: Arguments) -> Fallible<Rates> {
    let Arguments { connections, requests, .. } = arguments;
    // Two threads, so that a server with two workers has something to do for both.
    const CLIENTS: usize = 2;
    let address = server.address;
    let before = server.cpu_time()?;
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            thread::spawn(move || {
                load(address, connections.div_ceil(CLIENTS), requests.div_ceil(CLIENTS))
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    let wall = start.elapsed();
    let cpu = server.cpu_time()?.saturating_sub(before);
    let requests = requests as f64;
    Ok(Rates { cpu: requests / cpu.as_secs_f64(), wall: requests / wall.as_secs_f64() })
}

fn compare(arguments: Arguments) -> Fallible<()> {
    let mut servers = Vec::new();
    for (name, _) in SERVERS {
        servers.push(Server::start(name, arguments.workers)?);
    }
    let mut rates: Vec<Vec<Rates>> = vec![Vec::new(); servers.len()];
    // The first round is for warming up.
    for round in 0..=arguments.rounds {
        for at in 0..servers.len() {
            let at = (at + round) % servers.len();
            let measured = measure(&mut servers[at], arguments)?;
            if round > 0 || arguments.rounds == 1 {
                rates[at].push(measured);
            }
        }
        eprintln!("[{round}/{}]", arguments.rounds);
    }
    println!(
        "| server | requests per CPU-second | ÷ tokio | requests per second | ÷ tokio | |\n| --- | ---: | ---: | ---: | ---: | --- |"
    );
    for (at, (name, about)) in SERVERS.into_iter().enumerate() {
        let median_of =
            |rate: &dyn Fn(usize) -> f64| median((0..rates[at].len()).map(rate).collect());
        let cpu = median_of(&|round| rates[at][round].cpu);
        let wall = median_of(&|round| rates[at][round].wall);
        let cpu_ratio = median_of(&|round| rates[at][round].cpu / rates[0][round].cpu);
        let wall_ratio = median_of(&|round| rates[at][round].wall / rates[0][round].wall);
        println!("| {name} | {cpu:.0} | {cpu_ratio:.2} | {wall:.0} | {wall_ratio:.2} | {about} |");
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
