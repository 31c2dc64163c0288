/* diagnostics.c: prints an error with its line and a caret. */
#include "frontend/diagnostics.h"

#include <stdarg.h>
#include <string.h>

#define SHOWN_COLUMNS 160 /* of a longer line */

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

static bool starts_letter(char c) {
  return ((unsigned char)c & 0xc0) != 0x80; /* not in the middle of one of UTF-8 */
}

/* The part of a line that is shown: all of it, or what lies around the caret. */
typedef struct window {
  const char *line;
  int from, to;
} window;

static window window_around(const char *line, int length, int caret) {
  window w = {line, 0, length};
  if (length > SHOWN_COLUMNS) {
    w.from = caret < SHOWN_COLUMNS / 2 ? 0 : caret - SHOWN_COLUMNS / 2;
    w.to = w.from + SHOWN_COLUMNS < length ? w.from + SHOWN_COLUMNS : length;
    while (w.from > 0 && !starts_letter(line[w.from]))
      w.from--;
    while (w.to < length && !starts_letter(line[w.to]))
      w.to++;
  }
  return w;
}

/* Codes that would move the cursor or change colours of a terminal are not passed on. */
static void print_window(FILE *out, window w, int length) {
  fputs(w.from > 0 ? ".." : "", out);
  for (int i = w.from; i < w.to; i++) {
    unsigned char c = (unsigned char)w.line[i];
    fputc(c < ' ' && c != '\t' ? '?' : c == 0x7f ? '?' : c, out);
  }
  fputs(w.to < length ? "..\n" : "\n", out);
}

static void print_caret(const poa_diagnostics *d, poa_location at, int length) {
  int line_length = 0, caret = at.column - 1;
  const char *line = find_line(d, at, &line_length);
  if (!line || caret < 0 || caret > line_length)
    return;
  window w = window_around(line, line_length, caret);
  fprintf(d->out, "%6d | ", at.line);
  print_window(d->out, w, line_length);
  fputs(w.from > 0 ? "       |   " : "       | ", d->out);
  for (int i = w.from; i < caret; i++)
    if (starts_letter(line[i]))
      fputc(line[i] == '\t' ? '\t' : ' ', d->out);
  fputc('^', d->out);
  for (int i = caret + 1; i < caret + length && i < w.to; i++)
    if (starts_letter(line[i]))
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
  d->muted = repeated || !d->out || d->errors >= POA_MAX_DIAGNOSTICS;
  if (repeated)
    return;
  d->last = at;
  if (d->errors == 0)
    snprintf(d->first, sizeof d->first, "%s:%d:%d: %.400s", at.file ? at.file : "?", at.line,
             at.column, message);
  d->errors++;
  if (d->muted)
    return;
  fprintf(d->out, "%s:%d:%d: error: %s\n", at.file ? at.file : "?", at.line, at.column, message);
  print_caret(d, at, length);
  if (d->errors == POA_MAX_DIAGNOSTICS)
    fprintf(d->out, "too many errors; the rest are not shown\n");
}

void poa_diagnose_note(poa_diagnostics *d, poa_location at, const char *format, ...) {
  if (d->muted)
    return;
  fprintf(d->out, "%s:%d:%d: note: ", at.file ? at.file : "?", at.line, at.column);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(d->out, format, arguments);
  va_end(arguments);
  fputc('\n', d->out);
}
