/* SPDX-License-Identifier: MIT
 *
 * PyTorch files: what torch.load gives is what the map says (tests/files/torch/golden.txt), every
 * bad and evil sample is refused with its sentence, and random damage never does worse. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "kernels/kernels.h"
#include "mmap/map.h"
#include "tests/damage.h"
#include "tests/samples.h"
#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POKE_ROUNDS 400

static char files[512]; /* tests/files/torch */

/* Element at byte OFFSET as a number. */
static bool element(const struct weir_map *m, const struct weir_tensor *t, uint64_t offset,
                    double *ret)
{
    union {
        float f32;
        double f64;
        uint16_t u16;
        int8_t i8;
        uint8_t u8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
    } v = { 0 };
    const uint32_t item = weir_dtype_info(t->dtype)->block_bytes;
    if (pread(weir_map_file(m, t->file)->fd, &v, item, (off_t)offset) != (ssize_t)item)
        return false;
    switch (t->dtype) {
    case WEIR_DTYPE_F32: *ret = v.f32; break;
    case WEIR_DTYPE_F64: *ret = v.f64; break;
    case WEIR_DTYPE_F16: *ret = weir_f16_to_f32(v.u16); break;
    case WEIR_DTYPE_BF16: *ret = weir_bf16_to_f32(v.u16); break;
    case WEIR_DTYPE_U8:
    case WEIR_DTYPE_BOOL: *ret = v.u8; break;
    case WEIR_DTYPE_I8: *ret = v.i8; break;
    case WEIR_DTYPE_I16: *ret = v.i16; break;
    case WEIR_DTYPE_I32: *ret = v.i32; break;
    case WEIR_DTYPE_I64: *ret = (double)v.i64; break;
    default: return false;
    }
    return true;
}

static const char *torch_name(enum weir_dtype d)
{
    switch (d) {
    case WEIR_DTYPE_F32: return "float32";
    case WEIR_DTYPE_F64: return "float64";
    case WEIR_DTYPE_F16: return "float16";
    case WEIR_DTYPE_BF16: return "bfloat16";
    case WEIR_DTYPE_U8: return "uint8";
    case WEIR_DTYPE_BOOL: return "bool";
    case WEIR_DTYPE_I8: return "int8";
    case WEIR_DTYPE_I16: return "int16";
    case WEIR_DTYPE_I32: return "int32";
    case WEIR_DTYPE_I64: return "int64";
    default: return "another type";
    }
}

/* Is T what the golden line says? */
static bool same(const struct weir_map *m, const struct weir_tensor *t, const char *dtype,
                 const char *dims, double first, double last, int turned)
{
    char have[96] = "";
    double a, b;
    const uint32_t item = t ? weir_dtype_info(t->dtype)->block_bytes : 0;
    for (uint32_t i = 0; t && i < t->n_dim; i++)
        snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s%llu", i ? "x" : "",
                 (unsigned long long)t->dim[i]);
    if (!t || strcmp(torch_name(t->dtype), dtype) || strcmp(have, dims) ||
        !element(m, t, t->offset, &a) || !element(m, t, t->offset + t->bytes - item, &b) ||
        a != first || b != last || turned != (t->packing != NULL))
        return false;
    return !turned || (t->packing->scheme == WEIR_SCHEME_DENSE_COLS && t->packing->by_cols &&
                       t->packing->n == t->dim[1] && t->packing->k == t->dim[0] &&
                       t->packing->line_bytes * t->packing->n_line == t->bytes);
}

