/* aot_header.c: the C header of a library: a page on what it is and how it is called, numbers as
 * macros, prototypes. C99 and C++ both read it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/aot_interface.h"
#include "runtime/atomic_file.h"
#include "runtime/file_order.h"
#include "runtime/normalization.h"

typedef struct writer {
  FILE *out;
  const poa_aot_library *library;
  poa_aot_interface interface;
  char macro[POA_AOT_NAME]; /* the name in capitals */
} writer;

static void capitalize(const char *name, char macro[POA_AOT_NAME]) {
  size_t i = 0;
  for (; name[i] && i + 1 < POA_AOT_NAME; i++)
    macro[i] = (char)toupper((unsigned char)name[i]);
  macro[i] = '\0';
}

/* Text into a comment, which it must not end. */
static void put_comment(FILE *out, const char *text) {
  for (const char *at = text; *at; at++)
    fputc(*at == '\n' || (*at == '/' && at > text && at[-1] == '*') ? ' ' : *at, out);
}

static void put_shape(FILE *out, poa_plan_shape shape) {
  fputc('[', out);
  for (int i = 0; i < shape.rank; i++)
    fprintf(out, "%s%lld", i ? "," : "", (long long)shape.dim[i]);
  fputc(']', out);
}

static const char *c_type(poa_plan_dtype dtype) {
  return dtype == POA_PLAN_F32 ? "float" : dtype == POA_PLAN_I32 ? "int32_t" : "uint8_t";
}

/* Arguments of the plain form are called in_NAME and out_NAME. Of equal names, or names equal but
 * for what C does not allow, the later ones get their number. */

static void write_name(const char *name, char out[POA_AOT_NAME]) {
  size_t i = 0;
  for (; name[i] && i + 1 < POA_AOT_NAME; i++)
    out[i] = isalnum((unsigned char)name[i]) ? name[i] : '_';
  out[i] = '\0';
}

static const char *name_of(const poa_plan *plan, bool input, int index) {
  return input ? plan->inputs[index].name : plan->outputs[index].name;
}

static void put_argument(const writer *w, bool input, int index) {
  const poa_plan *plan = w->interface.plan;
  char name[POA_AOT_NAME], other[POA_AOT_NAME];
  bool taken = false;
  write_name(name_of(plan, input, index), name);
  for (int i = 0; i < index && !taken; i++) {
    write_name(name_of(plan, input, i), other);
    taken = strcmp(name, other) == 0;
  }
  fprintf(w->out, "%s_%s", input ? "in" : "out", name);
  if (taken)
    fprintf(w->out, "_%d", index);
}

/* The page. */

static void put_weights_note(const writer *w) {
  const char *name = w->interface.name;
  if (w->interface.inside)
    fprintf(w->out,
            " *\n * The weights are inside. (As LLVM or assembly text, the library refers to them "
            "as\n * %s_weights: %s_WEIGHT_BYTES bytes, aligned to 64, of your own object.)\n",
            name, w->macro);
  else if (w->interface.parameters)
    fprintf(w->out,
            " *\n * The caller passes the %s: %s_WEIGHT_BYTES bytes, aligned to 64, which "
            "stay the\n * caller's and are %s. Where in them each tensor lies is listed below.\n",
            w->interface.batched ? "weights" : "parameters", w->macro,
            w->interface.updates ? "read and updated" : "only read");
}

static void put_page(const writer *w) {
  const poa_target *target = w->library->target;
  fprintf(w->out, "/* %s.h: ", w->interface.name);
  put_comment(w->out, w->library->title);
  fprintf(w->out, "\n *\n * Compiled ahead of time by poa %s for %s, CPU %s.\n", POA_VERSION,
          target->triple, target->cpu);
  fprintf(w->out,
          " * Link with an OpenMP runtime (-fopenmp, or -lgomp); nothing else is needed.\n"
          " *\n"
          " * Threads: `threads` is 0 for as many as OpenMP takes, 1 for the calling thread alone "
          "(then\n"
          " * OpenMP is not called), or a number. Results are the same bits for any number.\n"
          " * Functions keep nothing between calls: any number of threads may call at the same "
          "time, each\n"
          " * with a workspace of its own.\n"
          " *\n"
          " * Workspace: %s_workspace_bytes() bytes, aligned to 64, as from aligned_alloc; the "
          "caller's.\n"
          " * What it holds before a call does not matter, and nothing in it is needed after.\n"
          " *\n"
          " * Functions return 0, or %s_BAD_ARGUMENT for a pointer that is NULL or misaligned or "
          "for a\n"
          " * negative number; then they have done nothing.\n",
          w->interface.name, w->macro);
  put_weights_note(w);
  fputs(" */\n", w->out);
}

