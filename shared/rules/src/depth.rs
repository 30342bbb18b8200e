//! Finds nesting that goes too deep in JSON text, byte by byte, before any parser recurses into it.

use std::ops::Range;

use crate::pointer::escape;

/// Keys longer than this end the pointer at the object that holds them.
const LONGEST_KEY: usize = 512;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooDeep {
    /// The first place that lies deeper than the limit.
    pub pointer: String,
    /// The deepest level of the whole text.
    pub depth: usize,
}

enum Frame {
    Object { key: Range<usize>, expects_key: bool },
    List { index: usize },
}

/// `None` when no object or list lies deeper than `limit`, the outermost one being level 1. The text need
/// not be valid JSON: brackets outside of strings are what is counted.
pub(crate) fn too_deep(text: &[u8], limit: usize) -> Option<TooDeep> {
    let mut frames: Vec<Frame> = Vec::new();
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut pointer = None;
    let mut at = 0;
    while at < text.len() {
        let within = depth == frames.len();
        match text[at] {
            b'"' => {
                let end = string_end(text, at);
                if let (true, Some(Frame::Object { key, expects_key: true })) = (within, frames.last_mut()) {
                    *key = at..end;
                }
                at = end;
                continue;
            }
            bracket @ (b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
                if depth <= limit {
                    frames.push(match bracket {
                        b'{' => Frame::Object { key: 0..0, expects_key: true },
                        _ => Frame::List { index: 0 },
                    });
                } else if pointer.is_none() {
                    pointer = Some(pointer_of(text, &frames));
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                frames.truncate(depth);
            }
            b',' if within => match frames.last_mut() {
                Some(Frame::Object { expects_key, .. }) => *expects_key = true,
                Some(Frame::List { index }) => *index += 1,
                None => {}
            },
            b':' if within => {
                if let Some(Frame::Object { expects_key, .. }) = frames.last_mut() {
                    *expects_key = false;
                }
            }
            _ => {}
        }
        at += 1;
    }
    pointer.map(|pointer| TooDeep { pointer, depth: deepest })
}

/// The byte after the closing quote of the string that opens at `open`.
fn string_end(text: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn pointer_of(text: &[u8], frames: &[Frame]) -> String {
    let mut pointer = String::new();
    for frame in frames {
        pointer.push('/');
        match frame {
            Frame::List { index } => pointer.push_str(&index.to_string()),
            Frame::Object { key, .. } if key.len() > LONGEST_KEY => {
                pointer.pop();
                return pointer;
            }
            Frame::Object { key, .. } => {
                let raw = &text[key.clone()];
                let key = serde_json::from_slice::<String>(raw);
                pointer.push_str(&escape(&key.unwrap_or_else(|_| String::from_utf8_lossy(raw).into_owned())));
            }
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, limit: usize, expected: Option<(&str, usize)>) {
        let expected = expected.map(|(pointer, depth)| TooDeep { pointer: pointer.into(), depth });
        assert_eq!(too_deep(text.as_bytes(), limit), expected, "{text}");
    }

    #[test]
    fn names_the_place_and_the_depth_reached() {
        check(r#"{"a": [1, {"b": 2}]}"#, 3, None);
        check(r#"{"a": [1, {"b": 2}, {}]}"#, 2, Some(("/a/1", 3)));
        check(r#"{"x": {}, "a/b": {"c~\"d": [[]]}}"#, 2, Some(("/a~1b/c~0\"d", 4)));
        check(r#"{"x": "[[[[[{{{{", "y": "\"[[[["}"#, 1, None);
        check(r#"{"x": {"y": 1}, "z": {}}"#, 1, Some(("/x", 2)));
        check(r#"[{"k": "v", "w": []}, []]"#, 2, Some(("/0/w", 3)));
    }

    #[test]
    fn survives_text_that_is_no_json() {
        check("]]}}[[", 1, Some(("/0", 2)));
        check("\"\\", 1, None);
        check(":,:,{\"", 1, None);
        check(&"[".repeat(5_000_000), 3, Some(("/0/0/0", 5_000_000)));
    }
}
