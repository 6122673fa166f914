//! Lists of CPUs and memory nodes, as `0-3,7`.

/// The highest number a list may name: twice what the kernel can be built for, and small enough to lay out as bits.
const HIGHEST: u32 = 16_383;

/// Parses a comma-separated list of numbers and ranges into ranges, ends included. An empty list is empty.
///
/// # Errors
/// What is wrong with the list, for people, without the field.
pub fn parse_list(text: &str) -> Result<Vec<(u32, u32)>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|item| parse_item(item.trim())).collect()
}

fn parse_item(item: &str) -> Result<(u32, u32), String> {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let number = |digits: &str| match digits.parse::<u32>() {
        Ok(number) if digits.bytes().all(|b| b.is_ascii_digit()) && number <= HIGHEST => Ok(number),
        _ => Err(format!("{item:?} is not a number or range such as 0-3,7")),
    };
    match (number(first)?, number(last)?) {
        (first, last) if first <= last => Ok((first, last)),
        _ => Err(format!("the range {item:?} runs backwards")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_list;

    #[test]
    fn lists_are_ranges_in_the_order_written() {
        assert_eq!(parse_list("0-3, 7,5"), Ok(vec![(0, 3), (7, 7), (5, 5)]));
        assert_eq!(parse_list(" \n"), Ok(vec![]));
    }

    #[test]
    fn what_is_not_a_list_is_refused() {
        for bad in ["a", "1-", "-1", "1,,2", "+1", "1-2-3", "99999999999", "16384", "0x1"] {
            assert!(parse_list(bad).is_err_and(|what| what.contains("is not a number or range")), "{bad}");
        }
        assert_eq!(parse_list("3-1"), Err("the range \"3-1\" runs backwards".to_owned()));
    }
}
