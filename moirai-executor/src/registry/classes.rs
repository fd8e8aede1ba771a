//! The classes of records: the default class, and the retention classes, each with limits of its own (rules 11 and 12).

use std::ops::Range;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::{CleanupConfig, RecordClass, Retention, RetentionClass, TaskStatus};

/// The class of a record: the default class, or a retention class of one registry, by [`Registry::class`](super::Registry::class).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassId(pub(super) u8);

impl ClassId {
    /// The default class, to which tasks belong that ask for no other.
    pub const DEFAULT: Self = Self(0);

    /// Returns whether it is the default class.
    #[inline]
    #[must_use]
    pub const fn is_default(self) -> bool {
        self.0 == Self::DEFAULT.0
    }
}

/// One class.
#[derive(Debug)]
pub(super) struct Class {
    /// The name by which tasks ask for it. The default class and that of the failures have none.
    name: Box<str>,
    pub(super) limits: Retention,
    /// The indices of the logs that have its completions.
    pub(super) logs: Range<usize>,
    /// The time of the last end among the tasks that completed under this lock, because the limit is exact (rules 9 and 12). It is
    /// taken before the locks of the logs.
    pub(super) last_end: Mutex<u64>,
}

/// All classes of one registry.
#[derive(Debug)]
pub(super) struct Classes {
    /// At the index of their ids. Each on cache lines of its own: tasks of different classes end at the same time.
    all: Box<[CachePadded<Class>]>,
    /// The class of those that ask for none and fail: the default class, if the failures have none.
    failures: ClassId,
}

impl Classes {
    /// Creates the classes of a registry with `writer_count` writers.
    ///
    /// # Panics
    ///
    /// If there are more than [`RetentionClass::MAX_CLASSES`].
    pub(super) fn new(
        config: &CleanupConfig,
        retention: &[RetentionClass],
        failures: Option<Retention>,
        writer_count: usize,
    ) -> Self {
        assert!(retention.len() <= RetentionClass::MAX_CLASSES, "there are too many classes");
        let default = Retention {
            max_records: config.max_retained_tasks,
            max_age: config.task_retention_duration,
        };
        let mut all = vec![CachePadded::new(Class::new("", default, 0..writer_count))];
        let named = retention.iter().map(|class| (&*class.name, class.limits));
        for (name, limits) in named.chain(failures.map(|limits| ("", limits))) {
            let log = writer_count + all.len() - 1;
            all.push(CachePadded::new(Class::new(name, limits, log..log + 1)));
        }
        // With that of the failures there is one more than tasks can ask for.
        let last = u8::try_from(all.len() - 1).expect("there are few classes");
        let failures = if failures.is_some() { ClassId(last) } else { ClassId::DEFAULT };
        Self { all: all.into_boxed_slice(), failures }
    }

    /// Returns the class with this name, which no other has.
    pub(super) fn named(&self, name: &str) -> Option<ClassId> {
        let index = self.all.iter().position(|class| *class.name == *name);
        // The default class, and that of the failures, have an empty name.
        let index = index.filter(|_| !name.is_empty())?;
        u8::try_from(index).ok().map(ClassId)
    }

    /// Returns the class of a task that has asked for `asked` and has ended with this status (rule 11).
    #[inline]
    pub(super) fn of(&self, asked: ClassId, status: TaskStatus) -> ClassId {
        if asked.is_default() && status == TaskStatus::Failed { self.failures } else { asked }
    }

    /// Returns whether there is a class with this id.
    pub(super) fn contains(&self, id: ClassId) -> bool {
        usize::from(id.0) < self.all.len()
    }

    /// Returns the class with this id.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(super) fn get(&self, id: ClassId) -> &Class {
        &self.all[usize::from(id.0)]
    }

    /// Returns all classes, the default class first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Class> {
        self.all.iter().map(|class| &**class)
    }

    /// Returns all classes, the default class first, with what users call them.
    pub(super) fn described(&self) -> impl Iterator<Item = (RecordClass, &Class)> {
        self.iter().enumerate().map(|(index, class)| {
            let described = match index {
                0 => RecordClass::Default,
                _ if index == usize::from(self.failures.0) => RecordClass::Failures,
                _ => RecordClass::Named(class.name.to_string()),
            };
            (described, class)
        })
    }

    /// Returns the bytes held on the heap.
    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.iter().map(|class| class.name.len()).sum();
        self.all.len() * size_of::<CachePadded<Class>>() + names
    }
}

impl Class {
    fn new(name: &str, limits: Retention, logs: Range<usize>) -> Self {
        Self { name: name.into(), limits, logs, last_end: Mutex::new(0) }
    }
}
