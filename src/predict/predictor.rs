//! The interface between what a network computes and how it is printed or written.

use std::ops::Range;
use std::path::Path;

use ternflock_base::error::Result;

/// A column of a row, or several with the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in tables and files.
    pub name: &'static str,
    /// The number of values per row.
    pub width: usize,
    /// What the values are.
    pub kind: Kind,
}

/// The values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Real,
    /// Whole numbers, below 2^24.
    Count,
    /// The numbers of classes, which may have names.
    Class,
}

/// The name of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its file.
    pub path: &'a Path,
    /// Its number in the file; `None` if the file is one item.
    pub number: Option<usize>,
}

/// An item without a row, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The number of the item.
    pub item: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The rows of successive items. An item with a problem has a row of NaN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The values of all fields, row by row.
    pub values: Vec<f32>,
    /// The items without a row, in their order.
    pub problems: Vec<Problem>,
}

/// What a network reads, by number.
pub trait Items {
    /// The number of items.
    fn count(&self) -> usize;

    /// The name of item `number`.
    fn item(&self, number: usize) -> Item<'_>;

    /// What an item is, for messages: "sample" or "line".
    fn unit(&self) -> &'static str;
}

/// Takes the rows of successive items. If it returns false, no more are computed.
pub type Give<'a> = &'a mut dyn FnMut(&dyn Items, Rows) -> bool;

/// A network with the items that it reads. Each item has one row of values, whatever the other items are.
pub trait Predictor {
    /// The items.
    fn items(&self) -> &dyn Items;

    /// The fields of a row.
    fn fields(&self) -> &[Field];

    /// The names of the classes, by number; empty if they have none.
    fn class_names(&self) -> &[String] {
        &[]
    }

    /// Computes the rows of the items `range` and passes them to `give` in their order, some at a time.
    ///
    /// # Errors
    /// If the network computes no finite outputs.
    fn run(&mut self, range: Range<usize>, give: Give) -> Result<()>;

    /// The number of values of a row.
    fn width(&self) -> usize {
        self.fields().iter().map(|field| field.width).sum()
    }
}
