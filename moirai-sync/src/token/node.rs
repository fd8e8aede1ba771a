//! The tree behind the tokens.
//!
//! # Protocol
//!
//! A node has an event, which is set when the node is cancelled, and links behind a lock: its children and its callbacks.
//!
//! 1. The event is set under the lock of the links, in the critical section that takes all links. So under that lock a node is
//!    either not cancelled, and everything that is linked then will be taken; or it is cancelled, and nothing is linked any more: a
//!    child is cancelled from the start, a callback runs at once, and keys from before name nothing.
//! 2. Links downwards are weak, and those upwards are strong. A node lives as long as a token, a future, a registration or a child
//!    of it does, and its drop removes it from its parent.
//! 3. No lock is held while that of another node is taken, nor while user code runs: wakers, callbacks and their destructors.
//!    References to nodes are dropped with no lock held, because dropping one may lead to rule 2.
//! 4. All nodes below the cancelled one are marked before the first waker is woken. A thread that cancels, and meets a node which
//!    is marked already, leaves everything below it to the thread that marked it.
//! 5. Neither walk, down to cancel or up to drop, is recursive.

use crate::event::Event;
use crate::shrink;
use crate::waiters::Wakers;
use moirai_core::panics::contain;
use moirai_core::shim::sync::Mutex;
use slab::Slab;
use std::sync::{Arc, Weak};

pub(super) type Hook = Box<dyn FnOnce() + Send>;

pub(super) struct Node {
    pub(super) cancelled: Event,
    links: Mutex<Links>,
    /// `None` for a root, for the child of a node that was already cancelled, and while the node is being dropped.
    parent: Option<Parent>,
}

#[derive(Default)]
struct Links {
    children: Slab<Weak<Node>>,
    hooks: Slab<Hook>,
}

struct Parent {
    node: Arc<Node>,
    /// The key of the child in the parent's links. It is valid until the parent is cancelled.
    key: usize,
}

impl Node {
    pub(super) fn root() -> Self {
        Self::below(None)
    }

    fn below(parent: Option<Parent>) -> Self {
        Self { cancelled: Event::new(), links: Mutex::new(Links::default()), parent }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.is_set()
    }

    /// Creates a child, which is linked, or, if the parent is cancelled, is cancelled from the start (rule 1).
    pub(super) fn child(parent: &Arc<Self>) -> Arc<Self> {
        let mut links = parent.links.lock();
        if parent.is_cancelled() {
            drop(links);
            let child = Self::root();
            child.cancelled.set();
            return Arc::new(child);
        }
        let place = links.children.vacant_entry();
        let child =
            Arc::new(Self::below(Some(Parent { node: Arc::clone(parent), key: place.key() })));
        place.insert(Arc::downgrade(&child));
        child
    }

    /// Links a callback, and returns its key. If the node is cancelled, runs the callback at once and returns `None` (rule 1).
    pub(super) fn on_cancel(&self, hook: Hook) -> Option<usize> {
        let mut links = self.links.lock();
        if self.is_cancelled() {
            drop(links);
            contain(hook);
            return None;
        }
        Some(links.hooks.insert(hook))
    }

    /// Unlinks a callback, and returns it for the caller to drop, unless the node has been cancelled since.
    pub(super) fn forget_hook(&self, key: usize) -> Option<Hook> {
        let mut links = self.links.lock();
        // The slab of a cancelled node stays empty, so the key cannot name another callback (rule 1).
        shrink::remove(&mut links.hooks, key)
    }

    fn forget_child(&self, key: usize) {
        let mut links = self.links.lock();
        // What is removed is a weak reference to a node that is being dropped, and dropping it runs no user code.
        shrink::remove(&mut links.children, key);
    }

    /// Cancels the node and all below it, then wakes the waiters, and then runs the callbacks (rules 4 and 5).
    pub(super) fn cancel(this: &Arc<Self>) {
        if this.is_cancelled() {
            return;
        }
        let (mut wakers, mut hooks) = (Vec::new(), Vec::new());
        let mut below = vec![Arc::clone(this)];
        while let Some(node) = below.pop() {
            let (waiting, links) = node.mark();
            if !waiting.is_empty() {
                wakers.push(waiting);
            }
            if !links.hooks.is_empty() {
                hooks.push(links.hooks);
            }
            // A child that cannot be upgraded is being dropped, so nothing waits for it.
            below.extend(links.children.iter().filter_map(|(_, child)| child.upgrade()));
        }
        wakers.into_iter().for_each(Wakers::wake);
        for (_, hook) in hooks.into_iter().flatten() {
            contain(hook);
        }
    }

    /// Sets the event, and takes the wakers and the links (rule 1). They go to the caller that cancels the node first; later
    /// callers get nothing.
    fn mark(&self) -> (Wakers, Links) {
        let mut links = self.links.lock();
        let wakers = self.cancelled.mark();
        (wakers, std::mem::take(&mut *links))
    }

    #[cfg(all(test, not(moirai_loom)))]
    pub(super) fn linked(&self) -> (usize, usize) {
        let links = self.links.lock();
        (links.children.len(), links.hooks.len())
    }
}

impl Drop for Node {
    /// Unlinks the node from its parent. If this was the last reference to the parent, does the same for the parent, which its own
    /// drop would do otherwise (rules 2 and 5).
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(Parent { node, key }) = next {
            node.forget_child(key);
            next = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}
