//! Tables from files to samples.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::column::{Cells, Kind, MISSING};
use super::encoding::{Encoding, InputColumn};
use super::inputs::{TableInputs, TableReading};
use super::open::{Request, open_files};
use super::parts::Shares;
use super::plan::Plan;
use super::read::{Table, header, read};
use super::samples::{TableSamples, TableTargets};
use super::targets::Predicted;
use super::windows::{Windows, count, split};
use crate::samples::Samples;
use ternflock_job::{Csv, TaskKind, Validation, parse};
use ternflock_nn::{Shape, TargetKind, Targets};

/// The settings of a job with `text` in `[data]`.
pub fn table(text: &str) -> Csv {
    let job = format!(
        "[data]\ndataset = 'csv'\nfile = 't.csv'\n{text}\n[model]\npreset = 'lenet'\n[train]\nepochs = 1\nglobal_batch = 1\n\
         [optimizer]\nlearning_rate = 0.1\n"
    );
    parse("job.toml".into(), &job, &[], Some("job")).unwrap().job.data.csv.unwrap()
}

/// A file with `content`.
fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a b,c.csv");
    std::fs::write(&path, content).unwrap();
    (directory, path)
}

/// The table with `content`, and the plan for it by `text`.
fn open(content: &str, text: &str) -> Result<(Table, Plan, Csv), String> {
    let ((_directory, path), how) = (file(content), table(text));
    let plan = Plan::new(&path, &header(&path, ',').map_err(said)?, &how, false).map_err(said)?;
    Ok((read(&[path], ',', &plan.wanted).map_err(said)?, plan, how))
}

fn said(error: ternflock_base::error::Error) -> String {
    error.to_string()
}

/// The samples of `rows`, with what is measured on the rows `training`.
fn samples(content: &str, text: &str, training: &[usize], rows: &[usize]) -> Result<TableSamples, String> {
    let (table, plan, how) = open(content, text)?;
    let encoding = Encoding::measure(&table, &plan, &how, training).map_err(said)?;
    let predicted = Predicted::new(&table, &plan.targets, false).map_err(said)?;
    let names = predicted.class_names(training);
    let targets = predicted.take(rows, &names, &table.places).map_err(said)?;
    TableSamples::new(&table, &plan.inputs, &encoding, rows, targets).map_err(said)
}

/// The inputs and targets of all samples.
fn all(samples: &dyn Samples) -> (Vec<f32>, Targets) {
    let numbers: Vec<usize> = (0..samples.len()).collect();
    let (mut inputs, mut targets) =
        (vec![f32::NAN; numbers.len() * samples.input().elements()], Targets::default());
    samples.read(&numbers, &mut inputs, &mut targets).unwrap();
    (inputs, targets)
}

const HOUSES: &str = "area,\"town, or village\",rooms,price\n\
    50,Ulm,2,100\n\
    ,Bonn,3,200\n\
    70,\"Ulm\",NA,300\n\
    80,\"a \"\"b\"\", c\",5,400\n";

#[test]
fn numbers_and_categories_become_inputs() {
    let read = samples(HOUSES, "targets = 'price'\nmissing = 'mean'", &[0, 1, 2, 3], &[0, 1, 2, 3]).unwrap();
    assert_eq!((read.input(), read.target()), (Shape::Vector { features: 5 }, TargetKind::Values(1)));
    let (inputs, targets) = all(&read);
    let (area, rooms) = (200.0 / 3.0, 10.0 / 3.0);
    let expected = [
        [50.0, 0.0, 1.0, 0.0, 2.0],
        [area, 1.0, 0.0, 0.0, 3.0],
        [70.0, 0.0, 1.0, 0.0, rooms],
        [80.0, 0.0, 0.0, 1.0, 5.0],
    ];
    // The categories are sorted: Bonn, Ulm, `a "b", c`.
    assert_eq!(inputs, expected.concat());
    assert_eq!(
        (targets.values, targets.width, targets.labels),
        (vec![100.0, 200.0, 300.0, 400.0], 1, vec![])
    );
}

