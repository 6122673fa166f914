//! Amounts of memory as people write them for `update`: `512M`, `1.5GiB`, `4096`.

/// The amount in bytes: digits with an optional fraction, then `b`, or one of `k m g t p` alone or with `b` or `ib`, in
/// either case, all powers of 1024. The error is the reason.
pub fn bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_ascii_lowercase();
    let shift = match suffix.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ if number.is_empty() => return Err(invalid()),
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') {
        return Err(invalid());
    }
    let whole: i64 = whole.parse().map_err(|_| invalid())?;
    let whole = whole.checked_mul(1 << shift).ok_or_else(invalid)?;
    // The fraction as a 64-bit binary fraction: enough digits for any suffix.
    let part = format!("0.{fraction}0").parse::<f64>().map_err(|_| invalid())?;
    let part = (part * (1u64 << shift) as f64) as i64;
    whole.checked_add(part).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("4096", 4096),
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("32mb", 32 << 20),
            ("1.5GiB", 3 << 29),
            ("2 kb", 2048),
            ("1.5b", 1),
            ("7T", 7 << 40),
            ("1P", 1 << 50),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "M", "x", "-1", "1.2.3", "1MM", "1Mi", "1bb", "1  k", ".5k", "9223372036854775808", "9999P"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(bytes("12q"), Err("invalid suffix: 'q'".into()));
        assert_eq!(bytes("cat"), Err("invalid size: 'cat'".into()));
    }
}