/* Macros. */

static void put_number(const writer *w, const char *what, long long value, const char *comment) {
  fprintf(w->out, "#define %s_%s %lld%s%s%s\n", w->macro, what, value, comment ? " /* " : "",
          comment ? comment : "", comment ? " */" : "");
}

static void put_image_numbers(const writer *w) {
  const poa_plan_shape *shape = &w->interface.images->shape;
  put_number(w, "BATCH", shape->dim[0], "images that one round takes");
  if (shape->rank == 4) {
    put_number(w, "CHANNELS", shape->dim[1], NULL);
    if (shape->dim[2] == shape->dim[3])
      put_number(w, "SIZE", shape->dim[2], "pixels, height and width");
    else
      put_number(w, "HEIGHT", shape->dim[2], NULL), put_number(w, "WIDTH", shape->dim[3], NULL);
  }
  put_number(w, "DIMENSION", w->interface.features->shape.dim[1], "features of an image");
}

static void put_macros(const writer *w) {
  put_number(w, "BAD_ARGUMENT", POA_AOT_BAD_ARGUMENT, NULL);
  if (w->interface.batched)
    put_image_numbers(w);
  put_number(w, "WEIGHT_BYTES", w->interface.plan->parameter_bytes, NULL);
}

/* What code needs of the CPU: names that both gcc and clang know. Those that are left out (f16c,
 * lzcnt, movbe) come with AVX2 in every processor. */
static void put_cpu_check(const writer *w) {
  static const char *const known[] = {"sse3",       "ssse3",        "sse4.1",
                                      "sse4.2",     "popcnt",       "avx",
                                      "avx2",       "fma",          "bmi",
                                      "bmi2",       "avx512f",      "avx512bw",
                                      "avx512cd",   "avx512dq",     "avx512vl",
                                      "avx512ifma", "avx512vbmi",   "avx512vbmi2",
                                      "avx512vnni", "avx512bitalg", "avx512vpopcntdq",
                                      "gfni"};
  bool x86 = strncmp(w->library->target->triple, "x86_64", 6) == 0;
  fprintf(w->out,
          "\n/* Whether this machine's CPU can run the code: 1 or 0. */\n"
          "static inline int %s_cpu_supported(void) {\n",
          w->interface.name);
  if (x86)
    fputs("  __builtin_cpu_init();\n  return 1", w->out);
  for (size_t i = 0; x86 && i < sizeof known / sizeof *known; i++)
    if (poa_target_has(w->library->target, known[i]))
      fprintf(w->out, " &&\n         __builtin_cpu_supports(\"%s\")", known[i]);
  fputs(x86 ? ";\n}\n" : "  return 1;\n}\n", w->out);
}

/* Prototypes. */

static void put_normalization(const writer *w, int channels) {
  poa_normalization n;
  const char *text = w->library->normalization;
  if (!text || !*text || !poa_normalization_parse(text, &n)) {
    fputs(", normalized as in training", w->out);
    return;
  }
  fputs(";\n *             each is (value - mean) / deviation of a value in 0..1, with", w->out);
  for (int c = 0; c < channels && c < 3; c++)
    fprintf(w->out, "%s mean %.9g, deviation %.9g", c ? ";" : "", (double)n.mean[c],
            (double)n.deviation[c]);
}

static void put_batched(const writer *w) {
  const char *name = w->interface.name;
  const poa_plan_shape *shape = &w->interface.images->shape;
  fprintf(w->out,
          "\n/* Computes features of `count` images, in rounds of %s_BATCH; a last round that is "
          "not full is\n * padded with zeros.\n",
          w->macro);
  if (w->interface.parameters)
    fprintf(w->out, " *   weights   %s_WEIGHT_BYTES bytes, aligned to 64; only read\n", w->macro);
  fputs(" *   images    [count", w->out);
  for (int i = 1; i < shape->rank; i++)
    fprintf(w->out, ",%lld", (long long)shape->dim[i]);
  fputs(shape->rank == 4 ? "], row-major: channel, row, column (NCHW)" : "], row-major", w->out);
  put_normalization(w, shape->rank == 4 ? (int)shape->dim[1] : 1);
  fprintf(w->out, "\n *   features  [count,%lld], written\n",
          (long long)w->interface.features->shape.dim[1]);
  fputs(" * `count` is 0 or more; arrays are the caller's and must not overlap. */\n", w->out);
  fprintf(w->out, "int %s_%s(%sconst float *images, int64_t count, float *features,\n", name,
          w->interface.plan->entry, w->interface.parameters ? "const void *weights, " : "");
  fputs("    void *workspace, int threads);\n", w->out);
}

