/* SPDX-License-Identifier: MIT
 *
 * Owns the templates for models that ship none, written in the same language as the others'.
 *
 * Each has the macros of PRELUDE: text(m) is the content of a message, whether it is a string, a
 * list of parts or nothing.  Where a model knows no system message, its text goes in front of the
 * first question.  Read-only, any thread. */
#include "config.h"

#include "src/text/chat.h"

#include <string.h>

/* clang-format off */
#define PRELUDE \
    "{%- macro text(m) -%}" \
    "{%- if m.content is string -%}{{ m.content }}" \
    "{%- elif m.content -%}" \
    "{%- for part in m.content -%}{{ part.text if part is mapping else part }}{%- endfor -%}" \
    "{%- endif -%}" \
    "{%- endmacro -%}"

/* As PRELUDE, and ns.sys holds what goes in front of the next question. */
#define FOLD \
    PRELUDE "{%- set ns = namespace(sys='', n=0) -%}"

static const struct {
    const char *name, *text;
} own[] = {
    { "alpaca", FOLD
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{{ text(m) ~ '\n\n' }}"
      "{%- elif m.role == 'assistant' -%}{{ '### Response:\n' ~ text(m) ~ eos_token ~ '\n\n' }}"
      "{%- else -%}{{ '### Instruction:\n' ~ text(m) ~ '\n\n' }}{%- endif -%}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '### Response:\n' }}{%- endif -%}" },
    /* ChatGLM-6B: a single question stands alone; rounds count from 0. */
    { "chatglm", FOLD
      "{%- set bare = messages | rejectattr('role', 'equalto', 'system') | list | length == 1 -%}"
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{%- set ns.sys = ns.sys ~ text(m) ~ '\n' -%}"
      "{%- elif m.role == 'assistant' -%}{{ text(m) ~ '\n' }}{%- set ns.n = ns.n + 1 -%}"
      "{%- elif bare -%}{{ ns.sys ~ text(m) }}"
      "{%- else -%}{{ '[Round ' ~ ns.n ~ ']\n问：' ~ ns.sys ~ text(m) ~ '\n答：' }}"
      "{%- set ns.sys = '' -%}{%- endif -%}"
      "{%- endfor -%}" },
    /* ChatGLM2-6B: always rounds, counted from 1. */
    { "chatglm2", FOLD
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{%- set ns.sys = ns.sys ~ text(m) ~ '\n\n' -%}"
      "{%- elif m.role == 'assistant' -%}{{ text(m) ~ '\n\n' }}"
      "{%- else -%}{%- set ns.n = ns.n + 1 -%}"
      "{{ '[Round ' ~ ns.n ~ ']\n\n问：' ~ ns.sys ~ text(m) ~ '\n\n答：' }}"
      "{%- set ns.sys = '' -%}{%- endif -%}"
      "{%- endfor -%}" },
    /* ChatGLM3-6B: the blank after the newline is the dummy prefix of the second encoding. */
    { "chatglm3", PRELUDE
      "{%- for m in messages -%}"
      "{{ '<|' ~ m.role ~ '|>\n ' if m.role in ['system', 'user', 'assistant', 'observation'] "
      "else '<|observation|>\n ' }}{{ text(m) }}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}" },
    { "chatml", PRELUDE
      "{%- for m in messages -%}"
      "{{ '<|im_start|>' ~ m.role ~ '\n' ~ text(m) ~ '<|im_end|>\n' }}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}" },
    { "command-r", PRELUDE
      "{{- bos_token -}}"
      "{%- for m in messages -%}"
      "{{ '<|START_OF_TURN_TOKEN|>' }}"
      "{{ {'system': '<|SYSTEM_TOKEN|>', 'assistant': '<|CHATBOT_TOKEN|>'}"
      ".get(m.role, '<|USER_TOKEN|>') ~ text(m) | trim ~ '<|END_OF_TURN_TOKEN|>' }}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}"
      "{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{%- endif -%}" },
    /* DeepSeek V2.5 and later. */
    { "deepseek", PRELUDE
      "{{- bos_token -}}"
      "{%- for m in messages if m.role == 'system' -%}{{ text(m) }}{%- endfor -%}"
      "{%- for m in messages if m.role != 'system' -%}"
      "{%- if m.role == 'assistant' -%}"
      "{{ '<｜Assistant｜>' ~ text(m) ~ '<｜end▁of▁sentence｜>' }}"
      "{%- else -%}{{ '<｜User｜>' ~ text(m) }}{%- endif -%}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<｜Assistant｜>' }}{%- endif -%}" },
    /* DeepSeek LLM and V2. */
    { "deepseek2", PRELUDE
      "{{- bos_token -}}"
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{{ text(m) ~ '\n\n' }}"
      "{%- elif m.role == 'assistant' -%}{{ 'Assistant: ' ~ text(m) ~ eos_token }}"
      "{%- else -%}{{ 'User: ' ~ text(m) ~ '\n\n' }}{%- endif -%}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}" },
    { "gemma", FOLD
      "{{- bos_token -}}"
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{%- set ns.sys = ns.sys ~ text(m) | trim ~ '\n\n' -%}"
      "{%- elif m.role == 'assistant' -%}"
      "{{ '<start_of_turn>model\n' ~ text(m) | trim ~ '<end_of_turn>\n' }}"
      "{%- else -%}"
      "{{ '<start_of_turn>user\n' ~ ns.sys ~ text(m) | trim ~ '<end_of_turn>\n' }}"
      "{%- set ns.sys = '' -%}{%- endif -%}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}" },
    { "glm4", PRELUDE
      "{{- '[gMASK]<sop>' -}}"
      "{%- for m in messages -%}{{ '<|' ~ m.role ~ '|>\n' ~ text(m) }}{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}" },
    /* InternLM-chat-7b. */
    { "internlm", PRELUDE
      "{{- bos_token -}}"
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{{ '<|System|>:' ~ text(m) ~ '\n' }}"
      "{%- elif m.role == 'assistant' -%}{{ '<|Bot|>:' ~ text(m) ~ '<eoa>\n' }}"
      "{%- else -%}{{ '<|User|>:' ~ text(m) ~ '<eoh>\n' }}{%- endif -%}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<|Bot|>:' }}{%- endif -%}" },
    { "llama2", FOLD
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}"
      "{%- set ns.sys = '<<SYS>>\n' ~ text(m) | trim ~ '\n<</SYS>>\n\n' -%}"
      "{%- elif m.role == 'assistant' -%}{{ ' ' ~ text(m) | trim ~ ' ' ~ eos_token }}"
      "{%- else -%}{{ bos_token ~ '[INST] ' ~ ns.sys ~ text(m) | trim ~ ' [/INST]' }}"
      "{%- set ns.sys = '' -%}{%- endif -%}"
      "{%- endfor -%}" },
    { "llama3", PRELUDE
      "{{- bos_token -}}"
      "{%- for m in messages -%}"
      "{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ text(m) | trim ~ "
      "'<|eot_id|>' }}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}"
      "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}" },
    { "mistral", FOLD
      "{{- bos_token -}}"
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{%- set ns.sys = ns.sys ~ text(m) ~ '\n\n' -%}"
      "{%- elif m.role == 'assistant' -%}{{ text(m) ~ eos_token }}"
      "{%- else -%}{{ '[INST] ' ~ ns.sys ~ text(m) ~ ' [/INST]' }}"
      "{%- set ns.sys = '' -%}{%- endif -%}"
      "{%- endfor -%}" },
    { "phi3", PRELUDE
      "{%- for m in messages -%}"
      "{{ '<|' ~ m.role ~ '|>\n' ~ text(m) ~ '<|end|>\n' }}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}" },
    { "vicuna", PRELUDE
      "{{- bos_token -}}"
      "{%- if not messages or messages[0].role != 'system' -%}"
      "{{ \"A chat between a curious user and an artificial intelligence assistant. The assistant "
      "gives helpful, detailed, and polite answers to the user's questions. \" }}"
      "{%- endif -%}"
      "{%- for m in messages -%}"
      "{%- if m.role == 'system' -%}{{ text(m) ~ ' ' }}"
      "{%- elif m.role == 'assistant' -%}{{ 'ASSISTANT: ' ~ text(m) ~ eos_token }}"
      "{%- else -%}{{ 'USER: ' ~ text(m) ~ ' ' }}{%- endif -%}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}" },
    { "zephyr", PRELUDE
      "{%- for m in messages -%}"
      "{{ '<|' ~ m.role ~ '|>\n' ~ text(m) ~ eos_token ~ '\n' }}"
      "{%- endfor -%}"
      "{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}" },
};
/* clang-format on */

