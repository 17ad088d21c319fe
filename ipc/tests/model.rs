//! The checked-in model is what the generator makes of the model file.

#[path = "../model/generate.rs"]
mod generate;

use std::path::Path;

#[test]
fn checked_in_model_is_generated() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = std::fs::read_to_string(root.join("model/ipc_model.json")).unwrap();
    for generated in generate::generate(&model) {
        let checked_in = std::fs::read_to_string(root.join("src/model").join(generated.file));
        assert!(
            checked_in.unwrap() == generated.text,
            "src/model/{} is not what the generator makes; run \
             `cargo run -p hedgerow-ipc --example generate-model`",
            generated.file
        );
    }
}
