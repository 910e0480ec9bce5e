/* SPDX-License-Identifier: MIT
 *
 * Owns the table of splitting expressions by the names that tokenizer.ggml.pre has.
 *
 * Invariant: every expression needs time linear in the text, also when it fails; that is why a few
 * are written otherwise than where they come from. */
#include "config.h"

#include "src/text/pretok.h"

#include <string.h>

#define WS          "\\s" /* in brackets; regex.c says what it is */
#define SPACES      "|[" WS "]+(?![^" WS "])|[" WS "]+"
#define LINES       "|[" WS "]*[\\r\\n]+" SPACES
#define SHORTENED   "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS     "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SYMBOLS     "| ?[^" WS "\\p{L}\\p{N}]+[\\r\\n]*"
#define UPPER       "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER       "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define HEAD        "[^\\r\\n\\p{L}\\p{N}]?"
#define ASCII_PUNCT "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

#define RE_GPT2   "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" WS "\\p{L}\\p{N}]+" SPACES
#define RE_LLAMA3 SHORTENED LETTERS "|\\p{N}{1,3}" SYMBOLS LINES
#define RE_QWEN2  SHORTENED LETTERS "|\\p{N}" SYMBOLS LINES
#define RE_QWEN35                                                                                  \
    SHORTENED "|" HEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^" WS "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" LINES
#define RE_DS3_MAIN(newline)                                                                       \
    ASCII_PUNCT "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" newline
#define RE_CJK_KANA   "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{30FF}]+"
#define RE_CJK_HANGUL "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define RE_O200K(tail, digits)                                                                     \
    HEAD UPPER "*" LOWER "+" tail "|" HEAD UPPER "+" LOWER "*" tail "|" digits "| ?[^" WS          \
               "\\p{L}\\p{N}]+[\\r\\n/]*" LINES
/* Letters but those of Han, which are words by themselves. */
#define RE_KIMI                                                                                    \
    "\\p{Han}+|" HEAD "(?:(?!\\p{Han})" UPPER ")*(?:(?!\\p{Han})" LOWER ")+" SHORTENED "?|" HEAD   \
    "(?:(?!\\p{Han})" UPPER ")+(?:(?!\\p{Han})" LOWER ")*" SHORTENED "?|\\p{N}{1,3}" SYMBOLS LINES
/* Scripts written without spaces. */
#define RE_ASIAN                                                                                   \
    "[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{F900}-\\x{FAFF}\\x{3040}-\\x{30FF}\\x{FF65}-\\x{"  \
    "FF9F}"                                                                                        \
    "\\x{2F00}-\\x{2FDF}\\x{E40}-\\x{EFF}\\x{1780}-\\x{17FF}\\x{1000}-\\x{109F}\\x{AA60}-\\x{"     \
    "AA7F}"                                                                                        \
    "\\x{A9E0}-\\x{A9FF}\\x{AC00}-\\x{D7AF}\\x{1100}-\\x{11FF}]+"
#define RE_BLOOM " ?[^(" WS "|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"
/* The letters that have case, as deepseek-llm lists them. */
#define CASED                                                                                      \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{"    \
    "293}"                                                                                         \
    "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}"          \
    "\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}"                 \
    "\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}"  \
    "\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}"                 \
    "\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}"                 \
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}"         \
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"        \
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}"                 \
    "\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{"     \
    "2124}"                                                                                        \
    "\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}"         \
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"         \
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}"                  \
    "\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}"                 \
    "\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}"                 \
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}"         \
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"

enum { WHOLE = WEIR_PRETOK_WHOLE, BOS = WEIR_PRETOK_BOS, THREES = WEIR_PRETOK_THREES };

static const struct weir_pretok_named named[] = {
    { "default", 0, { "[\\p{P}\\$\\+<=>\\^~\\|]+", RE_GPT2, "\\p{N}+", "[0-9][0-9][0-9]" } },
    { "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
      WHOLE | BOS,
      { RE_LLAMA3 } },
    { "dbrx smaug-bpe chatglm-bpe glm4", 0, { RE_LLAMA3 } },
    { "qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan solar-open grok-2 kormo f2llmv2",
      0,
      { RE_QWEN2 } },
    { "qwen35", 0, { RE_QWEN35 } },
    { "gpt-2 gpt2 gpt-neox mpt olmo jais phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat "
      "a.x-4.0 "
      "mellum exaone4 trillion granite-docling",
      0,
      { RE_GPT2 } },
    { "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
      0,
      { "\\p{N}", RE_GPT2 } },
    { "falcon", 0, { "[\\p{P}\\$\\+<=>\\^~\\|`]+", RE_GPT2, "[0-9][0-9][0-9]" } },
    { "deepseek-llm",
      0,
      { "[\\r\\n]", "[" WS "]?[" CASED "]+",
        "[" WS
        "]?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
        /* \s+$ with a look behind, without which a run of n spaces costs n * n */
        "(?<![" WS "])[" WS "]++$", RE_CJK_HANGUL, "\\p{N}+" } },
    { "deepseek-coder",
      0,
      { "[\\r\\n]", "[" WS "]?\\p{L}+", "[" WS "]?\\p{P}+", RE_CJK_HANGUL, "\\p{N}" } },
    { "deepseek-v3 hunyuan-dense joyai-llm",
      0,
      { "\\p{N}{1,3}", RE_CJK_KANA, RE_DS3_MAIN("[\\r\\n]*") LINES } },
    { "bloom poro-chat gpt3-finnish", 0, { RE_BLOOM } },
    { "viking", 0, { RE_BLOOM, "\\p{N}" } },
    { "tekken", WHOLE | BOS, { RE_O200K("", "\\p{N}") } },
    { "gpt-4o llama4 kanana2 minimax-m2", 0, { RE_O200K(SHORTENED "?", "\\p{N}{1,3}") } },
    { "chameleon",
      BOS,
      { "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}",
        "[\\p{P}!-/:-@\\[-`{-~]", RE_GPT2 } },
    { "bailingmoe bailingmoe2 llada-moe",
      0,
      { "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^" WS
        "\\p{L}\\p{N}]++[\\r\\n]*|[" WS "]*[\\r\\n]" SPACES } },
    { "seed-coder", 0, { SHORTENED LETTERS "|\\p{N}| ?[^" WS "\\p{L}\\p{N}\\r\\n]+" LINES } },
    { "kimi-k2", 0, { RE_KIMI } },
    { "superbpe", THREES << 1, { "\\p{N}+", "\\p{Nd}+" } },
    { "afmoe", THREES, { "\\p{Nd}+", RE_ASIAN, RE_DS3_MAIN("[\\r\\n]*") LINES } },
    { "exaone-moe",
      0,
      { SHORTENED "|" HEAD "(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^" WS
                  "\\p{L}\\p{N}]+[\\r\\n/]?|[" WS "]*[\\r\\n]" SPACES } },
};

const struct weir_pretok_named *weir_pretok_find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        for (const char *s = named[i].names; *s;) {
            const size_t len = strcspn(s, " ");
            if (len == n && !memcmp(s, name, n))
                return &named[i];
            s += len + (s[len] == ' ');
        }
    return NULL;
}
