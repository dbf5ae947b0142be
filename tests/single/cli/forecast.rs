//! `ternflock forecast` on one rank: its output, and refused requests.

use support::program::Place;

use crate::PROGRAM;

/// External scripts rely on these keys, which are those of `bench scaling` inside a network.
#[test]
fn a_job_is_forecast_on_networks() {
    let place = Place::new(PROGRAM);
    let words = "forecast tiny.toml --weak --nodes 1..6 --steps 2 --ways all --link 1gbit,50us --link 10mbit,1ms,9us --svg x.svg --json";
    let forecast = place.run(words).json();
    let networks = forecast["networks"].as_array().unwrap();
    let names: Vec<_> = networks.iter().map(|network| network["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["1gbit,50us", "10mbit,1ms,9us"]);
    assert_eq!(networks[0]["message_s"].as_f64(), Some(5e-6));
    for network in networks {
        let points = network["scaling"]["points"].as_array().unwrap();
        let nodes: Vec<_> = points.iter().map(|point| point["hosts"].as_u64().unwrap()).collect();
        assert_eq!(nodes, [1, 2, 4, 6]);
        for point in points {
            let ways = point["ways"].as_array().unwrap();
            let names: Vec<_> = ways.iter().map(|way| way["way"].as_str().unwrap()).collect();
            // Not the MPI library's own: nothing is known about it.
            let expected = [
                "ring_ternary",
                "gather_ternary",
                "direct_ternary",
                "halving_ternary",
                "hierarchical_ternary",
                "ring_f32",
                "powersgd",
            ];
            assert_eq!(names, expected);
            for way in ways {
                let (step, rate) = (way["step_s"].as_f64().unwrap(), way["rate"].as_f64().unwrap());
                let batch = point["global_batch"].as_f64().unwrap();
                assert!(step > 0.0 && (rate * step / batch - 1.0).abs() < 1e-9, "{way}");
                let phases = &way["phases"][0];
                let at = |key: &str| phases[key].as_f64().unwrap();
                let busy =
                    at("compute") + at("encode") + at("wait") + at("exchange") + at("decode") + at("update");
                assert!((busy - at("hidden") - step).abs() < 1e-9, "{way}");
                let is_alone = point["hosts"] == 1;
                assert_eq!(at("exchange") == 0.0, is_alone, "{way}");
                assert_eq!(way["bytes_sent"][0] == 0, is_alone, "{way}");
            }
        }
        assert_eq!(network["verdict"]["gains"].as_array().unwrap().len(), 4);
    }
    let picture = std::fs::read_to_string(place.path("x.svg")).unwrap();
    assert!(
        picture.contains("tiny, 1gbit,50us: samples/s")
            && picture.contains("tiny, 10mbit,1ms,9us: samples/s")
    );
}

#[test]
fn a_table_says_what_pays() {
    let place = Place::new(PROGRAM);
    let said = place.run("forecast tiny.toml --nodes 1,2 --steps 1 --speed 2").ended(0).out;
    for part in [
        "tiny: ",
        "1 rank per node",
        "assumed to be 2 times as fast as here",
        "network 1gbit,100us (117.7 MB/s, 100.0 us), constant samples per step",
        "nodes",
        "halving_ternary",
        "times as fast as float32: ",
        "fastest on ",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    let weak = place.run("forecast tiny.toml --weak --nodes 2 --steps 1 --ways ring_f32").ended(0).out;
    assert!(weak.contains("constant samples per rank") && !weak.contains("ternaries"), "{weak}");
}

/// A rank's share is smaller on more nodes, and is measured at that size.
#[test]
fn strong_scaling_measures_each_share() {
    let place = Place::new(PROGRAM);
    let words = "forecast tiny.toml --strong --nodes 1,3 --steps 1 --ways ring_ternary --json";
    let forecast = place.run(words).json();
    let points = forecast["networks"][0]["scaling"]["points"].as_array().unwrap().clone();
    let [one, three] = &points[..] else { panic!("{points:?}") };
    assert_eq!((&one["global_batch"], &three["global_batch"]), (&32.into(), &32.into()));
    let compute = |point: &serde_json::Value| point["ways"][0]["phases"][0]["compute"].clone();
    assert_ne!(compute(one), compute(three));
    assert!(forecast["networks"][0]["verdict"].is_null());
}

#[test]
fn what_has_no_forecast_is_refused() {
    let place = Place::new(PROGRAM);
    place.run("forecast").refused(2, &["--model"]);
    place.run("forecast nowhere.toml").refused(2, &["nowhere.toml"]);
    place.run("forecast tiny.toml --model alexnet").refused(2, &["--model"]);
    place.run("forecast --model alexnett").refused(2, &["`alexnett`", "did you mean `alexnet`"]);
    place.run("forecast tiny.toml --strong --weak").refused(2, &["--strong", "--weak"]);
    place.run("forecast tiny.toml --nodes 4..2").refused(2, &["--nodes 4..2", "larger than the last"]);
    place.run("forecast tiny.toml --nodes 0").refused(2, &["--nodes 0", "from 1 to 4096"]);
    place.run("forecast tiny.toml --link fast").refused(2, &["--link fast", "1gbit,100us"]);
    place.run("forecast tiny.toml --link measured").refused(2, &["--link measured", "there is one node"]);
    place.run("forecast tiny.toml --speed 0").refused(2, &["--speed 0", "above 0"]);
    place.run("forecast tiny.toml --speed nan").refused(2, &["--speed NaN"]);
    place.run("forecast tiny.toml --steps 0").refused(2, &["--steps"]);
    place.run("forecast tiny.toml --ways ring").refused(2, &["--ways", "`ring`"]);
    place
        .run("forecast tiny.toml --ways mpi_allreduce_f32")
        .refused(2, &["mpi_allreduce_f32 has no forecast", "bench scaling"]);
    place.run("forecast tiny.toml --nodes 1..4096").refused(2, &["cannot share a batch of", "--weak"]);
    place
        .run("forecast tiny.toml --nodes 2 --steps 1 --svg nowhere/x.svg")
        .refused(2, &["--svg nowhere/x.svg"]);
}
