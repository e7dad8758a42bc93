//! An *executable* here is an ELF file for x86-64 somewhere in old content; its section table says where code and
//! addresses lie.
//!
//! It only proposes regions to the differ: whatever is read here, patches stay right, at worst larger.

use super::moves::{Kind, Region};
use super::number::wide;

/// Files in tar archives begin at multiples of this.
const STEP: usize = 512;
/// Most sections that a file may have to be looked at.
const SECTIONS: usize = 512;
/// Most regions; an image of a whole distribution has a tenth.
const REGIONS: usize = 1 << 16;
/// Bytes of a section's name that are looked at.
const NAME: usize = 16;

/// Regions of all executables in `old`, whose parts begin at `begins`; ascending and without overlap.
pub fn regions(old: &[u8], begins: &[usize]) -> Vec<Region> {
    let mut found = Vec::new();
    let ends = begins.iter().skip(1).chain([&usize::MAX]);
    for start in begins.iter().zip(ends).flat_map(|(from, to)| (*from..old.len().min(*to)).step_by(STEP)) {
        if found.len() >= REGIONS {
            break;
        }
        if let Some(file) = old.get(start..).filter(|f| f.starts_with(b"\x7fELF\x02\x01\x01")) {
            sections(file, wide(start), &mut found);
        }
    }
    found.sort_unstable_by_key(|r| (r.start, r.len));
    let mut end = 0;
    found.retain(|r| {
        let fits = r.start >= end && r.start.saturating_add(r.len) <= wide(old.len());
        if fits {
            end = r.start.saturating_add(r.len);
        }
        fits
    });
    found
}

fn field<const N: usize>(from: &[u8], at: usize) -> Option<u64> {
    let bytes = from.get(at..)?.get(..N)?;
    Some(bytes.iter().rev().fold(0, |n, b| (n << 8) | u64::from(*b)))
}

/// One section: name, flags, address, offset, size.
fn sections(file: &[u8], start: u64, found: &mut Vec<Region>) -> Option<()> {
    if field::<2>(file, 18)? != 62 {
        return None; // another machine
    }
    let table = usize::try_from(field::<8>(file, 40)?).ok()?;
    let count = usize::try_from(field::<2>(file, 60)?).ok()?.min(SECTIONS);
    let names = usize::try_from(field::<2>(file, 62)?).ok()?;
    let head = |n: usize| file.get(table..)?.get(n.checked_mul(64)?..)?.get(..64);
    let names = usize::try_from(field::<8>(head(names)?, 24)?).ok()?;
    let mut types = None;
    let mut links = None;
    for n in 0..count {
        let h = head(n)?;
        let (name, kind, flags) = (field::<4>(h, 0)?, field::<4>(h, 4)?, field::<8>(h, 8)?);
        let (address, offset, len) = (field::<8>(h, 16)?, field::<8>(h, 24)?, field::<8>(h, 32)?);
        let name = file.get(names..)?.get(usize::try_from(name).ok()?..)?;
        let name = name.get(..NAME).unwrap_or(name);
        let name = name.split(|b| *b == 0).next()?;
        if kind != 1 && kind != 14 && kind != 15 || flags & 2 == 0 || len == 0 {
            continue; // not in memory, or not in the file
        }
        let place = start.checked_add(offset)?;
        let base = address.wrapping_sub(place).cast_signed();
        let kind = match name {
            b".gopclntab" => continue,
            b".typelink" => {
                links = Some((place, len));
                continue;
            }
            _ if flags & 4 != 0 => Kind::Code,
            _ => Kind::Words8 { base },
        };
        if name == b".rodata" && types.is_none() || name == b".go.type" {
            types = Some(place);
        }
        found.push(Region { start: place, len, kind });
    }
    if let (Some((start, len)), Some(types)) = (links, types) {
        found.push(Region { start, len, kind: Kind::Words4 { base: types.wrapping_neg().cast_signed() } });
    }
    Some(())
}
