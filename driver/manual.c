/* manual.c: manual pages, from what `poa help` says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "driver/driver.h"
#include "runtime/atomic_file.h"

/* Text for roff: no line begins with a control character, backslashes and hyphens are literal. */
static void put_text(FILE *out, const char *text) {
  bool start = true;
  for (; *text; text++) {
    if (start && (*text == '.' || *text == '\''))
      fputs("\\&", out);
    start = *text == '\n';
    if (*text == '\\')
      fputs("\\e", out);
    else if (*text == '-')
      fputs("\\-", out);
    else
      fputc(*text, out);
  }
}

static void put_title(FILE *out, const char *name, const char *summary) {
  fprintf(out, ".TH \"%s\" 1 \"\" \"poa %s\" \"User Commands\"\n.SH NAME\n", name, POA_VERSION);
  put_text(out, name);
  fputs(" \\- ", out);
  put_text(out, summary);
  fputc('\n', out);
}

/* Lines of flags as they are in `poa help`, kept in columns. */
static void put_flags(FILE *out, const poa_command *command) {
  char *text = NULL;
  size_t size;
  FILE *lines = open_memstream(&text, &size);
  if (!lines)
    return;
  poa_flags_describe(command, lines);
  fclose(lines);
  fputs(".SH OPTIONS\n.nf\n", out);
  put_text(out, text);
  fputs(".fi\n", out);
  free(text);
}

static void put_command(FILE *out, const poa_command *command) {
  char name[64];
  snprintf(name, sizeof name, "poa-%s", command->name);
  put_title(out, name, command->summary);
  fputs(".SH SYNOPSIS\n", out);
  put_text(out, command->usage);
  fputs("\n.SH DESCRIPTION\n", out);
  put_text(out, command->help);
  put_flags(out, command);
  fputs(".SH SEE ALSO\n.BR poa (1)\n", out);
}

static void put_overview(FILE *out, const poa_command *unused) {
  (void)unused;
  put_title(out, "poa", "pre-trains one elastic network and hands out models of all sizes");
  fputs(".SH SYNOPSIS\npoa COMMAND ...\n.SH COMMANDS\n", out);
  for (int i = 0; i < poa_command_count; i++) {
    fputs(".TP\n", out);
    fprintf(out, ".BR poa\\-%s (1)\n", poa_commands[i].name);
    put_text(out, poa_commands[i].summary);
    fputc('\n', out);
  }
  fputs(".SH ENVIRONMENT\n.TP\nPOA_MODELS\nthe folder with recipes\n.TP\nCC\nthe C compiler that "
        "links programs\n",
        out);
}

static poa_status write_page(const char *folder, const char *name,
                             void (*put)(FILE *, const poa_command *), const poa_command *command,
                             poa_error *error) {
  char *text = NULL, path[4200];
  size_t size;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return poa_fail(error, POA_NO_MEMORY, "out of memory");
  put(out, command);
  fclose(out);
  snprintf(path, sizeof path, "%s/%s.1", folder, name);
  poa_status status = poa_write_file_atomically(path, text, size, error);
  free(text);
  return status;
}

int poa_write_manual(const char *folder) {
  poa_error error = {0};
  poa_status status = POA_OK;
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    status = poa_fail(&error, POA_IO, "cannot make the folder '%s': %s", folder, strerror(errno));
  for (int i = 0; i < poa_command_count && status == POA_OK; i++) {
    char name[64];
    snprintf(name, sizeof name, "poa-%s", poa_commands[i].name);
    status = write_page(folder, name, put_command, &poa_commands[i], &error);
  }
  if (status == POA_OK)
    status = write_page(folder, "poa", put_overview, NULL, &error);
  return status ? poa_report_failure(&error) : 0;
}
