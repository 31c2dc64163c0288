/* diagnostics.c: prints an error with its line and a caret. */
#include "frontend/diagnostics.h"

#include <stdarg.h>
#include <string.h>

void poa_diagnostics_source(poa_diagnostics *d, const char *file, const char *text) {
  poa_source_text *source = poa_arena_alloc(d->arena, sizeof *source);
  *source = (poa_source_text){file, text, d->sources};
  d->sources = source;
}

static const char *find_line(const poa_diagnostics *d, poa_location at, int *length) {
  for (const poa_source_text *source = d->sources; source; source = source->next) {
    if (!at.file || strcmp(source->file, at.file) != 0)
      continue;
    const char *line = source->text;
    for (int number = 1; number < at.line && line; number++) {
      line = strchr(line, '\n');
      line = line ? line + 1 : NULL;
    }
    if (!line)
      return NULL;
    *length = (int)strcspn(line, "\r\n");
    return line;
  }
  return NULL;
}

static void print_caret(const poa_diagnostics *d, poa_location at, int length) {
  int line_length = 0;
  const char *line = find_line(d, at, &line_length);
  if (!line || at.column < 1 || at.column > line_length + 1)
    return;
  fprintf(d->out, "%6d | %.*s\n       | ", at.line, line_length, line);
  for (int i = 0; i < at.column - 1; i++)
    fputc(line[i] == '\t' ? '\t' : ' ', d->out);
  fputc('^', d->out);
  for (int i = 1; i < length && at.column + i <= line_length; i++)
    fputc('~', d->out);
  fputc('\n', d->out);
}

void poa_diagnose(poa_diagnostics *d, poa_location at, int length, const char *format, ...) {
  char message[1500];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  bool repeated = d->errors > 0 && d->last.file == at.file && d->last.line == at.line &&
                  d->last.column == at.column;
  if (repeated)
    return;
  d->last = at;
  if (d->errors == 0)
    snprintf(d->first, sizeof d->first, "%s:%d:%d: %.400s", at.file ? at.file : "?", at.line,
             at.column, message);
  d->errors++;
  if (!d->out || d->errors > POA_MAX_DIAGNOSTICS)
    return;
  fprintf(d->out, "%s:%d:%d: error: %s\n", at.file ? at.file : "?", at.line, at.column, message);
  print_caret(d, at, length);
  if (d->errors == POA_MAX_DIAGNOSTICS)
    fprintf(d->out, "too many errors; the rest are not shown\n");
}

void poa_diagnose_note(poa_diagnostics *d, poa_location at, const char *format, ...) {
  if (!d->out || d->errors > POA_MAX_DIAGNOSTICS)
    return;
  fprintf(d->out, "%s:%d:%d: note: ", at.file ? at.file : "?", at.line, at.column);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(d->out, format, arguments);
  va_end(arguments);
  fputc('\n', d->out);
}