/* Every line of the golden file LIST, whose files lie in FOLDER. */
static void test_golden(const char *folder, const char *list)
{
    char line[512], file[256], name[256], dtype[32], dims[64], now[256] = "";
    double first, last;
    int turned;
    unsigned n = 0, good = 0;
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    FILE *f = fopen(list, "r");
    if (!ok(f != NULL, "%s is there", list))
        return;
    bool more = fgets(line, sizeof(line), f);
    while (more) {
        if (sscanf(line, "%255s %255s %31s %63s %lf %lf %d", file, name, dtype, dims, &first, &last,
                   &turned) != 7) {
            ok(0, "a golden line: %s", line);
            break;
        }
        if (strcmp(file, now)) {
            n = good = 0;
            ok(!weir_map_open(in(folder, file), &m, &err) && m, "%s opens %s", file, err.msg);
            strcpy(now, file);
        }
        n++;
        if (m && same(m, weir_map_find(m, name), dtype, dims, first, last, turned))
            good++;
        else
            ok(0, "%s: %s is as torch.load gives it", file, name);
        more = fgets(line, sizeof(line), f);
        if (m && (!more || strncmp(line, now, strlen(now)) || line[strlen(now)] != ' ')) {
            ok(good == n && n == weir_map_n_tensor(m), "%s: all of its %u tensors are right (%u)",
               now, weir_map_n_tensor(m), good);
            weir_map_close(m);
            m = NULL;
        }
    }
    fclose(f);
}

