//! The names of signals, as `kill` takes them.

/// signal(7): the standard signals by name, without `SIG`.
const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The real-time signals as kill(1) counts them: glibc keeps the kernel's first two for itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// The number of a signal given by number or name: in any case, with or without `SIG`, `RTMIN+n` and `RTMAX-n` included.
/// A number is taken as it is. The error is the line to print.
pub fn number(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    named.or_else(|| realtime(name)).ok_or_else(|| format!("unknown signal {text:?}"))
}

fn realtime(name: &str) -> Option<i32> {
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => RTMIN,
        (_, Some("")) => RTMAX,
        (Some(offset), _) => RTMIN + i32::from(offset.strip_prefix('+')?.parse::<u8>().ok()?),
        (_, Some(offset)) => RTMAX - i32::from(offset.strip_prefix('-')?.parse::<u8>().ok()?),
        _ => return None,
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn names_and_numbers() {
        for (text, expected) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("kill", 9),
            ("sigTerm", 15),
            ("0", 0),
            ("WINCH", 28),
            ("poll", 29),
            ("cld", 17),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("64", 64),
        ] {
            assert_eq!(number(text), Ok(expected), "{text}");
        }
        assert_eq!(number("BOGUS"), Err("unknown signal \"BOGUS\"".into()));
        for text in ["", "SIG", "SIGSIGKILL", "RTMIN-1", "RTMIN+31", "RTMIN+ 1", "9x", "1.5"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
