/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for the files of saved conversations.  Behind the first byte comes the file; when
 * that byte is odd, its checksums are made right, so that what they guard is reached. */
#include "config.h"

#include "src/run/saved_priv.h"
#include "src/run/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST (1u << 16)
#define CTX  32

static void repair(uint8_t *p, size_t n)
{
    struct saved_head h;
    struct saved_slot s;
    if (n < SAVED_FIRST)
        return;
    memcpy(&h, p, sizeof(h));
    memcpy(h.magic, SAVED_MAGIC, sizeof(h.magic));
    h.version = SAVED_VERSION;
    h.hash = saved_hash(&h, offsetof(struct saved_head, hash));
    memcpy(p, &h, sizeof(h));
    for (int i = 0; i < 2; i++) {
        memcpy(&s, p + SAVED_SLOT(i), sizeof(s));
        memcpy(s.magic, "weirslot", 8);
        s.seq = (s.seq & ~UINT64_C(1)) | (unsigned)i;
        s.hash = saved_hash(&s, offsetof(struct saved_slot, hash));
        memcpy(p + SAVED_SLOT(i), &s, sizeof(s));
    }
    for (size_t at = SAVED_FIRST; at + SAVED_ALIGN <= n; at += SAVED_ALIGN) {
        struct saved_rec r;
        memcpy(&r, p + at, sizeof(r));
        if (memcmp(r.magic, "weir", 4))
            continue;
        if (r.bytes <= n - at - sizeof(r))
            r.hash = saved_hash(p + at + sizeof(r), r.bytes);
        r.head_hash = saved_hash(&r, offsetof(struct saved_rec, head_hash));
        memcpy(p + at, &r, sizeof(r));
    }
}

/* What is read of it must be what it says; what is refused must have a sentence. */
static void read_all(const char *path)
{
    const struct weir_config c = { .n_layer = 2, .n_head_kv = 2, .head_dim = 4 };
    struct weir_saved *f = NULL;
    struct weir_saved_state s = { 0 };
    struct weir_talk t = { 0 };
    struct weir_err err = { 0 };
    struct weir_kv kv;
    char *text = NULL;
    size_t n;
    bool last;
    if (!weir_saved_recover(path, &text, &n, &last, &err))
        (void)weir_talk_read(&t, path, text, n, &err);
    weir_free(text);
    weir_talk_done(&t);
    if (weir_saved_view(path, &f, &err)) {
        if (!err.msg[0])
            abort();
        return;
    }
    if (weir_kv_init(&kv, &c, WEIR_KV_F16, CTX, NULL, NULL))
        abort();
    if (!weir_saved_state(f, &s, &err))
        for (uint32_t i = 0; i < s.n_pos; i++)
            if (s.tokens[i] >= weir_saved_id(f)->n_vocab)
                abort();
    for (uint32_t some = 1; some <= CTX; some += 15)
        (void)weir_saved_keys(f, &kv, some, &err);
    weir_kv_done(&kv);
    weir_saved_state_done(&s);
    weir_saved_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[MOST];
    static int fd = -1;
    char path[64];
    if (!size || size - 1 > MOST)
        return 0;
    if (fd < 0 && (fd = memfd_create("session", MFD_CLOEXEC)) < 0)
        abort();
    memcpy(file, data + 1, size - 1);
    if (data[0] & 1)
        repair(file, size - 1);
    if (ftruncate(fd, 0) || pwrite(fd, file, size - 1, 0) != (ssize_t)(size - 1))
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    read_all(path);
    return 0;
}