static const struct bad {
    const char *name;
    int code;
    const char *words;
} bads[] = {
    { "bad-append-dict", -EINVAL, "its pickle is damaged before byte 5: items for what" },
    { "bad-binpersid-class", -EINVAL, "its pickle refers to something outside that is not" },
    { "bad-binpersid-module", -EINVAL, "its pickle refers to something outside that is not" },
    { "bad-binpersid-negative", -EINVAL, "its pickle refers to something outside that is not" },
    { "bad-binpersid-text", -EINVAL, "its pickle refers to something outside that is not" },
    { "bad-build-class", -EINVAL, "its pickle sets the state of an object that is no" },
    { "bad-build-tensor", -EINVAL, "its pickle sets the state of an object that is no" },
    { "bad-bytes8", -EINVAL, "its pickle uses the instruction BINBYTES8 at byte" },
    { "bad-call-few", -EINVAL, "its pickle calls _rebuild_tensor_v2 with 1" },
    { "bad-call-many", -EINVAL, "its pickle calls collections.OrderedDict with" },
    { "bad-call-no-tuple", -EINVAL, "its pickle calls collections.OrderedDict with" },
    { "bad-call-storage", -EINVAL, "its pickle asks to call torch.FloatStorage with 1" },
    { "bad-call-string", -EINVAL, "its pickle asks to call what is no function" },
    { "bad-call-tensor", -EINVAL, "its pickle asks to call what is no function" },
    { "bad-cut", -EINVAL, "its pickle is damaged before byte 58: the name of a" },
    { "bad-cycle", -EINVAL, "is a PyTorch file, but there are no tensors in its" },
    { "bad-deep", -EINVAL, "its pickle is damaged before byte 67: more than 64" },
    { "bad-dup", -EINVAL, "its pickle uses the instruction DUP at byte 3," },
    { "bad-eval", -EINVAL, "its pickle asks to call builtins.eval" },
    { "bad-ext1", -EINVAL, "its pickle uses the instruction EXT1 at byte 2," },
    { "bad-ext2", -EINVAL, "its pickle uses the instruction EXT2 at byte 2," },
    { "bad-ext4", -EINVAL, "its pickle uses the instruction EXT4 at byte 2," },
    { "bad-frame", -EINVAL, "its pickle uses the instruction FRAME at byte 2," },
    { "bad-getattr", -EINVAL, "its pickle asks to call builtins.getattr" },
    { "bad-global-endless", -EINVAL, "its pickle is damaged before byte 3: the name of a" },
    { "bad-inst", -EINVAL, "its pickle asks to call os.system through INST" },
    { "bad-items-for-list", -EINVAL, "its pickle is damaged before byte 12: items for" },
    { "bad-key-empty", -EINVAL, "a tensor has no name of 1 to 1024 letters: the file" },
    { "bad-key-long", -EINVAL, "the storage" },
    { "bad-key-missing", -EINVAL, "the storage '9' is not in the archive: it is damaged" },
    { "bad-key-number", -EINVAL, "a tensor has no name of 1 to 1024 letters: the file" },
    { "bad-key-path", -EINVAL, "the storage '../byteorder' is not in the archive:" },
    { "bad-key-zero", -EINVAL, "a tensor has no name of 1 to 1024 letters: the file" },
    { "bad-legacy-cut-pickle", -EINVAL, "its pickle is damaged: a string of 16 bytes at byte" },
    { "bad-legacy-cut", -EINVAL, "is cut short: storage 1 of 1 needs 6 elements of 4" },
    { "bad-legacy-evil", -EINVAL, "its pickle asks to call os.system" },
    { "bad-legacy-keys-more", -EINVAL, "its storage 1 belongs to no tensor, so its length" },
    { "bad-legacy-keys-number", -EINVAL, "the key of storage 0 is no string of 1 to 64" },
    { "bad-legacy-keys-twice", -EINVAL, "the storage '0' is there twice: the file is damaged" },
    { "bad-legacy-keys", -EINVAL, "its storage '0' is not in the list of storages: the" },
    { "bad-legacy-numel-less", -EINVAL, "the storage '0' of tensor 'w' should have 6" },
    { "bad-legacy-numel-negative", -EINVAL, "is cut short: storage 1 of 1 needs" },
    { "bad-legacy-numel", -EINVAL, "is cut short: storage 1 of 1 needs" },
    { "bad-legacy-two-types", -EINVAL, "its storage '0' is of two types: the file is damaged" },
    { "bad-legacy-view-huge", -EINVAL, "tensor 'w' of 24 bytes begins at element 0 of a" },
    { "bad-legacy-view-text", -EINVAL, "its pickle refers to something outside that is not" },
    { "bad-legacy-view", -EINVAL, "tensor 'w' of 24 bytes begins at element 0 of a" },
    { "bad-long-cut", -EINVAL, "its pickle is damaged before byte 4: it ends inside" },
    { "bad-mark-underflow", -EINVAL, "its pickle is damaged before byte 6: a tuple of" },
    { "bad-memo-get", -EINVAL, "its pickle is damaged: it asks for the remembered" },
    { "bad-memo-leap", -EINVAL, "its pickle is damaged: it remembers a value as" },
    { "bad-memo-long-get", -EINVAL, "its pickle is damaged: it asks for the remembered" },
    { "bad-memo-nothing", -EINVAL, "its pickle is damaged before byte 4: nothing to" },
    { "bad-module-dots", -EINVAL, "its pickle asks to call" },
    { "bad-newobj-ex", -EINVAL, "its pickle uses the instruction NEWOBJ_EX at byte" },
    { "bad-newobj", -EINVAL, "its pickle uses the instruction NEWOBJ at byte 28," },
    { "bad-no-tensors", -EINVAL, "is a PyTorch file, but there are no tensors in its" },
    { "bad-nothing", -EINVAL, "its pickle is damaged before byte 3: it does not" },
    { "bad-numel-huge", -EINVAL, "the storage '0' of tensor 'w' should have" },
    { "bad-numel-large", -EINVAL, "the storage '0' of tensor 'w' should have 7" },
    { "bad-numpy", -EINVAL, "its pickle asks to call" },
    { "bad-obj", -EINVAL, "its pickle uses the instruction OBJ at byte 28," },
    { "bad-odd-items", -EINVAL, "its pickle is damaged before byte 11: a key without" },
    { "bad-offset-huge", -EINVAL, "tensor 'w' of 24 bytes begins at element" },
    { "bad-offset-large", -EINVAL, "tensor 'w' of 24 bytes begins at element 1 of a" },
    { "bad-offset-negative", -EINVAL, "tensor 'w' of 24 bytes begins at element -1 of a" },
    { "bad-opcode", -EINVAL, "its pickle is damaged: there is no instruction 254" },
    { "bad-open-mark", -EINVAL, "its pickle is damaged before byte 5: it does not" },
    { "bad-os-system", -EINVAL, "its pickle asks to call os.system" },
    { "bad-pairs", -EINVAL, "its pickle makes an OrderedDict from what is not" },
    { "bad-persid", -EINVAL, "its pickle uses the instruction PERSID at byte 2," },
    { "bad-pop-mark", -EINVAL, "its pickle is damaged before byte 5: a tuple" },
    { "bad-posix", -EINVAL, "its pickle asks to call posix.system" },
    { "bad-protocol", -EINVAL, "its pickle is of protocol 9, expected 2" },
    { "bad-root-empty", -EINVAL, "is a PyTorch file, but there are no tensors in its" },
    { "bad-root-list", -EINVAL, "is a PyTorch file, but what it holds is no dict of" },
    { "bad-size-large", -EINVAL, "tensor 'w' of 36 bytes begins at element 0 of a" },
    { "bad-size-negative", -EINVAL, "tensor 'w' has a size that is not a whole number of" },
    { "bad-size-overflow", -EINVAL, "tensor 'w' of 4294967296 x 4294967296 x 1 x 1 is" },
    { "bad-size-text", -EINVAL, "tensor 'w' has a size that is not a whole number of" },
    { "bad-stack-global-allowed", -EINVAL, "its pickle asks to call collections.OrderedDict" },
    { "bad-stack-global-empty", -EINVAL, "its pickle is damaged before byte 3: STACK_GLOBAL" },
    { "bad-stack-global", -EINVAL, "its pickle asks to call os.system through" },
    { "bad-stride-count", -EINVAL, "tensor 'w' has 2 dimensions, but 1 strides: the" },
    { "bad-stride-negative", -EINVAL, "tensor 'w' has a stride that is not a whole number" },
    { "bad-string-long", -EINVAL, "its pickle is damaged: a string of 4294967295 bytes" },
    { "bad-string-short", -EINVAL, "its pickle is damaged: a string of 255 bytes at" },
    { "bad-subprocess", -EINVAL, "its pickle asks to call subprocess.Popen" },
    { "bad-torch-load", -EINVAL, "its pickle asks to call torch.load" },
    { "bad-tuple-underflow", -EINVAL, "its pickle is damaged before byte 4: a tuple of" },
    { "bad-twice", -EINVAL, "tensor 'w' is there twice: the file is damaged" },
    { "bad-two-values", -EINVAL, "its pickle is damaged before byte 5: it does not" },
    { "bad-underflow", -EINVAL, "its pickle is damaged before byte 3: a call without" },
    { "bad-zip-begin", -EINVAL, "is cut short: it begins as a zip archive and has 40" },
    { "bad-zip-count-less", -EINVAL, "the zip archive is damaged: its directory has 54" },
    { "bad-zip-count-more", -EINVAL, "the zip archive is damaged: it claims 4 entries in" },
    { "bad-zip-cut-directory", -EINVAL, "is cut short: it begins as a zip archive and has" },
    { "bad-zip-cut", -EINVAL, "is cut short: it begins as a zip archive and has" },
    { "bad-zip-directory-far", -EINVAL, "the zip archive is damaged: its directory of 167" },
    { "bad-zip-directory-gap", -EINVAL, "the zip archive is damaged: its directory of 167" },
    { "bad-zip-directory-long", -EINVAL, "the zip archive is damaged: its directory of" },
    { "bad-zip-entry-far", -EINVAL, "the zip archive is damaged: entry 'a/data/0' of 24" },
    { "bad-zip-entry-long", -EINVAL, "the zip archive is damaged: entry 'a/data/0' of" },
    { "bad-zip-entry-sig", -EINVAL, "the zip archive is damaged: there is no directory" },
    { "bad-zip-entry-sizes", -EINVAL, "the zip archive is damaged: entry 'a/data/0' is" },
    { "bad-zip-local-extra", -EINVAL, "the zip archive is damaged: the header of entry" },
    { "bad-zip-local-method", -EINVAL, "the zip archive is damaged: the header of entry" },
    { "bad-zip-local-name", -EINVAL, "the zip archive is damaged: the header of entry" },
    { "bad-zip-local-sig", -EINVAL, "the zip archive is damaged: the header of entry" },
    { "bad-zip-local-size", -EINVAL, "the zip archive is damaged: the header of entry" },
    { "bad-zip-local-zero", -EINVAL, "the zip archive is damaged: the header of entry" },
    { "bad-zip-name-empty", -EINVAL, "the zip archive is damaged: the directory entry at" },
    { "bad-zip-name-long", -EINVAL, "the zip archive is damaged: the directory entry at" },
    { "bad-zip-name-zero", -EINVAL, "the zip archive is damaged: the directory entry at" },
    { "bad-zip-no-pickle", -EINVAL, "is a zip archive, but not a PyTorch checkpoint:" },
    { "bad-zip-overlap", -EINVAL, "the zip archive is damaged: entry 'a/byteorder'" },
    { "bad-zip-tail", -EINVAL, "is cut short: it begins as a zip archive and has" },
    { "bad-zip-twice", -EINVAL, "the zip archive is damaged: entry 'a/data.pkl' is" },
    { "bad-zip-two-roots", -EINVAL, "holds two checkpoints, in its folders 'a' and 'b'" },
    { "bad-zip64-count", -EINVAL, "the zip archive is damaged: it claims" },
    { "bad-zip64-disagree", -EINVAL, "the zip archive is damaged: the number of entries" },
    { "bad-zip64-far", -EINVAL, "the zip archive is damaged: entry 'a/data/0' of 24" },
    { "bad-zip64-huge", -EINVAL, "the zip archive is damaged: entry 'a/data/0' of" },
    { "bad-zip64-locator", -EINVAL, "the zip archive is damaged: the place of the zip64" },
    { "bad-zip64-missing", -EINVAL, "the zip archive is damaged: entry 'a/data/0' lacks" },
    { "bad-zip64-offset", -EINVAL, "the zip archive is damaged: its directory of 167" },
    { "bad-zip64-short", -EINVAL, "the zip archive is damaged: entry 'a/data/0' lacks" },
    { "bad-zip64-sig", -EINVAL, "the zip archive is damaged: there is no zip64 end" },
    { "unsupported-big-endian", -ENOTSUP, "its byteorder is 'big', this program reads" },
    { "unsupported-complex", -ENOTSUP, "tensor 'w' is of torch.ComplexDoubleStorage, a type" },
    { "unsupported-compressed", -ENOTSUP, "entry 'a/data.pkl' is compressed (method 8), but" },
    { "unsupported-dims-5", -ENOTSUP, "tensor 'w' has 5 dimensions, at most 4 are possible" },
    { "unsupported-encrypted", -ENOTSUP, "entry 'a/data/0' is encrypted, which torch.save" },
    { "unsupported-legacy-big-endian", -ENOTSUP,
      "was saved on a big-endian machine, this program" },
    { "unsupported-legacy-version", -ENOTSUP, "is a PyTorch file of version 1002, this program" },
    { "unsupported-script", -ENOTSUP, "is a TorchScript program, not a checkpoint of" },
    { "unsupported-stride-gap", -ENOTSUP, "the elements of tensor 'w' do not follow each other" },
    { "unsupported-stride-huge", -ENOTSUP, "the elements of tensor 'w' do not follow each other" },
    { "unsupported-stride-zero", -ENOTSUP, "the elements of tensor 'w' do not follow each other" },
    { "unsupported-transposed-3d", -ENOTSUP,
      "the elements of tensor 'w' do not follow each other" },
    { "unsupported-transposed-int", -ENOTSUP, "tensor 'w' of 2 x 3 lies transposed in the file," },
    { "unsupported-untyped", -ENOTSUP, "tensor 'w' is of torch.UntypedStorage, a type this" },
    { "unsupported-volumes", -ENOTSUP, "is a zip archive in several volumes, expected one" },
};
#define N_BAD (sizeof(bads) / sizeof(*bads))

