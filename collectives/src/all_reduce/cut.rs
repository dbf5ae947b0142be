//! How a payload is cut: into chunks, one per rank that adds, and chunks into segments, one per message.

use std::ops::Range;

/// The items of chunk `index` if the items of `whole` are split into `parts` chunks. The chunks are nearly
/// equal, with the longer ones first. Some are empty if there are fewer items than chunks.
///
/// # Panics
/// If `parts` is 0.
#[inline]
pub fn chunk(whole: Range<usize>, parts: usize, index: usize) -> Range<usize> {
    let (length, longer) = (whole.len() / parts, whole.len() % parts);
    let start = |index: usize| whole.start + index * length + index.min(longer);
    start(index)..start(index + 1)
}

/// Segment `index` of `chunk`, if it exists. All segments have `length` items except the last, which has
/// fewer, or none if `length` divides the chunk. So the length of the last message marks the end of a chunk,
/// and ranks that disagree on the length of a chunk detect it. An empty chunk has no segments. A `length` of
/// 0 counts as 1.
pub fn segment(chunk: &Range<usize>, length: usize, index: usize) -> Option<Range<usize>> {
    let length = length.max(1);
    let exists = !chunk.is_empty() && index <= chunk.len() / length;
    exists.then(|| {
        let start = chunk.start + index * length;
        start..chunk.end.min(start.saturating_add(length))
    })
}

/// All segments of `chunk`, in order.
pub fn segments(chunk: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..).map_while(move |index| segment(&chunk, length, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_once_and_evenly() {
        for total in 0..40 {
            for parts in 1..12 {
                let chunks: Vec<_> = (0..parts).map(|index| chunk(5..5 + total, parts, index)).collect();
                assert_eq!((chunks[0].start, chunks[parts - 1].end), (5, 5 + total));
                assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert!(chunks.iter().all(|c| c.len() == total / parts || c.len() == total.div_ceil(parts)));
            }
        }
    }

    #[test]
    fn segments_cover_a_chunk_once_and_only_the_last_is_short() {
        for items in 1..40 {
            for length in (1..12).chain([usize::MAX]) {
                let all: Vec<_> = segments(3..3 + items, length).collect();
                let (last, full) = all.split_last().expect("there is always a last one");
                assert!(full.iter().all(|segment| segment.len() == length));
                assert!(last.len() < length);
                assert_eq!((all[0].start, last.end), (3, 3 + items));
                assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
            }
        }
        assert_eq!(segments(4..4, 3).count(), 0);
        assert!(segments(0..9, 0).eq(segments(0..9, 1)));
    }
}
