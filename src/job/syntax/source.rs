//! Where each value of a job was given: the line of the file, or the `--set` that overrode it.

use std::sync::Arc;

use super::names;
use super::places::{At, Places};
use ternflock_base::text::quote;

/// Remembers where each value of a job was given, so that later checks can name the place.
#[derive(Clone, Debug)]
pub struct Source {
    file: Arc<str>,
    /// The overrides, as messages quote them.
    sets: Arc<Vec<String>>,
    /// How many of the overrides a run was started with. Later overrides may contradict these, as they may contradict the
    /// file.
    settled: usize,
    places: Arc<Places>,
    /// For a stage: the places of the job, for the sections that a stage may override.
    base: Option<Base>,
}

/// The places that a stage inherits from its job.
#[derive(Clone, Debug)]
struct Base {
    places: Arc<Places>,
    /// The sections that the stage may override.
    sections: &'static [&'static str],
    /// The section and the key of each value that is not inherited.
    without: Vec<(String, String)>,
}

/// The place of a problem, in the order in which problems are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// A line of the file, from 1.
    Line(usize),
    /// A `--set`, by its index.
    Set(usize),
    /// An override that a run was started with.
    Started(usize),
    /// The file as a whole.
    File,
}

impl Source {
    /// A source that knows only its file's name.
    pub(crate) fn new(file: String) -> Self {
        Source { file: file.into(), sets: Arc::default(), settled: 0, places: Arc::default(), base: None }
    }

    /// Where the value at `path` (such as `model.layers[2].filters`) was given: `file:line` or `--set
    /// section.key=value`. A value that was not given has the place of its section, or else of the file.
    pub fn at(&self, path: &str) -> String {
        self.display(self.place(path))
    }

    /// Whether the file or an override gives the value at `path`.
    pub(crate) fn gives(&self, path: &str) -> bool {
        self.places.find(path).0 == path.len()
    }

    /// [`Source::at`], before it is converted to text.
    pub(crate) fn place(&self, path: &str) -> Place {
        let (own, inherited) = (self.places.find(path), self.inherited(path));
        let at = if inherited.0 > own.0 { inherited.1 } else { own.1 };
        at.map_or(Place::File, |at| self.place_at(at))
    }

    /// Like [`Places::find`], in the job of this stage.
    fn inherited(&self, path: &str) -> (usize, Option<At>) {
        let Some(base) = &self.base else { return (0, None) };
        let section = &path[..path.find(['.', '[']).unwrap_or(path.len())];
        if !base.sections.contains(&section) {
            return (0, None);
        }
        let is_without = base.without.iter().any(|(of, key)| {
            let key = (of == section).then(|| path[section.len()..].strip_prefix('.')?.strip_prefix(&**key));
            key.flatten().is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        base.places.find(if is_without { section } else { path })
    }

    fn place_at(&self, at: At) -> Place {
        match at {
            At::Line(line) => Place::Line(line as usize),
            At::Set(set) if (set as usize) < self.settled => Place::Started(set as usize),
            At::Set(set) => Place::Set(set as usize),
        }
    }

    /// The places of the job for stage `number`: those of the stage as if they were at the top level, and those of
    /// `sections`, which a stage may override.
    pub(crate) fn of_stage(&self, number: usize, sections: &'static [&'static str]) -> Source {
        let own = self.places.entry("stage", number).cloned().unwrap_or_default();
        let base = Base { places: Arc::clone(&self.places), sections, without: Vec::new() };
        Source { places: Arc::new(own), base: Some(base), ..self.clone() }
    }

    /// Adds the override `set` and returns its place.
    pub(super) fn add_set(&mut self, set: &str) -> At {
        let number = self.sets.len();
        Arc::make_mut(&mut self.sets).push(quote(set).into_owned());
        At::Set(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Converts [`At`] to the place of a problem.
    pub(super) fn blame(&self, at: At) -> Place {
        self.place_at(at)
    }

    /// Whether the value at `key` of `section`, in `stage` or in the job itself, was given by a `--set`.
    pub(super) fn is_set(&self, stage: Option<usize>, section: &str, key: &str) -> bool {
        let places = match stage {
            None => Some(&*self.places),
            Some(number) => self.places.entry("stage", number),
        };
        let path = names::path(section, key);
        let found = places.map(|places| places.find(&path));
        found.is_some_and(|(length, at)| {
            length == path.len() && matches!(at, Some(At::Set(set)) if set as usize >= self.settled)
        })
    }

    /// Replaces the places of `key` of `section`, in `stage` or in the job itself, with `new`, or removes them.
    pub(super) fn replace(&mut self, stage: Option<usize>, section: &str, key: &str, new: Option<Places>) {
        let places = Arc::make_mut(&mut self.places);
        let places = match stage {
            None => Some(places),
            Some(number) => places.entry_mut("stage", number),
        };
        if let Some(places) = places {
            places.replace(section, key, new);
        }
    }

    /// This stage does not inherit the value at `key` of `section` from its job.
    pub(super) fn leave_out(&mut self, section: &str, key: &str) {
        if let Some(base) = &mut self.base {
            base.without.push((section.to_owned(), key.to_owned()));
        }
    }

    /// Sets the places of the values of the file.
    pub(super) fn set_places(&mut self, places: Places) {
        self.places = Arc::new(places);
    }

    /// Marks every `--set` so far as one that a run was started with.
    pub(crate) fn settle_sets(&mut self) {
        self.settled = self.sets.len();
    }

    /// A place as text.
    pub(crate) fn display(&self, place: Place) -> String {
        let set = |number: usize| self.sets.get(number).map_or("", String::as_str);
        match place {
            Place::Line(line) => format!("{}:{line}", self.file),
            Place::Set(number) => format!("--set {}", set(number)),
            Place::Started(number) => format!("--set {}, which the run was started with", set(number)),
            Place::File => self.file.to_string(),
        }
    }
}
