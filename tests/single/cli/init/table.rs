//! Tables.

use super::{data, place, trains};

/// Columns of every kind: a row number, names, categories, missing cells, a column without a name.
#[test]
fn columns_are_told_apart() {
    let place = place();
    let mut text = "id;;name;area;kind;empty;price\n".to_owned();
    for row in 0..60 {
        let area = if row % 9 == 4 { String::new() } else { format!("{}.5", row * 7 % 23) };
        text += &format!(
            "{row};{row};Mr {row};{area};{};NA;{}.25\n",
            ["flat", "house", ""][row % 3],
            3 * row % 17
        );
    }
    place.write("t.csv", text);
    let job = trains(&place, &["t.csv"], "t.toml");
    for part in [
        "delimiter = \";\"\n",
        "targets = \"price\"\n",
        "ignore = [\"id\", \"\", \"name\", \"empty\"]\n",
        "missing = \"median\"\n",
        "unseen = \"other\"\n",
        "`id` counts the rows; a column has no name; `name` holds",
        "units = \"targets\"\n",
        "# csv: vectors of ",
        "normalise_targets = \"standard\"\n",
    ] {
        assert!(job.contains(part), "{part}: {job}");
    }
    assert!(!job.contains("[task]"), "{job}");
}

#[test]
fn texts_and_few_whole_numbers_are_classes() {
    let place = place();
    place.write("t.csv", data::table(60));
    let job = trains(&place, &["t.csv", "--target", "kind"], "t.toml");
    assert!(
        job.contains("units = \"classes\"") && job.contains("#   flat ") && !job.contains("[task]"),
        "{job}"
    );
    let rows: String = (0..60).map(|row| format!("{}.5,{}\n", row % 7, row % 3)).collect();
    place.write("n.csv", format!("x,y\n{rows}"));
    let job = trains(&place, &["n.csv"], "n.toml");
    assert!(job.contains("kind = \"classification\"") && job.contains("units = \"classes\""), "{job}");
    // The comment says how to learn amounts instead.
    let job = job.replace("kind = \"classification\"", "kind = \"regression\"");
    place.write("n.toml", job.replace("units = \"classes\"", "units = \"targets\""));
    place.run("check n.toml").ended(0);
}

#[test]
fn a_window_makes_a_forecast() {
    let place = place();
    let rows: String = (0..90).map(|row| format!("2024-01-{row},{:.3}\n", data::noise(row / 3))).collect();
    place.write("load.csv", format!("day,load\n{rows}"));
    let job = trains(&place, &["load.csv", "--window", "12", "--horizon", "3"], "load.toml");
    for part in
        ["window = 12", "horizon = 3", "split = \"ordered\"", "type = \"lstm\"", "ignore = [\"day\"]", "12x1"]
    {
        assert!(job.contains(part), "{part}: {job}");
    }
    // A column can be forecast from its own past.
    let rows: String = (0..400).map(|row| format!("{:.3}\n", data::noise(row))).collect();
    place.write("one.csv", format!("load\n{rows}"));
    place.run("init one.csv").refused(3, &["has only one column, `load`", "add --window"]);
    let job = trains(&place, &["one.csv", "--window", "150"], "one.toml");
    assert!(job.contains("type = \"conv1d\"") && job.contains("horizon = 1\n"), "{job}");
    place.run("init one.csv --window 1000 --overwrite").refused(2, &["too few for a window of 1000"]);
    place
        .run("init load.csv --target day --window 4 --overwrite")
        .refused(3, &["holds text, but a forecast predicts numbers"]);
}

/// Columns that would mislead are left out or reported: a wrong cell among numbers, one value, hardly any value.
#[test]
fn doubtful_columns_are_reported() {
    let place = place();
    let rows: String = (0..60)
        .map(|row| {
            let (b, sparse) =
                (if row == 40 { "?".into() } else { (row % 9).to_string() }, if row == 7 { "3" } else { "" });
            format!("{:.2},{b},5,{sparse},{:.2}\n", data::noise(row), 2.0 * data::noise(row))
        })
        .collect();
    place.write("t.csv", format!("a,b,same,sparse,y\n{rows}"));
    let out = place.run("init t.csv").ended(0).out;
    for part in [
        "`b` holds 59 numbers and 1 text, so all of them are read as texts",
        "`same` has the same value in all rows; `sparse` has values in only 1 of 60 rows",
    ] {
        assert!(out.contains(part), "no {part} in {out}");
    }
    place.run("check t.toml").ended(0);
    // Numbers that cannot be classes are values.
    let rows: String = (0..60).map(|row| format!("{row}.5,{}\n", 3_000_000_000_u64 + row % 3)).collect();
    place.write("large.csv", format!("a,y\n{rows}"));
    let job = trains(&place, &["large.csv"], "large.toml");
    assert!(!job.contains("classification"), "{job}");
}

#[test]
fn tables_from_which_nothing_can_be_learnt_are_refused() {
    let place = place();
    for (text, arguments, parts) in [
        ("", "", &["t.csv: is empty; its first row must hold the names"][..]),
        ("a,b\n", "", &["has no rows below the names of the columns"]),
        ("1.5,2.5\n1,2\n", "", &["its first row holds numbers, such as `1.5`", "add a row with the names"]),
        ("a,b\n1,2\n3\n", "", &["line 3 has 1 cell"]),
        ("a,price\n1,2\n2,3\n", "--target prise", &["has no column `prise`; did you mean `price`?"]),
        ("a,y\n1,2\n2,\n3,4\n", "", &["the column `y` is to be predicted", "in line 3", "--target"]),
        ("a,y\n1,2\n2,2\n", "", &["has the same value in all rows"]),
        ("a,y\n1,b\n2,c\n", "", &["holds 2 different texts in 2 rows", "--target"]),
        ("a,y\nx,1.5\ny,2.5\n", "", &["no column is left as an input: `a` holds 2 different texts"]),
        ("a,a,y\n1,2,3.5\n4,4,5.5\n7,7,1.5\n", "", &["columns 1 and 2 are both called `a`"]),
        ("a,y\n1,1e99\n2,2\n5,3\n", "", &["line 2, column `y`: `1e99` is infinite or too large"]),
        ("a,y\n1.5,2.5\n", "", &["t.csv: the column `y` has the same value in all rows"]),
    ] {
        place.write("t.csv", text);
        place.run(&format!("init t.csv {arguments}")).refused(3, parts);
    }
    assert_eq!(place.names("."), ["t.csv"], "nothing is written");
}