#[test]
fn what_is_measured_comes_from_the_training_rows() {
    let text = "targets = 'price'\nmissing = 'median'\nunseen = 'other'";
    let read = samples(HOUSES, text, &[0, 2], &[1, 3]).unwrap();
    // The only category is Ulm; the median area of 50 and 70 is 60.
    assert_eq!(all(&read).0, [60.0, 0.0, 1.0, 3.0, 80.0, 0.0, 1.0, 5.0]);
    let message = samples(HOUSES, "targets = 'price'\nmissing = 'zero'", &[0, 2], &[0, 1]).unwrap_err();
    let part = "a b,c.csv: line 3, column `town, or village`: no training row has the category `Bonn` (there are `Ulm`)";
    assert!(message.contains(part), "{message}");
    let message = samples(HOUSES, "targets = 'price'", &[0, 2], &[0, 1]).unwrap_err();
    assert!(
        message.contains("line 3, column `area`: has no value: fill the cell, or train with data.missing"),
        "{message}"
    );
    let message = samples("a,b,y\n1,,1\n2,3,2\n", "targets = 'y'\nmissing = 'mean'", &[0], &[0]).unwrap_err();
    assert!(message.contains("column `b`: no training row has a value here"), "{message}");
}

#[test]
fn text_and_whole_numbers_can_be_classes() {
    let flowers = "size,kind\n1,rose\n2,lily\n3,rose\n4,aster\n";
    let read = samples(flowers, "targets = 'kind'", &[0, 1, 2], &[0, 1, 2]).unwrap();
    assert_eq!(read.target(), TargetKind::Class(2));
    assert_eq!(read.class_names().unwrap(), ["lily", "rose"]);
    assert_eq!((all(&read).1.labels, read.labels()), (vec![1, 0, 1], Some(vec![1, 0, 1])));
    let message = samples(flowers, "targets = 'kind'", &[0, 1, 2], &[3]).unwrap_err();
    assert!(message.contains("line 5, column `kind`: no training row has the class `aster`"), "{message}");

    let (table, plan, _) = open("x,y\n1,10\n2,9\n3,-0\n", "targets = 'y'").unwrap();
    let predicted = Predicted::new(&table, &plan.targets, true).unwrap();
    assert_eq!(predicted.class_names(&[0, 1, 2]), ["0", "9", "10"]);
    let (table, plan, _) = open("x,y\n1,10\n2,0.5\n", "targets = 'y'").unwrap();
    let message = Predicted::new(&table, &plan.targets, true).unwrap_err().to_string();
    assert!(message.contains("line 3, column `y`: 0.5 cannot be a class"), "{message}");
}

