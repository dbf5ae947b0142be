//! The end of `ternflock predict`: the file, the table or the JSON object.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::arguments::Predict;
use crate::numbers::{duration, thousands};
use crate::streams::{log, print};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::write_output;
use ternflock_base::text::noun_for;
use ternflock_predict::formats::{Csv, Format, Table};
use ternflock_predict::{Items, Kind, Predictor};
use ternflock_report::json::to_value;

/// The rows of all items, on rank 0.
pub struct Predicted<'a> {
    items: &'a dyn Items,
    table: Table<'a>,
    /// The step of the checkpoint.
    step: u64,
    /// Items without a row.
    skipped: u64,
    seconds: f64,
}

impl<'a> Predicted<'a> {
    /// The `rows` of all items of `predictor`. Those of items with a problem are NaN.
    pub fn new(
        predictor: &'a dyn Predictor,
        rows: Vec<f32>,
        step: u64,
        skipped: u64,
        seconds: f64,
    ) -> Predicted<'a> {
        let (items, fields, width) = (predictor.items(), predictor.fields(), predictor.width());
        let (mut good, mut values) = (Vec::new(), rows);
        let (mut from, mut to) = (0, 0);
        while from < values.len() {
            if !values[from].is_nan() {
                good.push(items.item(from / width));
                values.copy_within(from..from + width, to);
                to += width;
            }
            from += width;
        }
        values.truncate(to);
        let class_names = predictor.class_names();
        let table = Table { items: good, unit: items.unit(), fields, class_names, values };
        Predicted { items, table, step, skipped, seconds }
    }

    /// Writes the file at `path`.
    pub fn write(&self, format: &dyn Format, path: &Path) -> Result<()> {
        let failed = |reason: String| Error::data(path, format!("cannot be written: {reason}"));
        let content = format.encode(&self.table).map_err(failed)?;
        write_output(path, &content).map_err(|error| failed(error.to_string()))
    }

    /// Prints the predictions, or where they are.
    pub fn print(&self, arguments: &Predict) -> ExitCode {
        if arguments.json {
            return print(&format!("{}\n", self.object(arguments)));
        }
        say_skipped(self.skipped, self.items);
        let Some(path) = &arguments.output else {
            let mut text = Csv::header(self.table.unit, self.table.fields).into_bytes();
            for (item, values) in self.rows() {
                Csv::row(item, self.table.fields, self.table.class_names, values, &mut text);
            }
            return print(&String::from_utf8_lossy(&text));
        };
        let count = self.table.items.len();
        print(&format!(
            "{}: predictions for {} {} in {}, {}/s\n",
            path.display(),
            thousands(count as u64),
            noun_for(count, self.table.unit),
            duration(self.seconds),
            thousands((count as f64 / self.seconds) as u64)
        ))
    }

    fn rows(&self) -> impl Iterator<Item = (&ternflock_predict::Item<'a>, &[f32])> {
        let width: usize = self.table.fields.iter().map(|field| field.width).sum();
        self.table.items.iter().zip(self.table.values.chunks_exact(width.max(1)))
    }

    fn object(&self, arguments: &Predict) -> Value {
        let unit = self.table.unit;
        let mut object = Map::new();
        let mut put = |name: String, value: Value| object.insert(name, value);
        put("checkpoint".into(), json!(arguments.checkpoint.display().to_string()));
        put("step".into(), json!(self.step));
        put(format!("{unit}s"), json!(self.items.count()));
        put("skipped".into(), json!(self.skipped));
        put("seconds".into(), to_value(&self.seconds));
        put(format!("{unit}s_per_s"), to_value(&(self.table.items.len() as f64 / self.seconds)));
        match &arguments.output {
            Some(path) => put("output".into(), json!(path.display().to_string())),
            None => {
                put("predictions".into(), self.rows().map(|(item, values)| self.row(item, values)).collect())
            }
        };
        Value::Object(object)
    }

    /// An item and its row. A field of several values is a list.
    fn row(&self, item: &ternflock_predict::Item, values: &[f32]) -> Value {
        let mut object = Map::new();
        object.insert("input".into(), json!(item.path.display().to_string()));
        item.number.map(|number| object.insert(self.table.unit.into(), json!(number)));
        let mut rest = values;
        for field in self.table.fields {
            let (own, others) = rest.split_at(field.width);
            rest = others;
            let name = |value: f32| self.table.class_names.get(value as usize);
            let value = |&value: &f32| match field.kind {
                Kind::Class => name(value).map_or_else(|| json!(value as u64), |name| json!(name)),
                Kind::Count => json!(value as u64),
                Kind::Real => to_value(&value),
            };
            let value = if field.width == 1 { value(&own[0]) } else { own.iter().map(value).collect() };
            object.insert(field.name.into(), value);
        }
        Value::Object(object)
    }
}

/// Reports the items that have no row, if there are some.
pub fn say_skipped(skipped: u64, items: &dyn Items) {
    if skipped > 0 {
        let verb = if skipped == 1 { "has" } else { "have" };
        let (all, noun) = (thousands(items.count() as u64), noun_for(items.count(), items.unit()));
        log(format_args!("note: {} of {all} {noun} {verb} no prediction", thousands(skipped)));
    }
}
