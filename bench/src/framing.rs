//! The framing of the real inputs: `u32 big-endian length ‖ request`, any number of them, in a zstd file.

use std::fmt::Display;
use std::path::Path;

/// The unpacked content of such a file.
///
/// # Errors
/// It is not there, or is not zstd.
pub(crate) fn unpacked(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error: &dyn Display| format!("{}: {error}; set ALDIS_SHARED_DATA", path.display());
    let file = std::fs::File::open(path).map_err(|e| told(&e))?;
    zstd::decode_all(file).map_err(|e| told(&e))
}

/// The requests in it; a last one that is cut off is as short as it is.
pub(crate) fn requests(mut content: &[u8]) -> Vec<&[u8]> {
    let mut requests = Vec::new();
    while let Some((length, rest)) = content.split_first_chunk::<4>() {
        let (body, rest) = rest.split_at((u32::from_be_bytes(*length) as usize).min(rest.len()));
        requests.push(body);
        content = rest;
    }
    requests
}

/// Adds a request.
///
/// # Errors
/// It is of 4 GiB.
pub(crate) fn append(content: &mut Vec<u8>, request: &[u8]) -> Result<(), String> {
    let length = u32::try_from(request.len()).map_err(|_| "a request of 4 GiB".to_owned())?;
    content.extend_from_slice(&length.to_be_bytes());
    content.extend_from_slice(request);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_found() {
        let mut content = Vec::new();
        for request in [&b"one"[..], b"", b"three"] {
            append(&mut content, request).unwrap();
        }
        assert_eq!(requests(&content), [&b"one"[..], b"", b"three"]);
        assert_eq!(requests(&content[..content.len() - 2]), [&b"one"[..], b"", b"thr"]);
    }
}