#[test]
fn targets_are_complete_numbers() {
    for (content, text, part) in [
        ("x,y\n1,\n", "targets = 'y'", "line 2, column `y`: has no value, and a target cannot be filled in"),
        (
            "x,y,z\n1,2,a\n",
            "targets = ['y', 'z']",
            "column `z`: is text: several targets must all be numbers",
        ),
    ] {
        let (table, plan, _) = open(content, text).unwrap();
        let message = Predicted::new(&table, &plan.targets, false).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn lines_are_those_of_an_editor() {
    // The record in lines 3 and 4 has a line break in a cell.
    for end in ["\n", "\r\n"] {
        let content = ["\u{feff}a,b,y", "1,2,3", "1,\"x", "y\",3", "1,2"].join(end);
        let message = open(&content, "targets = 'y'\ncategories = ['b']").unwrap_err();
        assert!(message.contains("line 5 has 2 cells, but the table has 3 columns"), "{message}");
        let content = ["a,b,y", "1,2,3", "4,x,3"].join(end);
        let message = open(&content, "targets = 'y'").unwrap_err();
        assert!(message.contains("line 3, column `b`: `x` is not a number"), "{message}");
    }
}

#[test]
fn files_that_are_no_tables_are_refused() {
    for (content, text, part) in [
        ("", "targets = 'y'", "is empty; its first row"),
        ("a,y\n", "targets = 'y'", "has no rows below"),
        ("a,a,y\n1,2,3\n", "targets = 'y'", "columns 1 and 2 are both called `a`"),
        ("a,y\n1,2\n", "targets = 'Y2'", "has no column `Y2`"),
        ("a;y\n1;2\n", "targets = 'y'", "has no column `y`; there are `a;y`"),
    ] {
        let message = open(content, text).unwrap_err();
        assert!(message.contains(part) && message.contains("a b,c.csv: "), "{message}");
    }
    let (_directory, path) = file(b"a,\xff\n1,2\n");
    assert!(header(&path, ',').unwrap_err().to_string().contains("the name of column 2 is not UTF-8"));
}

#[test]
fn files_follow_each_other_and_may_be_compressed() {
    use std::io::Write as _;
    let (_one, first) = file("a;y\n1;2\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Columns are found by name.
    gzip.write_all(b"y;other;a\n4;x;3\n").unwrap();
    let (_two, second) = file(gzip.finish().unwrap());
    let wanted = [("a".to_owned(), Kind::Any), ("y".to_owned(), Kind::Any)];
    let table = read(&[first, second.clone()], ';', &wanted).unwrap();
    assert_eq!(table.columns[0].cells, Cells::Numbers(vec![1.0, 3.0]));
    assert_eq!(table.columns[1].cells, Cells::Numbers(vec![2.0, 4.0]));
    let message = table.places.error(1, "a", "x").to_string();
    assert_eq!(message, format!("{}: line 2, column `a`: x", second.display()));
}

fn shares(validation: Validation, test: Validation, is_ordered: bool) -> Shares {
    Shares { validation, test, is_ordered, seed: 1 }
}

/// The first inputs of the samples of each part of the table with `content`, in which the first input is the row's number.
fn rows_of_parts(content: &str, text: &str, shares: Shares) -> Result<[Vec<usize>; 3], String> {
    let ((_directory, path), how) = (file(content), table(text));
    let request = Request { how: &how, windows: None, shares, has_classes: false, encoding: None };
    let sets = open_files([&[path], &[], &[]], &request).map_err(said)?;
    let rows = |set: &dyn Samples| {
        let features = set.input().elements();
        all(set).0.chunks_exact(features).map(|row| row[0] as usize).collect()
    };
    let some = |set: &Option<Arc<dyn Samples>>| set.as_ref().map_or(Vec::new(), |set| rows(&**set));
    Ok([rows(&*sets.train), some(&sets.validation), some(&sets.test)])
}

#[test]
fn a_column_can_decide_the_splits() {
    let content = "n,set,y\n0,train,1\n1,test,1\n2,train,1\n3,train,1\n4,test,1\n";
    let text = "targets = 'y'\nsplit_column = 'set'";
    let how = shares(Validation::Count(1), Validation::Auto, true);
    assert_eq!(rows_of_parts(content, text, how).unwrap(), [vec![0, 2], vec![3], vec![1, 4]]);
    let message =
        rows_of_parts(content, text, shares(Validation::Count(1), Validation::Count(1), true)).unwrap_err();
    assert!(
        message.contains("data.test is the size of a split, but the rows of this split are"),
        "{message}"
    );
    let message = rows_of_parts(&content.replace("4,test", "4,tset"), text, how).unwrap_err();
    assert!(
        message.contains("line 6, column `set`: the split of the row is `tset`; did you mean `test`?"),
        "{message}"
    );
}

#[test]
fn rows_are_split_in_order_or_at_random_by_class() {
    let content: String = (0..40).map(|n| format!("{n},{}\n", ["a", "b"][n % 2])).collect();
    let (content, text) = (format!("n,y\n{content}"), "targets = 'y'");
    let ordered =
        rows_of_parts(&content, text, shares(Validation::Count(3), Validation::Share(0.1), true)).unwrap();
    assert_eq!(ordered, [(0..33).collect::<Vec<_>>(), vec![33, 34, 35], vec![36, 37, 38, 39]]);
    let random =
        rows_of_parts(&content, text, shares(Validation::Auto, Validation::Count(10), false)).unwrap();
    assert_eq!(random.each_ref().map(Vec::len), [26, 4, 10]);
    assert_eq!(random[2].iter().filter(|&&row| row % 2 == 0).count(), 5, "{random:?}");
    assert!(random[2].iter().any(|&row| row < 30));
    let message = rows_of_parts(&content, text, shares(Validation::Count(30), Validation::Count(10), false));
    assert!(message.unwrap_err().contains("cannot take 30 rows for validation and 10 for the test from 40"));
}

#[test]
fn the_task_decides_whether_whole_numbers_are_classes() {
    let (directory, _path) = file("x,y\n1,3\n2,10\n3,3\n4,10\n");
    let job = "[data]\ndataset = 'csv'\nfile = 'a b,c.csv'\ntargets = 'y'\ntest = 0\nvalidation = 0\n[model]\npreset = 'lenet'\n\
               [train]\nepochs = 1\nglobal_batch = 1\n[optimizer]\nlearning_rate = 0.1\n";
    let data = parse("job.toml".into(), job, &[], Some("job")).unwrap().job.data;
    let opened = |task, known| {
        let how = data.csv.as_ref().unwrap();
        super::open(&data, how, task, Some(directory.path()), known).unwrap()
    };
    for task in [None, Some(TaskKind::Regression), Some(TaskKind::MultiLabel)] {
        assert_eq!(opened(task, None).train.target(), TargetKind::Values(1));
    }
    let classes = opened(Some(TaskKind::Classification), None);
    assert_eq!(classes.train.target(), TargetKind::Class(2));
    assert_eq!(classes.preparation.class_names, ["3", "10"]);
    // A network that was trained on classes is evaluated on classes.
    assert_eq!(opened(None, Some(&classes.preparation)).train.target(), TargetKind::Class(2));
}

#[test]
fn a_checkpoints_encoding_applies_to_other_rows() {
    let (_directory, path) = file(HOUSES);
    let how = table("targets = 'price'\nmissing = 'mean'\nunseen = 'other'");
    let few = shares(Validation::Count(0), Validation::Count(2), true);
    let request = Request { how: &how, windows: None, shares: few, has_classes: false, encoding: None };
    let sets = open_files([std::slice::from_ref(&path), &[], &[]], &request).unwrap();
    assert!(sets.validation.is_none() && sets.class_names.is_empty());
    // The same rows from a file of their own, with the columns in another order.
    let (_other, other) = file("price,rooms,\"town, or village\",area\n300,NA,Ulm,70\n400,5,Hof,80\n");
    let request = Request {
        shares: shares(Validation::Count(0), Validation::Count(0), true),
        encoding: Some((&sets.encoding, &[])),
        ..request
    };
    let again = open_files([&[other], &[], &[]], &request).unwrap();
    assert_eq!(all(&*again.train), all(&*sets.test.unwrap()));
}

/// A trained network reads the inputs of other tables: without targets, in another order, one sample per row.
#[test]
fn inputs_alone_are_encoded_as_in_training() {
    let known = "price,area,\"town, or village\",rooms\n1,50,Ulm,2\n2,70,Hof,3\n3,90,Bern,4\n";
    let (_directory, path) = file(known);
    let how = table("targets = 'price'");
    let few = shares(Validation::Count(0), Validation::Count(0), true);
    let request = Request { how: &how, windows: None, shares: few, has_classes: false, encoding: None };
    let sets = open_files([std::slice::from_ref(&path), &[], &[]], &request).unwrap();
    let reading = TableReading { how: &how, encoding: &sets.encoding, windows: None };
    let (_other, other) = file(
        "rooms,comment,\"town, or village\",area\n3,x,Ulm,70\n,y,Hof,80\n4,z,Rom,90\n5,,Hof,\n2,,Hof,60\n",
    );
    let inputs = TableInputs::open(&other, &reading).unwrap();
    assert_eq!(inputs.samples(), 5);
    let read = |number: usize| {
        let mut out = vec![f32::NAN; sets.encoding.features()];
        inputs.read(number, &mut out).map(|()| out)
    };
    let (_same, full) = file("area,rooms,\"town, or village\",price\n70,3,Ulm,0\n60,2,Hof,0\n");
    let request = Request { encoding: Some((&sets.encoding, &[])), ..request };
    let expected = all(&*open_files([&[full], &[], &[]], &request).unwrap().train).0;
    assert_eq!([read(0).unwrap(), read(4).unwrap()].concat(), expected);
    let problem = |number: usize| read(number).unwrap_err();
    assert!(problem(1).starts_with("at line 3, column `rooms`: has no value"), "{}", problem(1));
    assert!(
        problem(2).contains("at line 4, column `town, or village`: no training row has the category `Rom`")
    );
    assert!(problem(3).starts_with("at line 5, column `area`: has no value"));
    let (_lacks, lacks) = file("rooms,town,area\n1,Ulm,2\n");
    let message = TableInputs::open(&lacks, &reading).err().unwrap().to_string();
    assert!(message.contains("has no column `town, or village`"), "{message}");
}

/// The last window ends with the table, so that a forecast begins with the row after it.
#[test]
fn windows_without_targets_end_with_the_table() {
    let how = table("targets = 'y'\ninputs = ['y']");
    let number = InputColumn::Number { name: "y".into(), fill: None };
    let encoding = Encoding { inputs: vec![number], targets: vec!["y".into()] };
    let reading = |stride| TableReading { how: &how, encoding: &encoding, windows: Some(cut(3, 2, stride)) };
    let content: String = (0..8)
        .map(|t| format!("{t},{}\n", if t == 2 { "NA".into() } else { (10 * t).to_string() }))
        .collect();
    let (_directory, path) = file(format!("t,y\n{content}"));
    let inputs = TableInputs::open(&path, &reading(2)).unwrap();
    assert_eq!(inputs.samples(), 3);
    let read = |number: usize| {
        let mut out = [f32::NAN; 3];
        inputs.read(number, &mut out).map(|()| out)
    };
    // Rows 1 to 3 have a hole.
    assert!(read(0).unwrap_err().starts_with("at line 4, column `y`: has no value"));
    assert_eq!([read(1).unwrap(), read(2).unwrap()], [[30.0, 40.0, 50.0], [50.0, 60.0, 70.0]]);
    let (_few, few) = file("y\n1\n2\n");
    let message = TableInputs::open(&few, &reading(1)).err().unwrap().to_string();
    assert!(message.contains("has 2 rows, too few for a window of 3"), "{message}");
}

#[test]
fn windows_are_split_by_time() {
    let content: String = (0..30).map(|t| format!("{t},{}\n", 10 * t)).collect();
    let (_directory, path) = file(format!("t,y\n{content}"));
    let how = table("targets = 'y'\ninputs = ['y']");
    let request = Request {
        how: &how,
        windows: Some(cut(4, 2, 1)),
        shares: shares(Validation::Count(3), Validation::Auto, true),
        has_classes: false,
        encoding: None,
    };
    let sets = open_files([std::slice::from_ref(&path), &[], &[]], &request).unwrap();
    // 25 windows; a tenth is 2, which predict the last 3 rows; the 3 before predict 4 rows.
    let (validation, test) = (sets.validation.unwrap(), sets.test.unwrap());
    assert_eq!([sets.train.len(), validation.len(), test.len()], [18, 3, 2]);
    assert_eq!(all(&*test).1.values, [270.0, 280.0, 280.0, 290.0]);
    assert_eq!(all(&*validation).1.values, [230.0, 240.0, 240.0, 250.0, 250.0, 260.0]);
    assert_eq!(all(&*sets.train).1.values[34..], [210.0, 220.0]);
    let message =
        |request| open_files([std::slice::from_ref(&path), &[], &[]], &request).err().unwrap().to_string();
    let random = shares(Validation::Auto, Validation::Auto, false);
    assert!(
        message(Request { shares: random, ..request }).contains("data.split = \"random\" would put rows")
    );
    assert!(message(Request { has_classes: true, ..request }).contains("data.window predicts numbers"));
}

/// Row t has the inputs t and -t, and the target 10 t.
fn series(rows: usize) -> Arc<dyn Samples> {
    let content: String = (0..rows).map(|t| format!("{t},-{t},{}\n", 10 * t)).collect();
    let (content, all) = (format!("a,b,y\n{content}"), (0..rows).collect::<Vec<_>>());
    Arc::new(samples(&content, "targets = 'y'", &all, &all).unwrap())
}

fn cut(window: usize, horizon: usize, stride: usize) -> ternflock_job::Windows {
    ternflock_job::Windows { window, horizon, stride }
}

#[test]
fn a_window_comes_before_what_it_predicts() {
    let windows = Windows::new(series(9), 1..9, cut(3, 2, 2)).unwrap();
    assert_eq!((windows.len(), windows.input()), (2, Shape::Sequence { steps: 3, features: 2 }));
    assert_eq!(windows.target(), TargetKind::Values(2));
    let (inputs, targets) = all(&windows);
    assert_eq!(inputs, [1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 3.0, -3.0, 4.0, -4.0, 5.0, -5.0]);
    assert_eq!((targets.values, targets.width), (vec![40.0, 50.0, 60.0, 70.0], 2));
    let message = Windows::new(series(4), 0..4, cut(3, 2, 1)).err().unwrap().to_string();
    assert!(message.contains("4 rows are too few for a window of 3 and a horizon of 2"), "{message}");
    let message = split(9, cut(3, 2, 1), 2, 3).unwrap_err().to_string();
    assert!(message.contains("2 windows for validation and 3 windows for the test from 9 rows"), "{message}");
}

proptest! {
    /// Each part has as many windows as it should, and no row is predicted in two parts or is in a training window and
    /// predicted in another part.
    #[test]
    fn parts_of_a_series_share_no_target(
        window in 1usize..6, horizon in 1usize..5, stride in 1usize..4,
        validation in 0usize..6, test in 0usize..6, rows in 1usize..60
    ) {
        let cut = cut(window, horizon, stride);
        let Ok(parts) = split(rows, cut, validation, test) else {
            // The windows of all parts and a training window need more rows.
            let predicted = |windows: usize| if windows == 0 { 0 } else { (windows - 1) * stride + horizon };
            prop_assert!(predicted(validation) + predicted(test) + window + horizon > rows);
            return Ok(());
        };
        let counts = parts.clone().map(|part| count(part.len(), cut));
        prop_assert_eq!(&counts[1..], &[validation, test]);
        prop_assert!(counts[0] > 0);
        let data = series(rows);
        let mut predicted: Vec<Vec<f32>> = Vec::new();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            let windows = Windows::new(Arc::clone(&data), part.clone(), cut).unwrap();
            let (inputs, targets) = all(&windows);
            if predicted.is_empty() {
                let last = inputs.chunks_exact(2).map(|row| row[0] * 10.0).fold(0.0, f32::max);
                predicted.push(targets.values.iter().copied().chain([last]).collect());
            } else {
                let earliest = targets.values.iter().copied().fold(f32::INFINITY, f32::min);
                let latest = predicted.concat().into_iter().fold(0.0, f32::max);
                prop_assert!(earliest > latest, "{} {}", earliest, latest);
                predicted.push(targets.values);
            }
        }
    }

    /// Rows of a group are in one part, every part that is asked for has a group, and none is larger than it should be if
    /// there are groups that fit.
    #[test]
    fn groups_stay_together(
        groups in prop::collection::vec(0usize..8, 1..40), validation in 0usize..8, test in 0usize..8, ordered: bool
    ) {
        let content: String = groups.iter().enumerate().map(|(n, group)| format!("{n},g{group},1\n")).collect();
        let how = shares(Validation::Count(validation), Validation::Count(test), ordered);
        let parts = rows_of_parts(&format!("n,who,y\n{content}"), "targets = 'y'\ngroup = 'who'", how);
        let different = groups.iter().collect::<std::collections::BTreeSet<_>>().len();
        let needed = 1 + [validation, test].iter().filter(|&&size| size > 0).count();
        let Ok(parts) = parts else {
            prop_assert!(validation + test >= groups.len() || different < needed);
            return Ok(());
        };
        let of_part = |part: &Vec<usize>| part.iter().map(|&row| groups[row]).collect::<std::collections::BTreeSet<_>>();
        let sets = parts.each_ref().map(of_part);
        prop_assert_eq!(sets.iter().map(|set| set.len()).sum::<usize>(), different);
        prop_assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), groups.len());
        prop_assert!(!parts[0].is_empty());
        for (part, (set, wanted)) in parts[1..].iter().zip(sets[1..].iter().zip([validation, test])) {
            prop_assert_eq!(part.is_empty(), wanted == 0);
            prop_assert!(part.len() <= wanted || set.len() == 1);
        }
    }

    /// What is written comes back, whatever is in the cells.
    #[test]
    fn cells_survive_the_file(rows in prop::collection::vec(("[a-c,\"\n ;]{0,6}", any::<f32>()), 1..20)) {
        prop_assume!(rows.iter().all(|(_, number)| number.is_finite()));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["text", "number"]).unwrap();
        rows.iter().for_each(|(text, number)| writer.write_record([text, &number.to_string()]).unwrap());
        let (_directory, path) = file(writer.into_inner().unwrap());
        let wanted = [("text".to_owned(), Kind::Words), ("number".to_owned(), Kind::Numbers)];
        let table = read(&[path], ',', &wanted).unwrap();
        let (Cells::Words(words), Cells::Numbers(numbers)) = (&table.columns[0].cells, &table.columns[1].cells) else {
            panic!("text and numbers");
        };
        for (row, (text, number)) in rows.iter().enumerate() {
            let text = text.trim_ascii();
            match words.codes[row] {
                MISSING => prop_assert!(text.is_empty()),
                code => prop_assert_eq!(&words.words[code as usize], text),
            }
            prop_assert_eq!(numbers[row], *number);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let (_directory, path) = file(&bytes);
        if let Ok(header) = header(&path, ',') {
            let wanted: Vec<_> = header.iter().map(|name| (name.clone(), Kind::Any)).collect();
            let _ = read(&[path], ',', &wanted);
        }
    }

    #[test]
    fn targets_of_any_number_of_columns_are_in_order(rows in 1usize..8, width in 1usize..5) {
        let names: Vec<String> = (0..width).map(|at| format!("y{at}")).collect();
        let line = |row: usize| (0..width).map(|at| (row * 10 + at).to_string()).collect::<Vec<_>>().join(",");
        let content: String = (0..rows).map(|row| format!("0,{}\n", line(row))).collect();
        let text = format!("targets = {names:?}");
        let all: Vec<usize> = (0..rows).collect();
        let read = samples(&format!("x,{}\n{content}", names.join(",")), &text, &all, &all).unwrap();
        let values: Vec<f32> = (0..rows).flat_map(|row| (0..width).map(move |at| (row * 10 + at) as f32)).collect();
        prop_assert_eq!(super::tests::all(&read).1.values, values);
    }
}

#[test]
fn hashes_tell_tables_apart() {
    let hash = |content: &str| samples(content, "targets = 'y'", &[0, 1], &[0, 1]).unwrap().hash();
    let one = hash("a,y\n1,2\n3,4\n");
    assert_eq!(one, hash("a,y\n1.0,2\n3,4e0\n"));
    assert_ne!(one, hash("a,y\n1,2\n3,5\n"));
    assert_ne!(one, hash("a,y\n1,2\n4,4\n"));
    let targets = TableTargets::Values { values: vec![1.0], width: 1 };
    assert_ne!(targets, TableTargets::Labels { labels: vec![1], names: vec![] });
}
