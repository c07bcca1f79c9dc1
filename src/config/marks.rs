//! What files look like from outside, to notice cheaply that one has changed: no content is read. Polled rather than told
//! by the kernel, as network file systems and mounts do not tell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::files::rule_files;

/// The looks of files and folders, by the paths under which they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(BTreeMap<PathBuf, Mark>);

/// How a path looks; `None`: nothing is there that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    File(Option<File>),
    /// The rule files in it by name; each has its own mark.
    Folder(Option<Vec<OsString>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    /// Where it really is: a ConfigMap changes by pointing `..data` at another folder.
    real: PathBuf,
    /// An editor that renames a new file over the old one changes the second.
    device_and_inode: (u64, u64),
    len: u64,
    /// When the content changed last: seconds and nanoseconds.
    modified: (i64, i64),
}

impl Marks {
    /// Notes a file, to be called before it is read: what changes meanwhile is seen by the next look.
    pub(super) fn file(&mut self, path: &Path) {
        self.0.insert(path.to_owned(), Mark::file(path));
    }

    /// Notes a folder of rules.
    pub(super) fn folder(&mut self, path: &Path) {
        self.0.insert(path.to_owned(), Mark::folder(path));
    }

    /// The same paths as they look now.
    pub(super) fn again(&self) -> Marks {
        let again = |(path, mark): (&PathBuf, &Mark)| {
            let mark = match mark {
                Mark::File(_) => Mark::file(path),
                Mark::Folder(_) => Mark::folder(path),
            };
            (path.clone(), mark)
        };
        Marks(self.0.iter().map(again).collect())
    }
}

impl Mark {
    fn file(path: &Path) -> Mark {
        let found = || {
            let real = std::fs::canonicalize(path).ok()?;
            let found = std::fs::metadata(&real).ok()?;
            Some(File {
                real,
                device_and_inode: (found.dev(), found.ino()),
                len: found.len(),
                modified: (found.mtime(), found.mtime_nsec()),
            })
        };
        Mark::File(found())
    }

    fn folder(path: &Path) -> Mark {
        let names = |paths: Vec<PathBuf>| {
            let names = paths.iter().filter_map(|path| path.file_name());
            names.map(ToOwned::to_owned).collect()
        };
        Mark::Folder(rule_files(path).ok().map(names))
    }
}
