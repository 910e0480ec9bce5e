# awk -f companion_score.awk [-v shift=N] [-v tell=1] QUESTIONS ANSWERS: how many of the answers, one a
# line, have all that QUESTIONS ask of them.  shift: hold each answer against the question N further on;
# tell: print those that fail.
BEGIN { FS = "\t" }
/^#/ && NR == FNR { next }
NR == FNR { question[n] = $1; need[n] = NF - 1; for (i = 2; i <= NF; i++) want[n, i - 1] = $i; n++; next }
{ answer[m++] = $0 }
END {
    if (m != n) { print n " questions, " m " answers"; exit 1 }
    for (k = 0; k < n; k++) {
        text = tolower(answer[(k + shift) % n]); good = 1
        for (i = 1; i <= need[k]; i++) if (text !~ want[k, i]) good = 0
        right += good
        if (tell && !good) print "# " question[k] " -> " answer[(k + shift) % n]
    }
    print right + 0
}
