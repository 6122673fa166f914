# Judges what one test of the validation suite said: `pass` or `fail`, how many of its results were good, and the first
# complaint. Needs `status`, its exit status.
#
# Some tests have no results at all: they report by exit status, or by an `error` that belongs to no result.

/^ok / { good++; results++ }
/^not ok / {
    results++
    if (/# TODO/) good++
    else if (complaint == "") complaint = $0
}
/^1\.\.[0-9]+/ { planned += substr($1, 4); plans++ }
/^    "error": / && results == 0 && complaint == "" { complaint = $0; sub(/^ *"error": /, "", complaint) }

END {
    if (complaint == "" && status != 0) complaint = "exit status " status
    if (complaint == "" && plans && planned != results) complaint = results " results of " planned " planned"
    printf "%s %d/%d %s\n", complaint == "" ? "pass" : "fail", good, results, complaint
}
