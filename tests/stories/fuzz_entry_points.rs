//! What `make fuzz` runs for as long as one likes, run here on a few hundred random inputs: no reader of what strangers
//! send panics, or breaks a promise that `tests::fuzz` checks.

use std::{cell::Cell, path::Path};

use proptest::prelude::*;
use tests::{
    fuzz::{Outcome, TARGETS, webhook},
    providers::PROVIDERS,
};

/// Kinds of bytes: as they come, and with the many zeros that most choices of an input stay at their first with.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let sparse = prop_oneof![3 => Just(0), 1 => any::<u8>()];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        prop::collection::vec(sparse, 0..400),
        // Text, which names and values are made of.
        "\\PC{0,80}".prop_map(String::into_bytes),
    ]
}

type Target = Box<dyn Fn(&[u8]) -> Outcome>;

/// The targets; `webhook` once for each provider.
fn targets() -> Vec<(&'static str, Target)> {
    let mut targets: Vec<(_, Target)> = Vec::new();
    for (number, provider) in (0..).zip(PROVIDERS) {
        targets.push((provider.label(), Box::new(move |data| webhook(&[&[number], data].concat()))));
    }
    for (name, target) in TARGETS.into_iter().filter(|(name, _)| *name != "webhook") {
        targets.push((name, Box::new(target)));
    }
    targets
}

#[test]
fn the_whole_documents_are_read() {
    for (name, target) in targets() {
        let messages = usize::from(!matches!(name, "settings" | "widget_request"));
        assert_eq!(target(&[]), Outcome::Read { messages }, "{name}");
    }
}

#[test]
fn any_input_keeps_the_promises() {
    for (name, target) in targets() {
        let (read, refused) = (Cell::new(0), Cell::new(0));
        proptest!(ProptestConfig::with_cases(400), |(data in any_input())| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&data)));
            match outcome.map_err(|_| TestCaseError::fail(name))? {
                Outcome::Read { .. } => read.set(read.get() + 1),
                Outcome::Refused => refused.set(refused.get() + 1),
                Outcome::Malformed => {}
            }
        });
        assert!(read.get() > 20 && refused.get() > 20, "{name}: {read:?} read, {refused:?} refused");
    }
}

/// libFuzzer's targets are built by `make fuzz` alone, so that they compile is told from what they are: one call each.
#[test]
fn the_fuzzers_targets_are_these() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    assert_eq!(std::fs::read_dir(directory.join("fuzz_targets")).unwrap().count(), TARGETS.len());
    for (name, _) in TARGETS {
        let file = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{file}\"\n")), "{name}");
        let expected = format!(
            "#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| {{\n    tests::fuzz::{name}(data);\n}});\n"
        );
        assert_eq!(std::fs::read_to_string(directory.join(file)).unwrap(), expected, "{name}");
    }
}
