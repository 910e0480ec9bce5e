/* SPDX-License-Identifier: MIT
 *
 * Showing generated text: whole characters only, stop strings withheld until decided, and the same
 * result however the text was cut into tokens. */
#include "config.h"

#include "base/mem.h"
#include "src/text/stream.h"
#include "tests/tap.h"
#include "tests/text_vocab.h"

#define LOW "\xE2\x96\x81"

static struct weir_tok *t;
static char shown[4096];
static size_t n_shown;

enum { TOK_SPACE_HI = 259, TOK_HI, TOK_STOP, TOK_LLAMA, TOK_SPACE }; /* ids of the words below */

static uint32_t byte(unsigned b) { return 3 + (b & 255); }

static int push(struct weir_stream *s, uint32_t id)
{
    const char *p;
    size_t n;
    const int rc = weir_stream_push(s, id, &p, &n);
    if (!rc && n_shown + n < sizeof(shown)) {
        memcpy(shown + n_shown, p, n);
        n_shown += n;
    }
    return rc;
}

static void finish(struct weir_stream *s)
{
    const char *p;
    size_t n;
    if (!weir_stream_flush(s, &p, &n) && n_shown + n < sizeof(shown)) {
        memcpy(shown + n_shown, p, n);
        n_shown += n;
    }
    weir_stream_done(s);
}

static bool is(const char *want)
{
    return n_shown == strlen(want) && !memcmp(shown, want, n_shown);
}

/* BYTES one by one, then the end. */
static void bytes(const char *in, size_t n, const char *const *stops, size_t n_stop,
                  const char *want, const char *what)
{
    struct weir_stream s;
    weir_stream_init(&s, t, stops, n_stop, false);
    n_shown = 0;
    for (size_t i = 0; i < n; i++)
        push(&s, byte((unsigned char)in[i]));
    finish(&s);
    if (!ok(is(want), "%s", what))
        printf("# got '%.*s'\n", (int)n_shown, shown);
}

