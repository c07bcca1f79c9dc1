//! Bodies from which tags, increments and changes are read (rules.md §2): collected within limits, decoded, and handed on
//! as they came. What is picked out of them is `rules`' to say.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::response::Parts;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::body::Body;
use crate::body::End;
use crate::fetch::Fetch;
use crate::fetch::Wrong;
use crate::fetch::room::{Held, Room};
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::rules::Picked;
use crate::rules::Pointer;

/// How much of bodies is collected and decoded at a time.
pub(super) struct Picking {
    /// For what is held until it has been handed on.
    room: Room,
    /// Those that are decoded side by side: each takes up to `max_object` for a moment.
    decoders: Arc<Semaphore>,
}

/// No more than there are cores to do it on, for most.
const DECODERS: usize = 2;

/// A list longer than this says the same coding again and again, to cost us time.
const MOST_CODINGS: usize = 3;

impl Picking {
    /// Of all bodies together this many bytes are held.
    pub(super) fn new(most: usize) -> Picking {
        Picking {
            room: Room::new(most),
            decoders: Arc::new(Semaphore::new(DECODERS)),
        }
    }
}

impl Fetch {
    /// What stands at these places of a body, or why nobody can say; and the body as it was. Who `insists` reads it however
    /// many others are read: increments are made of it.
    pub(super) async fn pick(
        &self,
        body: Body,
        parts: &Parts,
        wanted: &[&Pointer],
        insists: bool,
        head: &Head,
    ) -> (Result<Picked, NoStore>, Body) {
        let (picked, body) = match codings(parts) {
            Err(why) => (Err(why), body),
            Ok(codings) => match self.collect(body, insists).await {
                (Ok(text), body) => (self.decode(text, codings, wanted).await, body),
                (Err(why), body) => (Err(why), body),
            },
        };
        let picked = picked.map_err(|Unread { reason, why }| {
            if let Some(not_logged) = self.is_told(Wrong::Body(reason)) {
                let uri = head.logged_uri();
                tracing::warn!(uri, %why, not_logged, "what a rule wants of a body cannot be read");
            }
            reason
        });
        (picked, body)
    }

    /// The bytes of a body, if it ends whole and is not too large; and the body as it was.
    async fn collect(&self, body: Body, insists: bool) -> (Result<Bytes, Unread>, Body) {
        let most = self.0.limits.max_object;
        if body.exact_len().is_some_and(|len| len > most as u64) {
            return (Err(Unread::TOO_LARGE), body);
        }
        let (mut read, mut held): (_, Held) = (0, None);
        let peeked = body.peek(|bytes| {
            read += bytes;
            let has_room = self.0.picking.room.take(&mut held, bytes) || insists;
            has_room && read <= most
        });
        let peeked = peeked.await;
        let text = match peeked.end {
            End::Whole => Ok(peeked.data()),
            End::Cut => Err(Unread::of("it was cut short")),
            End::NotYet if read > most => Err(Unread::TOO_LARGE),
            End::NotYet => Err(Unread::of("too many bodies are read at a time")),
        };
        (text, peeked.whole(held))
    }

    async fn decode(
        &self,
        text: Bytes,
        codings: Vec<Coding>,
        wanted: &[&Pointer],
    ) -> Result<Picked, Unread> {
        let wanted: Vec<Pointer> = wanted.iter().map(|pointer| (*pointer).clone()).collect();
        let most = self.0.limits.max_object;
        let decoders = Arc::clone(&self.0.picking.decoders);
        let permit = decoders.acquire_owned().await;
        let picked = spawn_blocking(move || {
            let _permit = permit;
            let text = decoded(text, &codings, most)?;
            Picked::read(&wanted, &text)
                .map_err(|error| Unread::of(format!("it is no JSON: {error}")))
        });
        picked
            .await
            .unwrap_or_else(|error| Err(Unread::of(error.to_string())))
    }
}

/// Why a body cannot be read.
#[derive(Debug)]
struct Unread {
    reason: NoStore,
    why: Cow<'static, str>,
}

impl Unread {
    const TOO_LARGE: Unread = Unread {
        reason: NoStore::TooLarge,
        why: Cow::Borrowed("it is larger than `limits.max_object`"),
    };

    fn of(why: impl Into<Cow<'static, str>>) -> Unread {
        Unread {
            reason: NoStore::UnreadableBody,
            why: why.into(),
        }
    }
}

/// Whether the response says that it is something else, a stream of events for one, which may never end.
fn is_other_than_json(parts: &Parts) -> bool {
    let lines = parts.headers.get_all(header::CONTENT_TYPE).iter();
    let mut texts = lines.map(|line| line.to_str().unwrap_or("?").to_ascii_lowercase());
    texts.any(|text| !text.contains("json") && !text.starts_with("text/plain"))
}

/// The content of a response as rules read it, without its codings and no larger than `most`; or why it is not read.
///
/// # Errors
///
/// [`NoStore::UnreadableBody`] or [`NoStore::TooLarge`].
pub fn content(parts: &Parts, body: Bytes, most: usize) -> Result<Bytes, NoStore> {
    let decoded = codings(parts).and_then(|codings| decoded(body, &codings, most));
    decoded.map_err(|unread| unread.reason)
}

