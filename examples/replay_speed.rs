//! `replay_speed GZIP [OLD_GZIP]`: how fast one gzip member is recognised, replayed on one thread and on two, and, with an older one, how fast the
//! differ and the patch are. One line of JSON: seconds are the best of three, in process, all input in memory.

#![allow(clippy::print_stdout)]

use flate2::bufread::GzDecoder;
use pouch::patch::{DEFAULT_LEVEL, Differ, apply};
use pouch::replay::recognise::{Options, recognise};
use std::error::Error;
use std::io::Read;
use std::time::Instant;

/// Plain bytes of a block.
const PIECE: usize = 16 << 20;

fn best<R>(mut run: impl FnMut() -> Result<R, Box<dyn Error>>) -> Result<(R, f64), Box<dyn Error>> {
    let (mut least, mut out) = (f64::MAX, None);
    for _ in 0..3 {
        let begin = Instant::now();
        out = Some(run()?);
        least = least.min(begin.elapsed().as_secs_f64());
    }
    out.map(|o| (o, least)).ok_or_else(|| "nothing ran".into())
}

fn open(path: &str) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let gzip = std::fs::read(path)?;
    if gzip.get(..4) != Some(b"\x1f\x8b\x08\0") || gzip.len() < 18 {
        return Err(format!("{path}: one gzip member without a name is expected (gzip -n)").into());
    }
    let mut plain = Vec::new();
    GzDecoder::new(gzip.as_slice()).read_to_end(&mut plain)?;
    Ok((gzip[10..gzip.len() - 8].to_vec(), plain))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (new, old) = (args.first().ok_or("replay_speed GZIP [OLD_GZIP]")?, args.get(1));
    let (compressed, plain) = open(new)?;
    let options = Options { threads: 2, ..Options::default() };
    let stream =
        recognise(compressed.as_slice(), plain.as_slice(), &options)?.ok_or("none of our encoders made this")?;
    let replay = |threads: usize| {
        let mut out = Vec::with_capacity(compressed.len());
        stream.replay(plain.as_slice(), threads, 64 << 20, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        })?;
        if out == compressed { Ok(()) } else { Err("the replayed stream differs".into()) }
    };
    let (((), one), ((), two)) = (best(|| replay(1))?, best(|| replay(2))?);
    let mut line = serde_json::json!({
        "encoder": stream.identity.to_string(), "checkpoints": stream.checkpoints.len(),
        "plain": plain.len(), "compressed": compressed.len(), "one": one, "two": two,
    });
    if let Some(old) = old {
        let (_, old) = open(old)?;
        let cuts: Vec<(u64, &[u8])> = (0..).step_by(PIECE).zip(plain.chunks(PIECE)).collect();
        let diff = || {
            let differ = Differ::new(&old, &[0]);
            Ok(cuts.iter().map(|(at, new)| differ.diff(new, *at, DEFAULT_LEVEL)).collect::<Result<Vec<_>, _>>()?)
        };
        let (patches, seconds) = best(diff)?;
        let old = old.as_slice();
        let patched = || {
            for (patch, (_, new)) in patches.iter().zip(&cuts).filter_map(|(p, cut)| Some((p.as_ref()?, cut))) {
                std::hint::black_box(apply(patch, u32::try_from(new.len())?, &old)?);
            }
            Ok(())
        };
        let ((), applied) = best(patched)?;
        line["diff"] = seconds.into();
        line["apply"] = applied.into();
        line["patch"] = patches.iter().flatten().map(Vec::len).sum::<usize>().into();
    }
    println!("{line}");
    Ok(())
}
