//! Observable instruments for what an executor exports.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moirai::metrics::Observable;
use moirai::metrics::prometheus::{self, Family, FamilyKind, Number, Value};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// One reading serves all instruments of one collection.
const FRESH: Duration = Duration::from_millis(100);

/// The numbers of one executor, which are read anew when they are not fresh any more.
struct Readings {
    executor: Arc<dyn moirai::metrics::Observer>,
    last: Mutex<Option<(Instant, Arc<[Family]>)>>,
}

impl Readings {
    /// Returns the families. There is none once the executor is gone.
    fn families(&self) -> Arc<[Family]> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, families)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(families);
        }
        let read = self.executor.metrics().zip(self.executor.runtime_stats());
        let families = read.map(|(metrics, stats)| prometheus::families(&metrics, &stats));
        let families: Arc<[Family]> = families.unwrap_or_default().into();
        *last = Some((Instant::now(), Arc::clone(&families)));
        families
    }

    /// Calls `f` with each number of a family.
    fn each(&self, family: &str, mut f: impl FnMut(&Number, &[KeyValue])) {
        let families = self.families();
        let found = families.iter().find(|found| found.name == family);
        for number in found.into_iter().flat_map(|family| &family.numbers) {
            let labels =
                number.labels.iter().map(|(key, value)| KeyValue::new(*key, value.clone()));
            f(number, &labels.collect::<Vec<_>>());
        }
    }
}

/// Registers an instrument for each family. They do not keep the executor running.
pub(crate) fn register(meter: &Meter, executor: &impl Observable) {
    let readings = Arc::new(Readings { executor: executor.observer(), last: Mutex::new(None) });
    for family in &*readings.families() {
        // There are no observable histograms, so of those the number and the sum are exported.
        match family.kind {
            FamilyKind::Histogram => {
                counter(meter, family, "count", &readings);
                counter(meter, family, "sum", &readings);
            }
            FamilyKind::Counter => counter(meter, family, "", &readings),
            _ => gauge(meter, family, &readings),
        }
    }
    // What was read to learn the names must not be exported as if it were new.
    *readings.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Returns the name as OpenTelemetry wants it: `moirai.active_tasks`.
fn name(family: &Family, part: &str) -> String {
    let name = family.name_without_suffix().replacen('_', ".", 1);
    if part.is_empty() { name } else { format!("{name}.{part}") }
}

fn counter(meter: &Meter, family: &Family, part: &'static str, readings: &Arc<Readings>) {
    let (readings, of) = (Arc::clone(readings), family.name);
    let instrument = meter.f64_observable_counter(name(family, part)).with_description(family.help);
    let instrument = instrument.with_callback(move |observer| {
        readings.each(of, |number, labels| observer.observe(value(number, part), labels));
    });
    let _ = instrument.build();
}

fn gauge(meter: &Meter, family: &Family, readings: &Arc<Readings>) {
    let (readings, of) = (Arc::clone(readings), family.name);
    let instrument = meter.f64_observable_gauge(name(family, "")).with_description(family.help);
    let instrument = instrument.with_callback(move |observer| {
        readings.each(of, |number, labels| observer.observe(value(number, ""), labels));
    });
    let _ = instrument.build();
}

fn value(number: &Number, part: &str) -> f64 {
    match &number.value {
        Value::Count(count) => *count as f64,
        Value::Amount(amount) => *amount,
        Value::Histogram { sum, .. } if part == "sum" => *sum,
        Value::Histogram { count, .. } => *count as f64,
        _ => 0.0,
    }
}
