//! The sample in `testdata/sample` is what a packing list and kubespray-offline's layout make of it, and is complete.

use pouch::class::Classified as _;
use pouch::digest::{Blob, Digest};
use pouch::kind::{BlobReader, KindError, ReadSeek};
use pouch::model::{Described, Kind};
use pouch::monitor::Silent;
use pouch::op::complete::complete;
use pouch::source::{Collected, Found, Origin, Origins, Source, kubespray, list::List};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn sample(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample").join(version)
}

fn survey(sources: &[Box<dyn Source>]) -> Vec<Found> {
    let kept = Collected::default();
    for source in sources {
        source.survey(&kept, &Silent).unwrap_or_else(|e| panic!("{}: {e} {e:?}", source.describe()));
    }
    kept.into_parts().0
}

fn files(found: &[Found]) -> BTreeSet<String> {
    let files = found.iter().map(|f| &f.described.artifact).filter(|a| a.kind == Kind::File);
    files.map(|a| a.place().expect("a file").expect("a path").to_string()).collect()
}

struct Inputs(BTreeMap<Blob, Origin>);

impl BlobReader for Inputs {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        match self.0.get(blob) {
            Some(Origin::File(path)) => Ok(Box::new(std::fs::File::open(path)?)),
            _ => Err(KindError::MissingBlob(blob.digest)),
        }
    }
    fn find(&self, digest: &Digest) -> Option<Blob> {
        Origins(&self.0).find(digest)
    }
}

#[test]
fn both_ways_of_packing_find_the_same_files() {
    for version in ["v1", "v2"] {
        let (sources, notes) = kubespray::sources(&sample(version).join("outputs")).expect("outputs");
        let by_layout = files(&survey(&sources));
        assert_eq!(notes.len(), 1, "{notes:?}");
        let list = List::read(&sample(version).join("pouch.toml")).expect("a list");
        assert_eq!(list.stream.as_deref(), Some("sample"));
        let by_list = files(&survey(&list.sources));
        let only_layout: Vec<&String> = by_layout.difference(&by_list).collect();
        assert_eq!(
            only_layout,
            [
                "kit/images/additional-images.list",
                "kit/images/images.list",
                "www/files/yq/v4.42.1/yq_linux_amd64" // the mended place
            ]
        );
        assert!(by_list.is_subset(&by_layout));
        assert!(by_list.contains("kit/setup-all.sh") && by_list.contains("www/files/hello.sh"));
    }
}

#[test]
fn the_sample_is_complete_for_its_own_lists_and_not_for_the_others() {
    let outputs = |version: &str| sample(version).join("outputs");
    let (sources, _) = kubespray::sources(&outputs("v1")).expect("outputs");
    let found = survey(&sources);
    let inputs = Inputs(found.iter().flat_map(|f| f.origins.clone()).collect());
    let artifacts: Vec<Described> = found.into_iter().map(|f| f.described).collect();
    let report = complete(&artifacts, &outputs("v1"), Some(&inputs)).expect("a report");
    assert!(report.files.missing.is_empty() && report.files.extra == ["www/files/hello.sh"], "{report:?}");
    assert_eq!((report.files.listed, report.checksums.equal), (4, 4), "{report:?}");
    let report = complete(&artifacts, &outputs("v2"), Some(&inputs)).expect("a report");
    assert!(!report.ok);
    assert_eq!(report.files.missing.len(), 1);
    assert!(report.files.missing[0].ends_with("/v1.33.2/bin/linux/amd64/kubectl"));
}

#[test]
fn what_is_no_outputs_folder_is_refused() {
    let refused = kubespray::sources(&sample("v1")).err().expect("refused");
    assert!(refused.to_string().contains("files/") && refused.hint().is_some());
}
