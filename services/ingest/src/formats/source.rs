//! Opens a source file: counts the bytes taken from it, and undoes gzip wherever the content shows it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::{Intake, ReadError, Source};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 128 * 1024;

/// Counts what passes, so that progress is told in bytes of the file itself.
struct Counted<'a> {
    file: File,
    consumed: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.consumed.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The content of the file, decompressed if it is gzip.
pub(super) fn open<'a>(source: &Source<'_>, intake: &Intake<'a>) -> Result<Box<dyn Read + 'a>, ReadError> {
    let (file, gzip) = sniff(source)?;
    intake.consumed.store(0, Ordering::Relaxed);
    let counted = Counted { file, consumed: intake.consumed };
    Ok(match gzip {
        true => Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, counted))),
        false => Box::new(counted),
    })
}

/// The content as a file that can be sought in: the file itself, or a decompressed copy of it.
pub(super) fn open_seekable(
    source: &Source<'_>,
    intake: &Intake<'_>,
) -> Result<(File, Option<Removed>), ReadError> {
    let (file, gzip) = sniff(source)?;
    if !gzip {
        return Ok((file, None));
    }
    let mut content = open(source, intake)?;
    let copy = Removed(intake.scratch.join("decompressed"));
    let mut plain = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&copy.0)
        .map_err(ReadError::Io)?;
    loop {
        if (intake.stopped)() {
            return Err(ReadError::Stopped);
        }
        let copied = io::copy(&mut (&mut content).take(8 << 20), &mut plain)
            .map_err(|err| failed(err, || "inside its gzip".into()))?;
        if copied == 0 {
            return Ok((plain, Some(copy)));
        }
    }
}

/// A temporary file that goes when this value does.
pub(super) struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// An error of the disk stays one; anything else says that the content is damaged, at `place`.
pub(super) fn failed(err: io::Error, place: impl FnOnce() -> String) -> ReadError {
    match err.raw_os_error() {
        Some(_) => ReadError::Io(err),
        None => ReadError::Corrupt { place: place(), detail: err.to_string() },
    }
}

fn sniff(source: &Source<'_>) -> Result<(File, bool), ReadError> {
    let (file, magic) = head(source.path).map_err(ReadError::Io)?;
    let gzip = magic == GZIP_MAGIC;
    if source.gzip && !gzip {
        return Err(ReadError::Corrupt {
            place: "at byte 0".into(),
            detail: "declared as gzip, but it does not begin like gzip".into(),
        });
    }
    Ok((file, gzip))
}

fn head(path: &Path) -> io::Result<(File, [u8; 2])> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    (&mut file).take(2).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok((file, magic.try_into().unwrap_or_default()))
}
