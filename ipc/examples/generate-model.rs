//! Rewrites `src/model/` from `model/ipc_model.json`.

#[path = "../model/generate.rs"]
mod generate;

fn main() -> std::io::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = std::fs::read_to_string(root.join("model/ipc_model.json"))?;
    for generated in generate::generate(&model) {
        std::fs::write(root.join("src/model").join(generated.file), generated.text)?;
    }
    Ok(())
}
