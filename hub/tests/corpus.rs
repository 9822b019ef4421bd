//! Runs the fuzz targets on every file of `fuzz/corpus`, without a fuzzer.

use std::path::Path;
use std::{env, fs};

#[path = "../../fuzz/src/lib.rs"]
pub mod inputs;

#[test]
fn every_fuzz_target_accepts_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (target, run) in inputs::TARGETS {
        let folder = corpus.join(target);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            // A panic message has the fault; this line has the input.
            println!("{}", file.display());
            run(&fs::read(&file).unwrap());
        }
    }
}
