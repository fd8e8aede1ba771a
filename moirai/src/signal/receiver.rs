//! The thread that receives signals, and what it tells.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;

use moirai_sync::Event;
use parking_lot::Mutex;
use signal_hook::iterator::{Handle, Signals};

use super::kind::SignalKind;

/// How many signals of one kind have come, and what waits for the next.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<State>);

#[derive(Default)]
struct State {
    count: u64,
    /// Set by the next arrival, and then replaced.
    next: Arc<Event>,
    callbacks: Vec<Arc<dyn OnSignal>>,
    /// Whether there has been a callback, by which the signal asks the process to end.
    had_callbacks: bool,
    /// The number of listeners that the program has, and so acts on the signal by itself.
    listeners: usize,
}

/// What is called when a signal comes, on the thread that receives signals. It must not panic.
pub(super) trait OnSignal: Send + Sync {
    /// Acts on the signal. If all that act on it have nothing left to do, the process is ended.
    fn act(self: Arc<Self>) -> Act;

    /// Returns whether it need not be called any more.
    fn is_over(&self) -> bool;
}

/// How a callback has acted on a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It has begun something that the process should live to end.
    Begun,
    /// It has nothing left to begin.
    Nothing,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Arrivals {
    /// Waits until more than `seen` signals have come, and returns how many have.
    pub(super) async fn after(&self, seen: u64) -> u64 {
        loop {
            let next = {
                let state = self.0.lock();
                if state.count > seen {
                    return state.count;
                }
                Arc::clone(&state.next)
            };
            next.wait().await;
        }
    }

    /// Counts a listener of the program's. It is told of signals that come from now on; returns how many have come.
    pub(super) fn add_listener(&self) -> u64 {
        let mut state = self.0.lock();
        state.listeners += 1;
        state.count
    }

    /// Discounts a listener.
    pub(super) fn remove_listener(&self) {
        self.0.lock().listeners -= 1;
    }

    /// Has each arrival call `callback`.
    pub(super) fn call_back(&self, callback: Arc<dyn OnSignal>) {
        let over = {
            let mut state = self.0.lock();
            state.had_callbacks = true;
            let over = take_over(&mut state);
            state.callbacks.push(callback);
            over
        };
        // Their destructors run with no lock held.
        drop(over);
    }

    fn arrived(&self, kind: SignalKind) {
        let (event, callbacks, over, unheard) = {
            let mut state = self.0.lock();
            state.count += 1;
            let over = take_over(&mut state);
            let unheard = state.had_callbacks && state.listeners == 0;
            (std::mem::take(&mut state.next), state.callbacks.clone(), over, unheard)
        };
        drop(over);
        // Wakers are called with no lock held.
        event.set();
        // All are called, whatever the first has done.
        let acts = callbacks.into_iter().map(OnSignal::act);
        let begun = acts.map(|act| act == Act::Begun).reduce(|a, b| a || b);
        // Without callbacks that are left, the signal would be lost if nobody listened.
        if !begun.unwrap_or(!unheard) {
            // The status that a shell gives to a process that the signal has killed.
            std::process::exit(128 + kind.number());
        }
    }
}

/// Takes out the callbacks that are over.
fn take_over(state: &mut State) -> Vec<Arc<dyn OnSignal>> {
    state.callbacks.extract_if(.., |callback| callback.is_over()).collect()
}

/// The thread that receives signals, and those that are listened for.
struct Receiver {
    handle: Handle,
    /// There are few kinds of signals, so those that were listened for once are kept.
    kinds: HashMap<i32, &'static Arrivals>,
}

/// More than the number of any signal; `signal-hook` panics at such numbers.
const MAX_NUMBER: i32 = 128;

static RECEIVER: Mutex<Option<Receiver>> = Mutex::new(None);

/// Has signals of this kind received, from now on.
pub(super) fn listen(kind: SignalKind) -> io::Result<&'static Arrivals> {
    let number = kind.number();
    let refused = if !(1..MAX_NUMBER).contains(&number) {
        "there is no such signal"
    } else if signal_hook::consts::FORBIDDEN.contains(&number) {
        "the system or the processor needs it"
    } else {
        ""
    };
    if !refused.is_empty() {
        let message = format!("{kind} cannot be listened for: {refused}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut receiver = RECEIVER.lock();
    let receiver = match &mut *receiver {
        Some(receiver) => receiver,
        none => none.insert(start()?),
    };
    if let Some(&arrivals) = receiver.kinds.get(&number) {
        return Ok(arrivals);
    }
    let arrivals: &'static Arrivals = Box::leak(Box::default());
    receiver.kinds.insert(number, arrivals);
    if let Err(error) = receiver.handle.add_signal(number) {
        receiver.kinds.remove(&number);
        return Err(error);
    }
    Ok(arrivals)
}

fn start() -> io::Result<Receiver> {
    let mut signals = Signals::new::<[i32; 0], i32>([])?;
    let handle = signals.handle();
    thread::Builder::new().name("moirai-signals".into()).spawn(move || {
        for number in signals.forever() {
            let arrivals = {
                let receiver = RECEIVER.lock();
                receiver.as_ref().and_then(|receiver| receiver.kinds.get(&number).copied())
            };
            arrivals
                .into_iter()
                .for_each(|arrivals| arrivals.arrived(SignalKind::from_number(number)));
        }
    })?;
    Ok(Receiver { handle, kinds: HashMap::new() })
}