static void characters(void)
{
    struct weir_stream s;
    weir_stream_init(&s, t, NULL, 0, false);
    n_shown = 0;
    push(&s, byte(0xF0));
    push(&s, byte(0x9F));
    push(&s, byte(0xA6));
    ok(n_shown == 0, "three bytes of a llama show nothing");
    push(&s, byte(0x99));
    ok(is("\xF0\x9F\xA6\x99"), "the fourth shows it");
    push(&s, byte(0xC3));
    push(&s, TOK_HI);
    ok(is("\xF0\x9F\xA6\x99\xEF\xBF\xBDhi"), "a character that cannot be finished is U+FFFD");
    push(&s, 1);
    push(&s, 99999);
    ok(n_shown == 9, "control tokens and unknown ids show nothing");
    push(&s, byte(0xE2));
    finish(&s);
    ok(is("\xF0\x9F\xA6\x99\xEF\xBF\xBDhi\xEF\xBF\xBD"), "so is one that the end cuts off");

    /* Unicode 15, section 3.9, tables 3-8 to 3-11 */
#define R "\xEF\xBF\xBD"
    bytes("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 9, NULL, 0, R R R R R R R R "A",
          "non-shortest forms");
    bytes("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 9, NULL, 0, R R R R R R R R "A", "surrogates");
    bytes("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 9, NULL, 0, R R R R R "A" R R "B",
          "other ill-formed bytes");
    bytes("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 9, NULL, 0, R R R R "A", "truncated sequences");
}

static void stops(void)
{
    static const char *const st[] = { "STOP", "\n\n", "\xF0\x9F\xA6\x99" };
    struct weir_stream s;
    weir_stream_init(&s, t, st, 3, false);
    n_shown = 0;
    push(&s, TOK_HI);
    push(&s, byte('S'));
    push(&s, byte('T'));
    ok(is("hi"), "what may become a stop string is withheld");
    push(&s, byte('A'));
    ok(is("hiSTA"), "until it cannot");
    push(&s, byte('\n'));
    push(&s, byte('\n'));
    ok(s.stopped && is("hiSTA"), "a stop string is not shown");
    push(&s, TOK_HI);
    finish(&s);
    ok(is("hiSTA"), "nor is anything after it");

    weir_stream_init(&s, t, st, 3, false);
    n_shown = 0;
    push(&s, TOK_STOP); /* "xSTOPy" as one token */
    ok(s.stopped && is("x"), "a stop string inside a token");
    weir_stream_done(&s);

    weir_stream_init(&s, t, st, 3, false);
    n_shown = 0;
    push(&s, TOK_LLAMA);
    ok(s.stopped && is("a"), "a stop string of several bytes");
    weir_stream_done(&s);

    bytes("SSTSTOP", 7, st, 1, "SST", "a stop string that begins twice");
    bytes("STO", 3, st, 3, "STO", "the end shows what was withheld");
    bytes("a\xF0\x9F\xA6", 4, st, 3, "a" R, "half a character that might have been a stop string");
    static const char *const nested[] = { "abcd", "bc" };
    bytes("xabcd", 5, nested, 2, "xa", "the string that is complete first counts");
    static const char *const same_end[] = { "c", "abc" };
    bytes("xabcd", 5, same_end, 2, "x", "of two that end together, the one that began first");
}

static void spaces(void)
{
    struct weir_stream s;
    for (int strip = 0; strip < 2; strip++) {
        weir_stream_init(&s, t, NULL, 0, strip);
        n_shown = 0;
        push(&s, 1);
        push(&s, TOK_SPACE_HI);
        push(&s, TOK_SPACE_HI);
        finish(&s);
        ok(is(strip ? "hi hi" : " hi hi"), "the space put in front of a text %s",
           strip ? "goes" : "stays when asked");
    }
    weir_stream_init(&s, t, NULL, 0, true);
    n_shown = 0;
    push(&s, TOK_HI);
    push(&s, TOK_SPACE_HI);
    finish(&s);
    ok(is("hi hi"), "only the first piece is looked at");
    weir_stream_init(&s, t, NULL, 0, true);
    n_shown = 0;
    push(&s, TOK_SPACE);
    push(&s, TOK_SPACE);
    finish(&s);
    ok(is(" "), "a space of its own");
    weir_stream_init(&s, t, NULL, 0, true);
    n_shown = 0;
    finish(&s);
    ok(n_shown == 0, "an empty stream shows nothing");
}

/* Is P[0..N) valid UTF-8?  A second opinion, written without utf8.h. */
static bool valid(const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        const unsigned char c = (unsigned char)p[i];
        const size_t len = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
        uint32_t v = len == 1 ? c : c & (0x7Fu >> len);
        if (!len || i + len > n)
            return false;
        for (size_t k = 1; k < len; k++) {
            if (((unsigned char)p[i + k] & 0xC0) != 0x80)
                return false;
            v = v << 6 | ((unsigned char)p[i + k] & 0x3F);
        }
        if ((len > 1 && v < (const uint32_t[]){ 0, 0, 0x80, 0x800, 0x10000 }[len]) ||
            (v >= 0xD800 && v < 0xE000) || v > 0x10FFFF)
            return false;
        i += len;
    }
    return true;
}

/* Random tokens: each thing shown is valid UTF-8, and feeding the same bytes one by one shows the
 * same. */
static void random_streams(void)
{
    static const char *const st[] = { "ab", "aab", "\xC3\xA9", "hi hi" };
    uint64_t seed = 3;
    unsigned bad = 0;
    for (unsigned r = 0; r < 3000; r++) {
        static char all[4096], first[4096];
        size_t n_all = 0;
        struct weir_stream s;
        weir_stream_init(&s, t, st, r % 5 ? 4 : 0, false);
        n_shown = 0;
        for (unsigned i = vf_random(&seed) % 40; i--;) {
            static const unsigned char some[] = "aabb\xC3\xA9\xE2\x96\x81\xF0\x9F\xA6\x99\xFF hi";
            const uint64_t x = vf_random(&seed);
            const uint32_t id = x % 4 ? byte(some[(x >> 8) % (sizeof(some) - 1)])
                                      : (uint32_t)(TOK_SPACE_HI + (x >> 8) % 5);
            size_t n;
            const char *p = weir_tok_piece(t, id, false, &n);
            memcpy(all + n_all, p, n);
            n_all += n;
            const size_t before = n_shown;
            push(&s, id);
            bad += !valid(shown + before, n_shown - before);
        }
        finish(&s);
        memcpy(first, shown, n_shown);
        const size_t n_first = n_shown;
        weir_stream_init(&s, t, st, r % 5 ? 4 : 0, false);
        n_shown = 0;
        for (size_t i = 0; i < n_all; i++)
            push(&s, byte((unsigned char)all[i]));
        finish(&s);
        bad += n_shown != n_first || memcmp(first, shown, n_first);
        for (unsigned i = 0; r % 5 && i < 4; i++)
            bad += memmem(first, n_first, st[i], strlen(st[i])) != NULL;
    }
    ok(!bad, "3000 random streams are valid and do not depend on the cut");
}

int main(void)
{
    static const struct vocab_word words[] = { { LOW "hi", -1, 1 },
                                               { "hi", -2, 1 },
                                               { "xSTOPy", -3, 1 },
                                               { "a\xF0\x9F\xA6\x99z", -4, 1 },
                                               { LOW, -5, 1 } };
    struct vocab_file vf = { 0 };
    char path[300];
    const char *dir = vf_tmp();
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    snprintf(path, sizeof(path), "%s/v.gguf", dir);
    vf_spm(&vf, words, 5);
    vf_save(&vf, path);
    if (weir_map_open(path, &m, &err) || weir_tok_load(m, &t, &err))
        ok(0, "a small vocabulary loads: %s", err.msg);
    weir_map_close(m);
    unlink(path);
    rmdir(dir);
    free(vf.p);
    if (t) {
        characters();
        stops();
        spaces();
        random_streams();
    }
    weir_tok_free(t);
    ok(weir_mem_used(WEIR_MEM_TEXT) == 0 && weir_mem_used(WEIR_MEM_MISC) == 0,
       "no memory is left over");
    return done();
}
