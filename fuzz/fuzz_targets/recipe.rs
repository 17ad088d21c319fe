//! Foreign bytes as recipes: no panic, and an answer in every case.

#![no_main]

use hedgerow_component::{Platform, Recipe, Severity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let platform = Platform::from_uname("Linux", "aarch64");
    for file in ["fuzz.json", "fuzz.yaml"] {
        match Recipe::parse(file, bytes) {
            Ok(parsed) => {
                let _ = parsed.recipe.manifest_for(&platform);
                assert!(parsed.warnings.iter().all(|f| f.severity == Severity::Warning));
            }
            Err(invalid) => assert!(invalid.findings.iter().any(|f| f.severity == Severity::Error)),
        }
    }
});
