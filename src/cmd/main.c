/* SPDX-License-Identifier: MIT
 * Owns the table of commands and the exit status. */
#include "config.h"

#include "kernels/cuda.h"
#include "kernels/kernels.h"
#include "src/cmd/cmd.h"
#include "src/cmd/companion.h"
#include "src/run/engine.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Commands whose word is not a model that must be here. */
#define NO_MODEL                                                                                   \
    (WEIR_CMD_TIMELINE | WEIR_CMD_SESSION | WEIR_CMD_PULL | WEIR_CMD_LIST | WEIR_CMD_RM |          \
     WEIR_CMD_SELFTEST)

static const struct weir_cmd *const cmds[] = {
    &weir_run_cmd,   &weir_chat_cmd,     &weir_plan_cmd,     &weir_inspect_cmd, &weir_tokenize_cmd,
    &weir_bench_cmd, &weir_timeline_cmd, &weir_template_cmd, &weir_session_cmd, &weir_pull_cmd,
    &weir_list_cmd,  &weir_rm_cmd,       &weir_selftest_cmd,
};

int weir_cmd_error(const struct weir_err *err)
{
    fprintf(stderr, "weir: %s\n", err->msg);
    return 1;
}

int weir_cmd_usage(const char *cmd, const char *sentence)
{
    fprintf(stderr, "weir %s: %s\nTry 'weir %s --help'.\n", cmd, sentence, cmd);
    return 2;
}

int weir_cmd_flush(void)
{
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout))
        return 0;
    fprintf(stderr, "weir: cannot write to standard output: %s\n", strerror(errno ? errno : EIO));
    return 1;
}

int weir_cmd_print_json(weir_json *j)
{
    char *text = weir_json_print(j, true);
    weir_json_free(j);
    if (!text) {
        fprintf(stderr, "weir: no memory for the JSON\n");
        return 1;
    }
    puts(text);
    free(text);
    return weir_cmd_flush();
}

struct weir_engine_opts weir_cmd_engine_opts(const struct weir_args *a)
{
    enum weir_kv_type kv = WEIR_KV_F16;
    while (kv + 1 < WEIR_KV_COUNT && strcmp(a->kv, weir_kv_names[kv]))
        kv++;
    return (struct weir_engine_opts){
        .path = a->model,
        .ram_bytes = a->ram_bytes,
        .ring_bytes = a->ring_bytes,
        .vram_bytes = a->vram_bytes,
        .gpu = (int)a->gpu,
        .ctx = (uint32_t)a->ctx,
        .chunk = (uint32_t)a->chunk,
        .threads = (unsigned)a->threads,
        .io = a->io,
        .kv = kv,
        .rope = a->rope_ask,
        .act_f32 = !strcmp(a->act, "f32"),
        .force_probe = a->probe,
        .machine = a->machine,
        .loras = a->loras,
        .n_lora = a->n_lora,
    };
}

static void help(FILE *out)
{
    fprintf(out, "Usage: weir COMMAND [MODEL] [options]\n\n"
                 "Run language models that are larger than the memory you give them.\n\n");
    for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
        fprintf(out, "  weir %-9s %-15s %s\n", cmds[i]->name, cmds[i]->usage, cmds[i]->help);
    fprintf(
        out,
        "\nMODEL is a file or a folder: GGUF, safetensors or PyTorch as Hugging Face has them, "
        "Meta's,\n"
        "llama2.c's, MindSpore's or MLC-LLM's; or the name of a model that 'weir pull' fetched:\n"
        "OWNER/REPO or OWNER/REPO:TAG.  Without MODEL it is the small model that comes with weir,\n"
        "which answers questions about it.\n"
        "'weir COMMAND --help' lists the options of a command; 'man weir' tells the rest.\n");
}

static int version(void)
{
    printf("%s (kernels: %s", PACKAGE_STRING, weir_kernels()->name);
    printf("; io_uring: %s; byte-level BPE: %s; CUDA devices: %d)\n", HAVE_LIBURING ? "yes" : "no",
           HAVE_PCRE2 ? "yes" : "no", weir_cuda_ops()->count());
    return weir_cmd_flush();
}

int main(int argc, char **argv)
{
    /* A reader that goes away (| head) is an error of write, not a silent death. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow */
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        help(stdout);
        return weir_cmd_flush();
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V"))
        return version();
    for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
        if (strcmp(cmds[i]->name, name))
            continue;
        struct weir_args a;
        struct weir_err err = { 0 };
        weir_args_init(&a);
        const int r = weir_args_parse(&a, cmds[i]->bit, argc - 1, argv + 1, &err);
        if (r == 1) {
            printf("Usage: weir %s %s [options]\n%s.\n", cmds[i]->name, cmds[i]->usage,
                   cmds[i]->help);
            weir_args_help(cmds[i]->bit);
            return weir_cmd_flush();
        }
        if (r < 0)
            return weir_cmd_usage(name, err.msg);
        static char found[PATH_MAX], companion[PATH_MAX];
        if (!(cmds[i]->bit & NO_MODEL) && !a.model && !a.kernels &&
            weir_companion_find(&a, companion, &err) < 0)
            return weir_cmd_usage(name, err.msg);
        if (!(cmds[i]->bit & NO_MODEL) && weir_cmd_find_model(&a, found, &err) < 0)
            return weir_cmd_error(&err);
        return cmds[i]->run(&a);
    }
    if (*name)
        fprintf(stderr, "weir: '%s' is not a command\n\n", name);
    help(stderr);
    return 2;
}
