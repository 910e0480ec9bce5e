/* SPDX-License-Identifier: MIT
 * SHA-256 against the vectors of FIPS 180-4 and lengths around the ends of a block. */
#include "config.h"

#include "base/sha256.h"
#include "tap.h"

#include <string.h>

static const struct {
    const char *text;
    const char *hex;
} vectors[] = {
    { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

/* N times the letter a, from Python's hashlib. */
static const struct {
    size_t n;
    const char *hex;
} runs[] = {
    { 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
    { 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
    { 57, "f13b2d724659eb3bf47f2dd6af1accc87b81f09f59f2b75e5c0bed6589dfe8c6" },
    { 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34" },
    { 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
    { 65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0" },
    { 119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb" },
    { 120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c" },
    { 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

int main(void)
{
    struct weir_sha256 s;
    char hex[WEIR_SHA256_STR];
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        weir_sha256_init(&s);
        weir_sha256_add(&s, vectors[i].text, strlen(vectors[i].text));
        weir_sha256_hex(&s, hex);
        ok(!strcmp(hex, vectors[i].hex), "'%.20s': %s", vectors[i].text, hex);
    }
    char letters[997];
    memset(letters, 'a', sizeof(letters));
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        weir_sha256_init(&s);
        for (size_t left = runs[i].n, step = 1; left; step = step * 3 % 991) {
            const size_t n = step < left ? step : left;
            weir_sha256_add(&s, letters, n);
            left -= n;
        }
        weir_sha256_hex(&s, hex);
        ok(!strcmp(hex, runs[i].hex), "%zu letters in uneven pieces: %s", runs[i].n, hex);
    }
    return done();
}
