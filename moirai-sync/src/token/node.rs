//! The tree behind the tokens.
//!
//! # Protocol
//!
//! A node has an event, which is its being cancelled, and behind a lock its links: its children and its callbacks.
//!
//! 1. The event is set under the lock of the links, in the section that takes all links. So under that lock a node is
//!    either not cancelled, and what is linked then will be taken; or cancelled, and then nothing is linked any more: a
//!    child is born cancelled, a callback runs at once, and keys from before name nothing.
//! 2. Links point down weakly and up strongly. A node lives as long as a token, a future, a registration or a child of it
//!    does, and its drop takes it out of its parent.
//! 3. No lock is held while another node's is taken, nor while foreign code runs: wakers, callbacks, their destructors.
//!    References to nodes are dropped with no lock held, since that may end in rule 2.
//! 4. All nodes below are marked before the first waker is woken. A canceller that meets a node which is marked leaves what
//!    is below it to the one that marked it.
//! 5. Neither walk, down to cancel or up to drop, is recursive.

use crate::event::Event;
use crate::sparse;
use crate::waiters::Wakers;
use moirai_core::panics::contain;
use moirai_core::shim::sync::Mutex;
use slab::Slab;
use std::sync::{Arc, Weak};

pub(super) type Hook = Box<dyn FnOnce() + Send>;

pub(super) struct Node {
    pub(super) cancelled: Event,
    links: Mutex<Links>,
    /// `None` for a root, for the child of a node that was cancelled, and while the node is dropped.
    parent: Option<Parent>,
}

#[derive(Default)]
struct Links {
    children: Slab<Weak<Node>>,
    hooks: Slab<Hook>,
}

struct Parent {
    node: Arc<Node>,
    /// The child's place in the parent's links, until the parent is cancelled.
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

    /// Rule 1: a child, linked or born cancelled.
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

    /// Rule 1: the key of the callback, or none if it ran at once.
    pub(super) fn on_cancel(&self, hook: Hook) -> Option<usize> {
        let mut links = self.links.lock();
        if self.is_cancelled() {
            drop(links);
            contain(hook);
            return None;
        }
        Some(links.hooks.insert(hook))
    }

    /// The callback, for the caller to drop, unless the node was cancelled since.
    pub(super) fn forget_hook(&self, key: usize) -> Option<Hook> {
        let mut links = self.links.lock();
        // Rule 1: the slab of a cancelled node stays empty, so the key cannot meet a stranger.
        sparse::remove(&mut links.hooks, key)
    }

    fn forget_child(&self, key: usize) {
        let mut links = self.links.lock();
        // A weak reference to a node that is being dropped: its own drop runs nothing.
        sparse::remove(&mut links.children, key);
    }

    /// Rules 4 and 5.
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
            // A child that cannot be upgraded is being dropped: nobody is left to tell.
            below.extend(links.children.iter().filter_map(|(_, child)| child.upgrade()));
        }
        wakers.into_iter().for_each(Wakers::wake);
        for (_, hook) in hooks.into_iter().flatten() {
            contain(hook);
        }
    }

    /// Rule 1: who waited and what was linked, to whoever cancels the node first; nothing to those who come later.
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
    /// Rules 2 and 5: leaves the parent, and if this was the last reference to it, does for it what its drop would.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(Parent { node, key }) = next {
            node.forget_child(key);
            next = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}