static void test_bad(void)
{
    for (size_t i = 0; i < N_BAD; i++) {
        char name[128];
        struct weir_map *m = NULL;
        struct weir_err err = { 0 };
        snprintf(name, sizeof(name), "%s.pt", bads[i].name);
        const char *path = in(files, name);
        const int rc = weir_map_open(path, &m, &err);
        ok(rc == bads[i].code && err.code == rc && !m && strstr(err.msg, bads[i].words) &&
               !strncmp(err.msg, path, strlen(path)),
           "%s (%d): %s", bads[i].name, rc, err.msg);
        weir_map_close(m);
    }
}

/* No sample is left out of the two tables. */
static void test_complete(void)
{
    DIR *d = opendir(files);
    struct dirent *e;
    unsigned n = 0;
    while (d && (e = readdir(d)))
        n += !strncmp(e->d_name, "bad-", 4) || !strncmp(e->d_name, "unsupported-", 12);
    if (d)
        closedir(d);
    ok(n == N_BAD, "%u samples to be refused, %zu were", n, N_BAD);
}

/* Opened through a file descriptor, nothing lies outside the file, and memory comes back. */
static bool survives(const uint8_t *p, size_t n)
{
    char path[64];
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    const int fd = memfd_create("poke", MFD_CLOEXEC);
    bool good = fd >= 0 && write(fd, p, n) == (ssize_t)n;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int rc = good ? weir_map_open(path, &m, &err) : 0;
    if (rc)
        good = err.code == rc && *err.msg;
    for (uint32_t i = 0; m && i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        good = good && t->bytes && t->offset <= n && t->bytes <= n - t->offset;
    }
    weir_map_close(m);
    close(fd);
    return good && !weir_mem_used(WEIR_MEM_MISC);
}