/* A line of the comment, or an argument, for each input and output. */

static void describe_argument(const writer *w, bool input, int index) {
  const poa_plan *plan = w->interface.plan;
  fputs(" *   ", w->out);
  put_argument(w, input, index);
  fputc(' ', w->out);
  put_shape(w->out, input ? plan->inputs[index].shape : plan->outputs[index].shape);
  fputc('\n', w->out);
}

static void declare_argument(const writer *w, bool input, int index) {
  const poa_plan *plan = w->interface.plan;
  poa_plan_dtype dtype = input ? plan->inputs[index].dtype : plan->outputs[index].dtype;
  fprintf(w->out, "%s%s *", input ? "const " : "", c_type(dtype));
  put_argument(w, input, index);
  fputs(",\n    ", w->out);
}

static void each_argument(const writer *w, void (*put)(const writer *, bool, int)) {
  const poa_plan *plan = w->interface.plan;
  for (int i = 0; i < plan->input_count; i++)
    put(w, true, i);
  for (int i = 0; i < plan->output_count; i++)
    if (poa_aot_is_given(&plan->outputs[i]))
      put(w, false, i);
}

static void put_plain(const writer *w) {
  const char *entry = w->interface.plan->entry;
  fprintf(
      w->out,
      "\n/* Runs the entry `%s` once. Arrays are row-major and must not overlap; those of bools "
      "hold\n * bytes 0 or 1. Where an out_ is NULL, that result is not given.\n",
      entry);
  each_argument(w, describe_argument);
  fprintf(w->out, " */\nint %s_%s(", w->interface.name, entry);
  if (w->interface.parameters)
    fprintf(w->out, "%svoid *parameters,\n    ", w->interface.updates ? "" : "const ");
  each_argument(w, declare_argument);
  fputs("void *workspace, int threads);\n", w->out);
}

/* Where each tensor lies, for a caller who passes them. */
static void put_layout(const writer *w) {
  const poa_plan *plan = w->interface.plan;
  if (!w->interface.parameters)
    return;
  fputs("\n/* Tensors, f32 and row-major, by the byte they begin at:\n", w->out);
  for (int i = 0; i < plan->parameter_count; i++) {
    const poa_plan_parameter *p = &plan->parameters[i];
    fprintf(w->out, " *   %10lld  ", (long long)p->offset);
    put_comment(w->out, p->set);
    fputs(*p->set ? "." : "", w->out);
    put_comment(w->out, p->name);
    fputc(' ', w->out);
    put_shape(w->out, poa_memory_shape(&p->order, p->shape));
    if (poa_is_reordered(&p->order)) {
      fputs(", in files ", w->out);
      put_shape(w->out, p->shape);
    }
    fputc('\n', w->out);
  }
  fputs(" */\n", w->out);
}

static void put_header(const writer *w) {
  put_page(w);
  fprintf(w->out,
          "#ifndef POA_LIBRARY_%s_H\n#define POA_LIBRARY_%s_H\n\n"
          "#include <stddef.h>\n#include <stdint.h>\n\n"
          "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
          w->macro, w->macro);
  put_macros(w);
  put_cpu_check(w);
  fprintf(w->out, "\n/* Bytes of the workspace. */\nsize_t %s_workspace_bytes(void);\n",
          w->interface.name);
  if (w->interface.batched)
    put_batched(w);
  else
    put_plain(w);
  put_layout(w);
  fputs("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n", w->out);
}

poa_status poa_aot_header_write(const poa_aot_library *library, const char *path,
                                poa_error *error) {
  writer w = {.library = library};
  poa_status status = poa_aot_interface_of(library, &w.interface, error);
  if (status)
    return status;
  char *text = NULL;
  size_t size = 0;
  capitalize(library->name, w.macro);
  w.out = open_memstream(&text, &size);
  if (!w.out)
    return poa_fail(error, POA_NO_MEMORY, "out of memory for the header '%s'", path);
  put_header(&w);
  bool complete = !ferror(w.out);
  if (fclose(w.out) == 0 && complete)
    status = poa_write_file_atomically(path, text, size, error);
  else
    status = poa_fail(error, POA_NO_MEMORY, "out of memory for the header '%s'", path);
  free(text);
  return status;
}
