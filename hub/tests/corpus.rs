//! What the fuzzer found worth keeping, once more, without a fuzzer: every file of `fuzz/corpus`, with what must hold for it.

use std::path::Path;
use std::{env, fs};

#[path = "../../fuzz/src/lib.rs"]
pub mod inputs;

#[test]
fn what_must_hold_for_any_input_holds_for_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (target, run) in inputs::TARGETS {
        let folder = corpus.join(target);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            // A panic says what went wrong; this says with what.
            println!("{}", file.display());
            run(&fs::read(&file).unwrap());
        }
    }
}