#define N_OWN (sizeof(own) / sizeof(own[0]))

const char *weir_chat_builtin_name(size_t i) { return i < N_OWN ? own[i].name : NULL; }

const char *weir_chat_builtin(const char *name)
{
    for (size_t i = 0; i < N_OWN; i++)
        if (!strcmp(name, own[i].name))
            return own[i].text;
    return NULL;
}

const char *weir_chat_guess(const char *arch, bool (*has)(const void *of, const char *token),
                            const void *of)
{
    /* The first row all of whose tokens the vocabulary has. */
    static const struct {
        const char *token[2], *name;
    } rows[] = {
        { { "<eoh>", "<eoa>" }, "internlm" },
        { { "<|im_start|>", "<|im_end|>" }, "chatml" },
        { { "<|start_header_id|>", "<|eot_id|>" }, "llama3" },
        { { "<start_of_turn>", "<end_of_turn>" }, "gemma" },
        { { "<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>" }, "command-r" },
        { { "<｜User｜>", "<｜Assistant｜>" }, "deepseek" },
        { { "[gMASK]", "<|assistant|>" }, "" }, /* below */
        { { "[gMASK]", "<eop>" }, "chatglm" },
        { { "[gMASK]", "eop" }, "chatglm2" },
        { { "<|end|>", "<|assistant|>" }, "phi3" },
        { { "[INST]", "[/INST]" }, "mistral" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!has(of, rows[i].token[0]) || !has(of, rows[i].token[1]))
            continue;
        if (*rows[i].name)
            return rows[i].name;
        return has(of, "<sop>") ? "glm4" : "chatglm3";
    }
    if (!strncmp(arch, "chatglm", 7))
        return "chatglm2";
    if (!strcmp(arch, "llama") && has(of, "<s>") && has(of, "</s>"))
        return "llama2";
    return NULL;
}
