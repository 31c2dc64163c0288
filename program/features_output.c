/* features_output.c: features [n, d] as .npy, safetensors or text. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/features.h"
#include "runtime/atomic_file.h"
#include "runtime/npy.h"
#include "runtime/safetensors.h"

typedef enum format { TEXT, NPY, SAFETENSORS, UNKNOWN } format;

static const char *const format_names[] = {"text", "npy", "safetensors"};

/* As --format says, or the ending of the file; else text. */
static format choose_format(const poa_features_flags *flags) {
  const char *dot = flags->output ? strrchr(flags->output, '.') : NULL;
  const char *name = flags->format ? flags->format : dot ? dot + 1 : "text";
  for (int i = TEXT; i < UNKNOWN; i++)
    if (strcmp(format_names[i], name) == 0)
      return (format)i;
  return flags->format ? UNKNOWN : TEXT;
}

/* Told before the work: what cannot be written need not be computed. */
poa_status poa_features_check_output(const poa_features_flags *flags, poa_error *error) {
  format chosen = choose_format(flags);
  if (chosen == UNKNOWN)
    return poa_fail(error, POA_BAD_INPUT, "--format '%s': expected text, npy or safetensors",
                    flags->format);
  if (!flags->output && chosen == SAFETENSORS)
    return poa_fail(error, POA_BAD_INPUT, "--format safetensors needs a file: -o FILE");
  if (!flags->output && chosen == NPY && isatty(STDOUT_FILENO))
    return poa_fail(error, POA_BAD_INPUT,
                    "--format npy is not for a terminal: send it to a file, or give -o FILE");
  if (!flags->output)
    return POA_OK;
  poa_atomic_file *file;
  poa_status status = poa_atomic_file_open(&file, flags->output, error);
  if (status == POA_OK)
    poa_atomic_file_abandon(&file);
  return status;
}

/* NAME<tab>value value .. a line */
static poa_status print_text(const poa_features *f, const char *names, FILE *out,
                             poa_error *error) {
  for (int64_t i = 0; i < f->result_count; i++) {
    int length = (int)strcspn(names, "\n");
    fprintf(out, "%.*s", length, names);
    names += length + (names[length] == '\n');
    for (int64_t k = 0; k < f->dimension; k++)
      fprintf(out, "%c%.9g", k ? ' ' : '\t', (double)f->results[i * f->dimension + k]);
    fputc('\n', out);
  }
  return fflush(out) == 0 && !ferror(out)
             ? POA_OK
             : poa_fail(error, POA_IO, "the features cannot be written");
}

static poa_status write_text(const poa_features *f, const char *names, poa_error *error) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return poa_fail(error, POA_NO_MEMORY, "no memory for the text");
  poa_status status = print_text(f, names, out, error);
  fclose(out);
  if (status == POA_OK)
    status = poa_write_file_atomically(f->flags->output, text, size, error);
  free(text);
  return status;
}

static poa_status print_npy(const poa_features *f, poa_error *error) {
  char header[128];
  size_t length = poa_npy_header(header, f->result_count, f->dimension);
  size_t values = (size_t)(f->result_count * f->dimension);
  bool good = fwrite(header, 1, length, stdout) == length &&
              fwrite(f->results, sizeof *f->results, values, stdout) == values &&
              fflush(stdout) == 0;
  return good ? POA_OK : poa_fail(error, POA_IO, "the features cannot be written");
}

static poa_status write_safetensors(const poa_features *f, poa_error *error) {
  char point[256];
  poa_point_print(&f->program->lattice, &f->point, point, sizeof point);
  poa_file_tensor tensor = {.name = "features",
                            .dtype = POA_TENSOR_F32,
                            .shape = {2, {f->result_count, f->dimension}},
                            .data = f->results};
  poa_metadata metadata[] = {
      {"model", f->program->model}, {"point", point}, {"source", f->program->source}};
  return poa_safetensors_write(f->flags->output, 1, &tensor, 3, metadata, error);
}

poa_status poa_features_write(const poa_features *f, const char *names, poa_error *error) {
  switch (choose_format(f->flags)) {
  case NPY:
    return f->flags->output
               ? poa_npy_write(f->flags->output, f->results, f->result_count, f->dimension, error)
               : print_npy(f, error);
  case SAFETENSORS:
    return write_safetensors(f, error);
  case TEXT:
  case UNKNOWN:
    break;
  }
  return f->flags->output ? write_text(f, names, error) : print_text(f, names, stdout, error);
}
