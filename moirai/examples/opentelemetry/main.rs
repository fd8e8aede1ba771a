//! An executor whose numbers go to OpenTelemetry: each family of the page for Prometheus becomes an observable instrument, which is read
//! when the SDK collects. Here they are printed; with an exporter for OTLP instead, they go to a collector.
//!
//! ```console
//! cargo run --release --example opentelemetry
//! ```

mod instruments;

use std::time::Duration;

use moirai::prelude::*;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_stdout::MetricExporter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let executor = Moirai::builder().worker_threads(2).build()?;
    let provider =
        SdkMeterProvider::builder().with_periodic_exporter(MetricExporter::default()).build();
    instruments::register(&provider.meter("moirai"), &executor);

    let _waiting = executor.spawn_async(std::future::pending::<()>());
    for _ in 0..10 {
        executor.spawn_async(moirai::time::sleep(Duration::from_millis(1))).join()?;
        executor.spawn_blocking(|| ()).join()?;
    }
    // It would collect every minute.
    provider.force_flush()?;
    provider.shutdown()?;
    Ok(())
}
