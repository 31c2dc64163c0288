/* compile_library.c: an entry as a library: object, shared library, LLVM or assembly text; beside
 * it a C header, and for what is linked a pkg-config file.
 *
 *   -o out/libnet.so   out/libnet.so, out/net.h, out/net.pc
 *
 * A shared library's object goes through a temporary file beside the output. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/compile.h"
#include "driver/link.h"
#include "runtime/atomic_file.h"

typedef struct product {
  poa_compilation *c;
  const char *folder; /* of the output, with a slash at the end, or "" */
  const char *file;   /* of the output */
  const char *name;   /* "net" of libnet.so: a C identifier */
  bool shared, text;
} product;

/* Names */

static poa_status name_product(product *p, poa_error *error) {
  poa_arena *arena = p->c->arena;
  const char *output = p->c->flags->output;
  p->file = poa_base_name(output);
  p->folder = poa_arena_format(arena, "%.*s", (int)(p->file - output), output);
  const char *start = strncmp(p->file, "lib", 3) == 0 && p->file[3] ? p->file + 3 : p->file;
  char *name = poa_arena_format(arena, "%.*s", (int)strcspn(start, "."), start);
  for (char *at = name; *at; at++)
    if (!isalnum((unsigned char)*at))
      *at = '_';
  p->name = name;
  if (*name && !isdigit((unsigned char)*name))
    return POA_OK;
  return poa_fail(error, POA_BAD_INPUT,
                  "-o '%s': functions are named after the file, which has to begin with a letter",
                  output);
}

static const char *beside(const product *p, const char *ending) {
  return poa_arena_format(p->c->arena, "%s%s%s", p->folder, p->name, ending);
}

/* Files */

static poa_status write_pkg_config(const product *p, poa_error *error) {
  const poa_compilation *c = p->c;
  bool found_by_name = p->shared && strncmp(p->file, "lib", 3) == 0 &&
                       strcmp(p->file + strlen(p->file) - 3, ".so") == 0;
  const char *libraries = found_by_name ? poa_arena_format(c->arena, "-L${pcfiledir} -l%.*s",
                                                           (int)strlen(p->file) - 6, p->file + 3)
                                        : poa_arena_format(c->arena, "${pcfiledir}/%s%s", p->file,
                                                           p->shared ? "" : " -fopenmp");
  const char *text =
      poa_arena_format(c->arena,
                       "Name: %s\n"
                       "Description: %s, compiled ahead of time by poa\n"
                       "Version: %s\n"
                       "Libs: %s\n"
                       "Cflags: -I${pcfiledir}\n",
                       p->name, c->deployments[0].flags.arguments[0], POA_VERSION, libraries);
  return poa_write_file_atomically(beside(p, ".pc"), text, strlen(text), error);
}

/* NAME.weights: the parameter space as the functions take it, to be read or mapped. */
static poa_status write_weights(const product *p, const void *weights, poa_error *error) {
  return poa_write_file_atomically(beside(p, ".weights"), weights,
                                   (size_t)p->c->entries[0].lowered.plan->parameter_bytes, error);
}

static poa_status link_shared(const product *p, const char *object, poa_error *error) {
  const char *linker;
  const char *output = p->c->flags->output;
  const char *linking = poa_arena_format(p->c->arena, "%s.linking-%ld", output, (long)getpid());
  poa_status status = poa_linker_find(&linker, error);
  if (status)
    return status;
  poa_link_line line = {0};
  poa_link_add(&line, linker);
  poa_link_add(&line, "-shared");
  poa_link_add(&line, "-o");
  poa_link_add(&line, linking);
  poa_link_add(&line, object);
  poa_link_add(&line, poa_arena_format(p->c->arena, "-Wl,-soname,%s", p->file));
  poa_link_add_list(&line, p->c->arena, "", POA_OPENMP_FLAGS);
  status = poa_linker_run(linker, line.argument, error);
  if (status == POA_OK && rename(linking, output) != 0)
    status = poa_fail(error, POA_IO, "cannot write '%s': %s", output, strerror(errno));
  if (status)
    unlink(linking);
  return status;
}

static poa_status write_code(const product *p, const poa_aot_library *library, poa_aot_form form,
                             poa_error *error) {
  const char *output = p->c->flags->output;
  if (!p->shared)
    return poa_aot_library_write(library, form, output, error);
  const char *object = poa_arena_format(p->c->arena, "%s.object-%ld.o", output, (long)getpid());
  poa_status status = poa_aot_library_write(library, form, object, error);
  if (status == POA_OK)
    status = link_shared(p, object, error);
  unlink(object);
  return status;
}

static const char *write_title(const poa_compilation *c) {
  const poa_deployment *d = &c->deployments[0];
  char point[256];
  poa_point_print(poa_model_lattice(d->model), &c->points[0], point, sizeof point);
  return poa_arena_format(c->arena, "%s of %s%s%s%s%s", c->entry, d->flags.arguments[0],
                          *point ? " at " : "", point, *d->source ? ", weights of " : "",
                          d->source);
}

static poa_status write_all(const product *p, const void *weights, poa_aot_form form,
                            poa_error *error) {
  const poa_compilation *c = p->c;
  bool inside = weights && !c->flags->weights_external;
  poa_aot_library library = {.name = p->name,
                             .title = write_title(c),
                             .lowered = &c->entries[0].lowered,
                             .target = &c->targets[0],
                             .weights = inside ? weights : NULL,
                             .normalization = c->deployments[0].normalization};
  poa_status status = write_code(p, &library, form, error);
  if (status == POA_OK)
    status = poa_aot_header_write(&library, beside(p, ".h"), error);
  if (status == POA_OK && !p->text)
    status = write_pkg_config(p, error);
  if (status == POA_OK && weights && (!inside || p->text))
    status = write_weights(p, weights, error);
  if (status == POA_OK)
    printf("%s, %s%s: %s for %s\n", c->flags->output, beside(p, ".h"),
           p->text ? "" : poa_arena_format(c->arena, ", %s", beside(p, ".pc")), library.title,
           c->targets[0].cpu);
  return status;
}

/* An entry that updates its parameters is given them by the caller. */
static bool has_weights(const poa_compilation *c) {
  return c->parameter_count > 0;
}

poa_status poa_compile_library(poa_compilation *c, poa_aot_form form, bool shared,
                               poa_error *error) {
  product p = {.c = c, .shared = shared, .text = form != POA_AOT_OBJECT};
  void *weights = NULL;
  poa_status status = name_product(&p, error);
  if (status == POA_OK)
    status = poa_compile_add(c, c->entry, &c->points[0], error);
  if (status == POA_OK)
    status = poa_compile_lower(c, error);
  if (status == POA_OK && has_weights(c))
    status = poa_compile_weights(c, &weights, error);
  if (status == POA_OK)
    status = write_all(&p, weights, form, error);
  free(weights);
  return status;
}