static void test_poke(const char *name)
{
    static uint8_t was[8192], now[8192];
    FILE *f = fopen(in(files, name), "rb");
    const size_t n = f ? fread(was, 1, sizeof(was), f) : 0;
    struct damage harm = { .state = 88172645463325252u };
    bool good = n > 0;
    if (f)
        fclose(f);
    for (int round = 0; round < POKE_ROUNDS && good; round++) {
        memcpy(now, was, n);
        good = survives(now, damage_do(&harm, now, n));
    }
    ok(good, "%s: %d damaged copies", name, POKE_ROUNDS);
}

/* Instructions that cost little in the file must not cost much here. */
static void test_bounds(void)
{
    static const uint8_t head[] = { 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                    0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e, 0x80, 0x02, 'M',
                                    0xe9, 0x03, '.',  0x80, 0x02, '}',  '.' };
    static const char fills[] = "N})]K";
    const size_t n = (size_t)6 << 20;
    uint8_t *p = malloc(sizeof(head) + n);
    memcpy(p, head, sizeof(head));
    for (const char *op = fills; *op; op++) {
        memset(p + sizeof(head), *op, n);
        ok(survives(p, sizeof(head) + n), "six million times the instruction '%c'", *op);
    }
    free(p);
}

int main(void)
{
    const char *src = getenv("srcdir_abs"), *data = getenv("WEIR_DATA");
    snprintf(files, sizeof(files), "%s/tests/files/torch", src ? src : ".");
    if (access(in(files, "golden.txt"), R_OK))
        skip_all("tests/files/torch is not there: set srcdir_abs");
    test_golden(files, in(files, "golden.txt"));
    if (data)
        test_golden(data, in(files, "golden-data.txt"));
    else
        skip("the real model in PyTorch files", "WEIR_DATA is not set");
    test_bad();
    test_complete();
    test_poke("good-views.pt");
    test_poke("good-legacy.pt");
    test_poke("good-wrapped.pt");
    test_poke("good-zip64.pt");
    test_poke("good-legacy-view.pt");
    test_bounds();
    ok(!weir_mem_used(WEIR_MEM_MISC), "all memory was given back");
    return done();
}