/// How the content is encoded (RFC 9110 §8.4), outermost last; or why it is not even looked at.
fn codings(parts: &Parts) -> Result<Vec<Coding>, Unread> {
    if is_other_than_json(parts) {
        return Err(Unread::of("its `Content-Type` is not JSON"));
    }
    let lines = parts.headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = Vec::new();
    for line in lines {
        let text = line.to_str().unwrap_or("?");
        for name in text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            codings.push(match name.to_ascii_lowercase().as_str() {
                "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                _ => return Err(Unread::of("its content coding is not known")),
            });
        }
    }
    match codings.len() {
        0..=MOST_CODINGS => Ok(codings),
        _ => Err(Unread::of("its content is encoded again and again")),
    }
}

#[derive(Clone, Copy, Debug)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The content without its codings, if that is no larger than `most`.
fn decoded(mut text: Bytes, codings: &[Coding], most: usize) -> Result<Bytes, Unread> {
    for coding in codings.iter().rev() {
        text = match coding {
            Coding::Gzip => bounded(flate2::read::MultiGzDecoder::new(&text[..]), most),
            Coding::Deflate => bounded(flate2::read::ZlibDecoder::new(&text[..]), most),
            Coding::Brotli => bounded(
                brotli_decompressor::Decompressor::new(&text[..], 4096),
                most,
            ),
            Coding::Zstd => zstd_decoder(&text)
                .map_err(|error| broken(&error))
                .and_then(|decoder| bounded(decoder, most)),
        }?;
    }
    Ok(text)
}

/// Who sends this coding keeps to windows of 8 MiB (RFC 9659 §3); a larger one is memory that somebody wants to cost us.
fn zstd_decoder(text: &[u8]) -> io::Result<zstd::Decoder<'_, &[u8]>> {
    let mut decoder = zstd::Decoder::with_buffer(text)?;
    decoder.window_log_max(23)?;
    Ok(decoder)
}

fn bounded(decoder: impl Read, most: usize) -> Result<Bytes, Unread> {
    let mut text = Vec::new();
    let mut decoder = decoder.take(most as u64 + 1);
    decoder
        .read_to_end(&mut text)
        .map_err(|error| broken(&error))?;
    if text.len() > most {
        return Err(Unread::TOO_LARGE);
    }
    Ok(text.into())
}

fn broken(error: &io::Error) -> Unread {
    Unread::of(format!("its content coding is broken: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::Response;

    const TEXT: &[u8] = br#"{"id": 7}"#;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// A brotli stream of one uncompressed metablock (RFC 7932 §9.2).
    fn brotli(text: &[u8]) -> Vec<u8> {
        let len = u32::try_from(text.len() - 1).unwrap();
        // WBITS 16 (1 bit), ISLAST 0, MNIBBLES 4 (00), MLEN - 1 (16 bits), ISUNCOMPRESSED 1; then ISLAST and ISLASTEMPTY.
        let head = (len << 4 | 1 << 20).to_le_bytes();
        [&head[..3], text, &[3]].concat()
    }

    fn of(coding: &str, text: Vec<u8>, most: usize) -> Result<Bytes, NoStore> {
        let response = Response::builder().header("content-encoding", coding);
        content(
            &response.body(()).unwrap().into_parts().0,
            text.into(),
            most,
        )
    }

    #[test]
    fn a_body_is_decoded_as_it_says() {
        let zstd = zstd::encode_all(TEXT, 0).unwrap();
        for (coding, text) in [
            ("", TEXT.to_vec()),
            ("identity", TEXT.to_vec()),
            ("gzip", gzip(TEXT)),
            ("X-GZIP", gzip(TEXT)),
            ("deflate", zlib(TEXT)),
            ("br", brotli(TEXT)),
            ("zstd", zstd),
            ("deflate, gzip", gzip(&zlib(TEXT))),
        ] {
            assert_eq!(
                of(coding, text, 100),
                Ok(Bytes::from_static(TEXT)),
                "{coding}"
            );
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused_and_a_bomb_does_not_go_off() {
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 2_000);
        for (coding, text, expected) in [
            ("gzip", TEXT.to_vec(), NoStore::UnreadableBody),
            ("gzip", gzip(TEXT)[..12].to_vec(), NoStore::UnreadableBody),
            ("br", TEXT.to_vec(), NoStore::UnreadableBody),
            ("zstd", TEXT.to_vec(), NoStore::UnreadableBody),
            ("compress", TEXT.to_vec(), NoStore::UnreadableBody),
            (
                "gzip,gzip,gzip,gzip",
                TEXT.to_vec(),
                NoStore::UnreadableBody,
            ),
            ("gzip", bomb.clone(), NoStore::TooLarge),
            ("gzip, gzip", gzip(&bomb), NoStore::TooLarge),
        ] {
            assert_eq!(of(coding, text, 1_000), Err(expected), "{coding}");
        }
    }

    #[test]
    fn a_window_that_is_too_large_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(26).unwrap();
        encoder.write_all(TEXT).unwrap();
        let text = encoder.finish().unwrap();
        assert_eq!(of("zstd", text, 1_000), Err(NoStore::UnreadableBody));
    }
}
