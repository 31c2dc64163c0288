/* command_line.c: see command_line.h. */
#include "program/command_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 64 };

static poa_status read_count(const poa_flag_row *row, const char *text, int64_t *result,
                             poa_error *error) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (*end || end == text || errno || value < row->smallest)
    return poa_fail(error, POA_BAD_INPUT, "--%s takes an integer from %lld up, not '%s'", row->name,
                    (long long)row->smallest, text);
  if (row->smallest > 0 && value > INT32_MAX) /* of a number of things; a seed may be any */
    return poa_fail(error, POA_BAD_INPUT, "--%s takes an integer up to %d, not '%s'", row->name,
                    INT32_MAX, text);
  *result = value;
  return POA_OK;
}

static poa_status read_real(const poa_flag_row *row, const char *text, double *result,
                            poa_error *error) {
  char *end;
  double value = strtod(text, &end);
  if (*end || end == text || !(value > 0 && value < 1e30))
    return poa_fail(error, POA_BAD_INPUT, "--%s takes a number above 0, not '%s'", row->name, text);
  *result = value;
  return POA_OK;
}

static poa_status append(const char *name, const char *text, poa_texts *texts, poa_error *error) {
  if (texts->count == POA_MAX_TEXTS)
    return poa_fail(error, POA_BAD_INPUT, "more than %d %s", POA_MAX_TEXTS, name);
  texts->text[texts->count++] = text;
  return POA_OK;
}

static poa_status store(const poa_flag_row *row, const char *text, void *fields, poa_error *error) {
  void *field = (char *)fields + row->offset;
  switch (row->kind) {
  case POA_FLAG_SWITCH:
    *(bool *)field = true;
    return POA_OK;
  case POA_FLAG_TEXT:
    *(const char **)field = text;
    return POA_OK;
  case POA_FLAG_TEXTS:
    return append(row->name, text, field, error);
  case POA_FLAG_COUNT:
    return read_count(row, text, field, error);
  case POA_FLAG_REAL:
    return read_real(row, text, field, error);
  }
  return POA_OK;
}

static poa_status refuse_flag(const poa_command_line *line, const char *given, int option,
                              poa_error *error) {
  if (option == ':')
    return poa_fail(error, POA_BAD_INPUT, "%s takes a value; see: %s", given, line->help);
  /* The argument is not always passed when a letter in it is refused: "-xy" may yet hold a y. */
  const char letter[] = {'-', (char)optopt, '\0'};
  if (optopt > line->row_count)
    given = letter;
  const char *names[MAX_ROWS];
  for (int i = 0; i < line->row_count; i++)
    names[i] = line->rows[i].name;
  const char *nearest = poa_nearest(given + strspn(given, "-"), names, line->row_count);
  return poa_fail(error, POA_BAD_INPUT, "%s does not know the flag %s%s%s%s; see: %s",
                  line->program, given, nearest ? ", did you mean --" : "", nearest ? nearest : "",
                  nearest ? "?" : "", line->help);
}

poa_status poa_command_line_parse(const poa_command_line *line, int argc, char **argv, void *fields,
                                  poa_texts *arguments, poa_error *error) {
  struct option options[MAX_ROWS + 1] = {{0}};
  for (int i = 0; i < line->row_count; i++)
    options[i] = (struct option){
        line->rows[i].name, line->rows[i].kind == POA_FLAG_SWITCH ? no_argument : required_argument,
        NULL, i + 1};
  int output = 0;
  for (int i = 0; i < line->row_count; i++)
    if (strcmp(line->rows[i].name, "output") == 0)
      output = i + 1;
  arguments->count = 0;
  opterr = 0;
  optind = 0;
  for (int option; (option = getopt_long(argc, argv, output ? ":o:" : ":", options, NULL)) != -1;) {
    option = option == 'o' ? output : option;
    if (option < 1 || option > line->row_count)
      return refuse_flag(line, argv[optind - 1], option, error);
    poa_status status = store(&line->rows[option - 1], optarg, fields, error);
    if (status)
      return status;
  }
  for (; optind < argc; optind++) {
    poa_status status = append("arguments", argv[optind], arguments, error);
    if (status)
      return status;
  }
  return POA_OK;
}

void poa_command_line_describe(const poa_command_line *line, FILE *out) {
  for (int i = 0; i < line->row_count; i++) {
    const poa_flag_row *row = &line->rows[i];
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", row->name, row->value ? " " : "",
             row->value ? row->value : "");
    fprintf(out, "  %-24s %s\n", left, row->description);
  }
}
