//! The option `idmap`, with the ranges that crun lets one write behind it.

use crate::config::IdMapping;

/// How a mount is id-mapped. Without ranges the map is that of the mount's `uidMappings` and `gidMappings`, or else of the
/// container's user namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Idmap {
    /// The mounts below too (`ridmap`).
    pub recursive: bool,
    /// Ranges of `uids=`; empty if none were written.
    pub uids: Vec<IdmapRange>,
    /// Ranges of `gids=`.
    pub gids: Vec<IdmapRange>,
}

/// One range as crun writes it, `[@]FIRST-SECOND-COUNT`: ids from FIRST in the source are shown as ids from SECOND.
#[derive(Clone, Debug, PartialEq)]
pub struct IdmapRange {
    /// FIRST is `container_id`, SECOND is `host_id`.
    pub mapping: IdMapping,
    /// With `@`: SECOND counts inside the container's user namespace.
    pub relative: bool,
}

impl IdmapRange {
    /// The mapping, by the container's `mappings` if it is relative: the one that has its first id moves all of them, as with crun.
    pub(crate) fn absolute(&self, mappings: &[IdMapping]) -> Result<IdMapping, String> {
        let mapping = &self.mapping;
        if !self.relative {
            return Ok(mapping.clone());
        }
        let of = |m: &&IdMapping| mapping.host_id.checked_sub(m.container_id).is_some_and(|nth| nth < m.size);
        let host_id =
            mappings.iter().find(of).and_then(|m| m.host_id.checked_add(mapping.host_id - m.container_id)).ok_or_else(
                || format!("the user namespace maps no id {}, to which an idmap is relative", mapping.host_id),
            )?;
        Ok(IdMapping { host_id, ..mapping.clone() })
    }
}

/// `uids=0-1000-10#10-2000-5;gids=@0-0-1`.
pub(super) fn parse(text: &str, recursive: bool) -> Result<Idmap, String> {
    let mut idmap = Idmap { recursive, ..Idmap::default() };
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (ids, ranges) = match part.split_once('=') {
            Some(("uids", ranges)) => (&mut idmap.uids, ranges),
            Some(("gids", ranges)) => (&mut idmap.gids, ranges),
            _ => return Err(format!("{part:?} is neither uids=… nor gids=…")),
        };
        for range in ranges.split('#') {
            ids.push(parse_range(range).ok_or_else(|| format!("{range:?} is not a range such as 0-1000-10"))?);
        }
    }
    if idmap.uids.is_empty() || idmap.gids.is_empty() {
        return Err("both uids and gids are required".to_owned());
    }
    Ok(idmap)
}

fn parse_range(text: &str) -> Option<IdmapRange> {
    let plain = text.strip_prefix('@').unwrap_or(text);
    let numbers: Vec<u32> = plain.split('-').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let &[container_id, host_id, size @ 1..=u32::MAX] = numbers.as_slice() else { return None };
    Some(IdmapRange { mapping: IdMapping { container_id, host_id, size }, relative: plain.len() != text.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(container_id: u32, host_id: u32, size: u32, relative: bool) -> IdmapRange {
        IdmapRange { mapping: IdMapping { container_id, host_id, size }, relative }
    }

    #[test]
    fn ranges_are_read_as_crun_writes_them() {
        let idmap = parse("uids=0-1000-10#@10-2000-5;gids=0-0-1;", true).unwrap();
        assert_eq!(idmap.uids, [range(0, 1000, 10, false), range(10, 2000, 5, true)]);
        assert_eq!((idmap.gids, idmap.recursive), (vec![range(0, 0, 1, false)], true));
    }

    #[test]
    fn relative_ranges_count_inside_the_user_namespace() {
        let map = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        // The example of crun(1).
        let mappings = [map(0, 0, 1), map(1, 2, 1000)];
        assert_eq!(range(1, 3, 10, true).absolute(&mappings), Ok(map(1, 4, 10)));
        assert_eq!(range(5, 0, 1, true).absolute(&mappings), Ok(map(5, 0, 1)));
        assert_eq!(range(1, 3, 10, false).absolute(&[]), Ok(map(1, 3, 10)));
        for outside in [1001, u32::MAX] {
            let what = format!("the user namespace maps no id {outside}, to which an idmap is relative");
            assert_eq!(range(0, outside, 1, true).absolute(&mappings), Err(what));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (text, what) in [
            ("uids=0-1000-10", "both uids and gids are required"),
            ("", "both uids and gids are required"),
            ("ids=0-0-1", "\"ids=0-0-1\" is neither uids=… nor gids=…"),
            ("uids=0-1;gids=0-0-1", "\"0-1\" is not a range such as 0-1000-10"),
            ("uids=0-1-0;gids=0-0-1", "\"0-1-0\" is not a range such as 0-1000-10"),
            ("uids=0-1-2-3;gids=0-0-1", "\"0-1-2-3\" is not a range such as 0-1000-10"),
            ("uids=0-1-4294967296;gids=0-0-1", "\"0-1-4294967296\" is not a range such as 0-1000-10"),
        ] {
            assert_eq!(parse(text, false), Err(what.to_owned()), "{text}");
        }
    }
}
