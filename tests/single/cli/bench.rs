//! `ternflock bench` without other ranks: what it prints, and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::program::{Place, Running, finish};

use crate::PROGRAM;

/// External scripts rely on these keys.
#[test]
fn the_codec_is_timed_on_each_instruction_set() {
    let place = Place::new(PROGRAM);
    let all = place.run("bench codec --elements 1e5 --rounds 3 --isa all --json").ended(0);
    let mut sets = Vec::new();
    for line in all.out.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["memcpy_s", "moments_s", "encode_s", "decode_s", "plane_add_s"] {
            assert!(object[key].as_f64().is_some_and(|seconds| seconds > 0.0), "{key} in {line}");
        }
        assert_eq!(object["verified"], true, "{line}");
        assert!(object["interference"]["busy"].is_boolean(), "{line}");
        assert_eq!((&object["elements"], &object["plane_add_planes"]), (&100_000.into(), &4.into()));
        sets.push(object["isa"].as_str().unwrap().to_owned());
    }
    assert_eq!(sets[0], "portable");
    let fastest = place.run("bench codec --elements 1e5 --rounds 1 --json").json();
    assert_eq!(fastest["isa"].as_str(), sets.last().map(String::as_str));
    let table = place.run("bench codec --elements 1e4 --rounds 1 --isa portable").ended(0);
    for part in ["10,000 elements", "memcpy", "encode", "decode 4 planes", "of a memcpy"] {
        assert!(table.out.contains(part), "no `{part}` in\n{}", table.out);
    }
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let place = Place::new(PROGRAM);
    place.run("bench codec --isa quantum").refused(2, &["--isa", "`quantum`", "`portable`"]);
    place.run("bench codec --elements 1.5").refused(2, &["--elements", "whole number"]);
    place.run("bench codec --elements 17179869184").refused(2, &["--elements", "17179869183"]);
    place.run("bench allreduce --elements 1e6,x").refused(2, &["--elements", "x"]);
    place.run("bench allreduce --rounds 0").refused(2, &["--rounds"]);
    let scaling = "bench scaling tiny.toml --steps 1 --rounds 1";
    place.run(&format!("{scaling} --ways ring_f32,ring")).refused(2, &["--ways", "`ring`"]);
    place.run("bench scaling nowhere.toml").refused(2, &["nowhere.toml"]);
    place.run(&format!("{scaling} --strong --weak")).refused(2, &["--strong", "--weak"]);
    place.run(&format!("{scaling} --ranks 0")).refused(2, &["--ranks"]);
    let every = format!("{scaling} --set exchange.every=1000000");
    place.run(&every).refused(2, &["exchange.every = 1000000", "the most is 1000", "--set exchange.every=8"]);
    place.run(&format!("{scaling} --svg nowhere/x.svg")).refused(2, &["--svg nowhere/x.svg"]);
    place
        .run(&format!("{scaling} --ranks 1 --launcher absent-launcher"))
        .refused(2, &["absent-launcher", "cannot be started"]);
    place
        .run(&format!("{scaling} --ranks 1 --launcher false"))
        .refused(2, &["`false`: ended with exit status: 1"]);
    place.run(&format!("{scaling} --ranks 1 --launcher echo")).refused(2, &["`echo`: did not print"]);
    let unknown = place.run("bench allreduce --algorithms ring_f32,ring_ternery");
    unknown.refused(2, &["--algorithms", "`ring_ternery`", "did you mean `ring_ternary`"]);
}

/// A launcher that cannot start two ranks: the measurement on one rank is not lost.
#[test]
fn what_was_measured_before_a_launch_fails_is_printed() {
    let place = Place::new(PROGRAM);
    place.write("launcher", "#!/bin/sh\n[ $1 = 1 ] || exit 9\nshift\nexec \"$@\"\n");
    fs::set_permissions(place.path("launcher"), fs::Permissions::from_mode(0o755)).unwrap();
    let words = "bench scaling tiny.toml --steps 1 --rounds 1 --ranks 2,1 --ways ring_f32 --svg s.svg --json";
    let mut arguments: Vec<_> = words.split(' ').collect();
    arguments.extend(["--launcher", "./launcher {}"]);
    let ended = finish(&mut place.command(&arguments)).ended(2);
    assert!(ended.err.contains("`./launcher 2`: ended with exit status: 9"), "{}", ended.err);
    let scaling: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(scaling["points"].as_array().unwrap().len(), 1);
    assert_eq!(scaling["points"][0]["ranks"], 1);
    assert!(place.read("s.svg").contains("<svg"));
}

/// With 14 bytes per element, a number of elements that is an eighth of the machine's memory is too large.
#[test]
fn vectors_larger_than_memory_are_refused() {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    let elements = kilobytes * 1024 / 8;
    if elements >= 1 << 34 {
        return; // refused as too long, whatever the memory
    }
    let place = Place::new(PROGRAM);
    place
        .run(&format!("bench codec --elements {elements}"))
        .refused(2, &["--elements", "GB of memory", "free"]);
}

#[test]
fn nothing_at_all_can_be_timed() {
    Place::new(PROGRAM).run("bench codec --elements 0 --rounds 1 --json").json();
}

/// A network is reported under one name, whichever alias was given, and all commands take all aliases.
#[test]
fn presets_are_timed_by_any_of_their_names() {
    let place = Place::new(PROGRAM);
    for (said, name) in [("resnet20", "resnet-20"), ("resnet-20", "resnet-20"), ("convnet", "convnet-quick")]
    {
        let step = place.run(&format!("bench step --model {said} --batch 1 --seconds 0 --json")).json();
        assert_eq!(step["model"], name);
        let infer = place.run(&format!("bench infer --model {said} --batch 1 --seconds 0 --json")).json();
        assert_eq!(infer["models"][0]["path"], name);
    }
    let unknown = place.run("bench step --model renset20");
    unknown.refused(2, &["--model: no preset is called `renset20`; did you mean `resnet-20`?"]);
}

/// Shares one processor with a program that never sleeps.
#[cfg(target_os = "linux")]
#[test]
fn a_busy_machine_is_warned_of() {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    let place = Place::new(PROGRAM);
    let pin = |command: &mut Command| {
        // SAFETY: between fork and exec, plain system calls on memory of this function.
        unsafe {
            command.pre_exec(|| {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                let first = (0..libc::CPU_SETSIZE as usize).find(|&core| libc::CPU_ISSET(core, &set));
                libc::CPU_ZERO(&mut set);
                libc::CPU_SET(first.unwrap_or(0), &mut set);
                match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
    };
    let mut spinner = Command::new("sh");
    pin(spinner.args(["-c", "while :; do :; done"]).stdout(Stdio::null()));
    let _spinner = Running(spinner.spawn().unwrap());
    for words in [
        "bench step --batch 4 --seconds 0.5 --json",
        "bench infer --model lenet --batch 4 --seconds 0.5 --json",
        "bench codec --elements 1e6 --rounds 50 --json",
    ] {
        let arguments: Vec<&str> = words.split(' ').collect();
        let mut command = place.command(&arguments);
        pin(&mut command);
        let timed = finish(&mut command).ended(0);
        assert!(
            timed.err.contains("ternflock: warning: this machine was busy during the measurement: "),
            "{words}: {}",
            timed.err
        );
        assert!(timed.err.contains(" % of their time for a processor"), "{words}: {}", timed.err);
        let found = timed.json()["interference"].clone();
        assert_eq!(found["busy"], true, "{found}");
        assert!(found["waiting"].as_f64().is_some_and(|waiting| waiting > 0.2), "{words}: {found}");
    }
}
